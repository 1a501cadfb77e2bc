"""What goes wrong, how often: a table, and the store behind a network that it makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, cast

from celery_process.exceptions import ProcessError, StoreUnavailable
from celery_process.protocol.reports import ItemReport
from celery_process.stores.base import Store
from celery_process.testing.simulation.virtual_time import Killed, VirtualTime

READS = frozenset(
    {
        "now",
        "process",
        "overrides",
        "settings_history",
        "schedules",
        "run",
        "runs",
        "repairs",
        "slots",
        "works",
        "work",
        "work_counts",
    }
)


@dataclass
class Faults:
    """Chances of one call or message each; `calm` sets all of them to 0."""

    before: float = 0.01
    after: float = 0.01
    late: float = 0.01
    slow: float = 0.01
    drop: float = 0.05
    duplicate: float = 0.1
    delay: float = 0.1
    unsent: float = 0.02

    def calm(self) -> None:
        """Set all chances to 0."""
        for name in self.__dataclass_fields__:
            setattr(self, name, 0.0)


Committed = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]


class Network:
    """The network between the library and a store: time passes, answers are lost, and calls land late or not at all.

    A call may fail before it reaches the store, after the store did it, or reach it only after its caller got an error.
    The ids and times that the library makes are replaced by ones that are the same in each replay.
    """

    def __init__(self, inner: Store, time: VirtualTime, random: Random, faults: Faults, *, committed: Committed) -> None:
        self.inner, self.time, self.random, self.faults = inner, time, random, faults
        self.committed = committed
        self.down_until = 0.0
        self.counted: Counter[str] = Counter()
        self._ids: dict[str, str] = {}

    @property
    def store(self) -> Store:
        """Itself, as what it stands for."""
        return cast("Store", self)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            return self._call(operation, args, named)

        self.__dict__[operation] = call
        return call

    def _call(self, operation: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        faults, roll = self.faults, self.random.random
        for key in ("uuid", "token"):
            if key in named:
                named[key] = self._ids.setdefault(named[key], f"{key[0]}{len(self._ids)}")
        if operation == "report":
            args = (*args[:2], [self._dated(report) for report in args[2]])
        self._travel()
        if self.time.now < self.down_until:
            self._lose("store down", operation)
        if roll() < faults.before:
            self._lose("error before commit", operation)
        if operation not in READS and roll() < faults.late:
            delay = self.random.choice([0.1, 1.0, 5.0, 40.0, 300.0])
            self.time.call(delay, lambda: self._land(operation, args, named))
            self._lose("commit after the error", operation)
        answer = self._perform(operation, args, named)
        self._travel()
        if roll() < faults.after:
            self._lose("error after commit", operation)
        return answer

    def _dated(self, report: ItemReport) -> ItemReport:
        """Put the store's time on errors, as it will itself: the host's is another in each replay."""
        now, totals = self.inner.now(), report.totals
        errors, run_errors = (tuple(replace(error, at=now) for error in kept) for kept in (totals.errors, totals.run_errors))
        return replace(report, totals=replace(totals, errors=errors, run_errors=run_errors))

    def _travel(self) -> None:
        slow = self.random.random() < self.faults.slow
        self.time.sleep(self.random.choice([2.0, 11.0, 45.0]) if slow else self.random.random() * 0.02)

    def _lose(self, kind: str, operation: str) -> None:
        self.counted[kind] += 1
        raise StoreUnavailable(f"The simulated store is out of reach ({kind} of {operation}).")

    def _land(self, operation: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        try:
            self._perform(operation, args, named)
        except ProcessError:
            return  # no caller waits for the answer

    def _perform(self, operation: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            answer = getattr(self.inner, operation)(*args, **named)
            if operation != "now":
                self.committed(operation, args, named, answer)
        except ProcessError as error:
            self.committed(operation, args, named, error)
            raise
        except Exception as error:
            # The library survives most exceptions of a store by design; the simulation must not.
            self.time.fail(error)
            raise Killed from error
        return answer
