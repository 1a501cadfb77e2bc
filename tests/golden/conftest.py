"""The bench of the golden tests: an eager app, a memory store that can be put out of reach, a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes
from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.model import RunStatus
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

HOUR = timedelta(hours=1)


class FlakyStore(MemoryStore):
    """A memory store whose operations can be put out of reach, each for a number of calls."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.broken: dict[str, int] = {}

    def guard(self, operation: str) -> None:
        """Raise while the operation is out of reach."""
        if self.broken.get(operation, 0):
            self.broken[operation] -= 1
            raise StoreUnavailable(f"{operation} did not answer; try again later.", operation=operation)

    def report(self, *args: Any, **options: Any) -> Any:
        self.guard("report")
        return super().report(*args, **options)

    def open_page(self, *args: Any, **options: Any) -> Any:
        self.guard("open_page")
        return super().open_page(*args, **options)

    def update_settings(self, *args: Any, **options: Any) -> Any:
        self.guard("update_settings")
        return super().update_settings(*args, **options)


class Bench:
    """An app with its processes, and what its handlers were given."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = FlakyStore(clock=self.clock)
        self.app, self.processes = self.another_app()
        self.worked: list[str] = []
        self.cleaned: list[str] = []
        self.failures: list[AssertionError] = []

    def another_app(self) -> tuple[Celery, Processes]:
        """Make one more eager app over the same store, as another host with other code has it."""
        app = Celery("golden", set_as_current=False)
        app.conf.task_always_eager = True
        return app, Processes(app, backend=self.store)

    def define(
        self,
        handler: Callable[[Any], object] | None = None,
        *,
        name: str = "key-gc",
        cleanup: Callable[[Any], object] | None = None,
        schedule: Any = HOUR,
        **options: Any,
    ) -> Process:
        """Define a process whose handlers note the names that they get, and then do what was given."""

        def work_on(work: Any) -> None:
            self.worked.append(work.name)
            self.call(handler, work)

        def clean_up(work: Any) -> None:
            self.cleaned.append(work.name)
            self.call(cleanup, work)

        process = self.processes.process(name, schedule=schedule, **options)(work_on)
        process.cleanup(clean_up)
        return process

    def call(self, handler: Callable[[Any], object] | None, work: Any) -> None:
        """Call a handler; what it asserts in vain is an error of the test too, and not only of its item."""
        try:
            if handler is not None:
                handler(work)
        except AssertionError as failure:
            self.failures.append(failure)
            raise

    def trigger(self, process: Process) -> None:
        """Run the scheduling task, as beat makes a worker do."""
        self.app.tasks[f"{process.name}.schedule"].apply(headers={"celery_beat_task": True}, throw=True)

    def next_slot(self, process: Process) -> RunStatus:
        """Go on by one hour, trigger, and return the newest run."""
        self.clock.advance(HOUR)
        self.trigger(process)
        return next(process.runs())

    @staticmethod
    def names(process: Process, on: str) -> list[str]:
        """Return the names of a list."""
        return [work.name for work in process.works(on)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a fresh bench."""
    made = Bench()
    yield made
    if made.failures:
        raise made.failures[0]
