"""A store that is away in the middle of a run, with a real worker."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from celery_process import Processes, RunState
from celery_process.exceptions import StoreUnavailable
from celery_process.stores.memory import MemoryStore

AWAY = 5.0
"""Seconds of the outage."""
TRIED = 0.5
"""Seconds for which an operation is tried before it fails, as stores do."""
BOUND = 30.0
"""Seconds in which the run ends: the outage, a wait for the message, a lease, a sweep. Eaten messages come after 60 s."""


class Away(MemoryStore):
    """The memory store, out of reach from an instant on for some time."""

    from_, until = float("inf"), float("-inf")

    def leave(self, seconds: float) -> None:
        self.from_ = time.monotonic()
        self.until = self.from_ + seconds

    def _pass(self, operation: str) -> None:
        if self.from_ <= time.monotonic() < self.until:
            time.sleep(TRIED)
            raise StoreUnavailable(f"{operation} did not answer; check that the store is up.", operation=operation)


def _guarded(operation: str) -> Any:
    def call(self: Away, *given: Any, **named: Any) -> Any:
        self._pass(operation)
        return getattr(MemoryStore, operation)(self, *given, **named)

    return call


for _operation in ("claim", "report", "release", "open_page", "mark_published", "begin_sweep", "sweep_run", "ack_finish"):
    setattr(Away, _operation, _guarded(_operation))


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """Give what the library and Celery's tasks log; a worker takes away the handlers of the root."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("celery_process", "celery.app.trace")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_run_goes_on_soon_after_an_outage(logged: list[logging.LogRecord]) -> None:
    """Its messages come again by themselves: the run ends long before anything is taken for lost; nothing runs twice."""
    app = Celery("outages", set_as_current=False, broker="memory://")
    app.conf.task_default_queue = "outages"
    store = Away()
    processes = Processes(app, backend=store)
    done: Counter[str] = Counter()

    def handler(work: Any) -> None:
        time.sleep(0.01)
        done[work.name] += 1

    process = processes.process("p", schedule=3600, batch_size=20, max_in_flight=300, lease=6)(handler)
    process.register_works(dict.fromkeys(f"item-{number:04}" for number in range(900)))
    with start_worker(app, pool="threads", concurrency=3, perform_ping_check=False, loglevel="INFO"):
        began = time.monotonic()
        run = process.run_now()
        time.sleep(0.5)
        store.leave(AWAY)
        time.sleep(AWAY)
        while (run := next(process.runs())).state.is_open and time.monotonic() - began < BOUND:
            time.sleep(0.1)
    assert run.state is RunState.COMPLETED
    assert run.counts.completed == 900
    assert [record for record in logged if getattr(record, "action", "") == "message_given_back"]
    assert [record.getMessage() for record in logged if record.exc_info] == []
    assert [record.getMessage() for record in logged if "raised unexpected" in record.getMessage()] == []
