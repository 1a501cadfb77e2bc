"""How many messages of items a broker holds, sampled while a run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kombu import Connection
from kombu.exceptions import OperationalError
from pytest_celery import CeleryTestBroker

EVERY = 0.01
"""Seconds between two samples."""


class Backlog:
    """The samples."""

    def __init__(self) -> None:
        self.samples: list[int] = []

    @property
    def most(self) -> int:
        """The most messages that were seen at once."""
        return max(self.samples, default=0)


@contextmanager
def sampled(broker: CeleryTestBroker, kind: str, *, queue: str, task: str) -> Iterator[Backlog]:
    """Sample inside the block. `queue` has no messages but those of `task`."""
    backlog, stop = Backlog(), threading.Event()

    def sample(count: Callable[[], int]) -> None:
        while not stop.wait(EVERY):
            backlog.samples.append(count())

    with {"redis": _redis, "rabbitmq": _rabbitmq}[kind](broker, queue, task) as count:
        thread = threading.Thread(target=sample, args=(count,), daemon=True)
        thread.start()
        try:
            yield backlog
        finally:
            stop.set()
            thread.join()


@contextmanager
def _redis(broker: CeleryTestBroker, queue: str, task: str) -> Iterator[Callable[[], int]]:
    """Count what waits, and what workers have fetched and not acknowledged: kombu keeps that in one hash."""
    client = broker.container.client

    def count() -> int:
        with client.pipeline(transaction=True) as pipeline:
            waiting, fetched = pipeline.llen(queue).hvals("unacked").execute()
        return waiting + sum(f'"{task}"' in message for message in fetched)

    try:
        yield count
    finally:
        client.close()


@contextmanager
def _rabbitmq(broker: CeleryTestBroker, queue: str, task: str) -> Iterator[Callable[[], int]]:
    """Count what waits: a passive declaration tells nothing of what workers have fetched."""
    with Connection(broker.config()["host_url"]) as connection:

        def count() -> int:
            try:
                return connection.default_channel.queue_declare(queue, passive=True).message_count
            except (OperationalError, *connection.channel_errors):
                return 0  # no worker has declared it yet

        yield count
