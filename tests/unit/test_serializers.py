"""Messages of the library are JSON, whatever serializer a project has for its own tasks: workers are asked to accept that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.sweep_timer import SweepTimer

PROJECTS: list[dict[str, Any]] = [
    {"task_serializer": "pickle"},
    {"task_serializer": "yaml"},
    {"task_annotations": {"*": {"serializer": "pickle"}}},
]


def content_types(app: Celery, queue: str) -> list[str]:
    """Take all messages out of a queue."""
    found = []
    with app.connection_for_read() as connection, connection.SimpleQueue(queue) as messages:
        while messages.qsize():
            message = messages.get_nowait()
            found.append(message.content_type)
            message.ack()
    return found


@pytest.mark.parametrize("settings", PROJECTS, ids=str)
def test_messages_are_json(settings: dict[str, Any]) -> None:
    """Items, triggers and sweeps alike; a worker that accepts JSON, as it must, takes them."""
    queue = f"serializers-{uuid4().hex}"
    app = Celery("serializers", set_as_current=False, broker="memory://", task_default_queue=queue, **settings)
    processes = Processes(app, backend=MemoryStore())
    process = processes.process("p", schedule=None)(lambda work: None)
    process.register_work("item")
    process.run_now()
    app.tasks["p.schedule"].apply_async()
    SweepTimer(SimpleNamespace(app=app))._send(app, queue, 10)
    assert content_types(app, queue) == ["application/json"] * 3
