"""The message that opens the next page under a rate, on a broker that delays messages by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Exchange, Queue
from kombu.transport.native_delayed_delivery import (
    bind_queue_to_native_delayed_delivery_exchange,
    declare_native_delayed_delivery_exchanges_and_queues,
)

from celery_process import Processes
from celery_process.stores.memory import MemoryStore


def received(app, queue, seconds):
    """Return the first message of a queue that comes within some seconds."""
    deadline = time.monotonic() + seconds
    with app.connection_for_read() as connection:
        bound = queue(connection.default_channel)
        while time.monotonic() < deadline:
            message = bound.get(no_ack=True)
            if message is not None:
                return message
            time.sleep(0.05)
    return None


@pytest.mark.server("rabbitmq")
@pytest.mark.parametrize("seconds", [0.3, 1.4])
def test_a_quorum_queue_gets_the_comeback(rabbitmq_url, seconds):
    """There Celery delays by whole seconds and refuses less than one: the message comes within the next two all the same."""
    name = f"cp-{uuid4().hex[:8]}"
    app = Celery(name, broker=rabbitmq_url, set_as_current=False)
    queue = Queue(name, Exchange(name, type="topic"), routing_key=name, queue_arguments={"x-queue-type": "quorum"})
    app.conf.update(task_queues=[queue], task_default_queue=name, task_default_routing_key=name)
    app.conf.update(task_default_exchange=name, task_default_exchange_type="topic")
    processes = Processes(app, backend=MemoryStore())
    process = processes.process("paced", schedule=None, rate_limit=5, task_options={"expires": 1})(lambda work: None)
    with app.connection_for_write() as connection:
        declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
        bound = queue(connection.default_channel)
        bound.declare()
        bind_queue_to_native_delayed_delivery_exchange(connection, queue)
        try:
            sent_at = datetime.now(UTC)
            process.dispatch.port.come_back("7-abc", "3f2a", timedelta(seconds=seconds))
            message = received(app, queue, seconds + 3)
        finally:
            bound.delete()
    assert message is not None
    assert message.payload[1] == {"run": "7-abc", "token": "3f2a"}
    assert message.headers["expires"] is None
    assert datetime.fromisoformat(message.headers["eta"]) >= sent_at + timedelta(seconds=seconds)
