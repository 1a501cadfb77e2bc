"""Two stores that get the same calls, one of them the memory store: every answer, error and read has to be equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from celery_process.exceptions import ProcessError
from celery_process.protocol.model import RunClaim, Swept
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Reported
from celery_process.protocol.rules import epoch_of
from celery_process.protocol.states import Progress, RunAnswer, WorkList
from celery_process.stores.base import Store
from celery_process.testing.invariants import ensure

ALL = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as it was asked, and what was answered."""

    operation: str
    process: Any
    args: Sequence[Any]
    named: Mapping[str, Any]
    answer: Any


@dataclass
class Comparison:
    """A reference and the store that is compared with it. `log` keeps what was asked, for the report of a difference."""

    reference: Store
    store: Store
    log: list[Call] = field(default_factory=list)

    def ask(self, operation: str, process: Any, *args: Any, **named: Any) -> Call:
        """Ask both stores; raise AssertionError where they differ."""
        call = Call(operation, process, args, named, self.same(operation, process, *args, **named))
        self.log.append(call)
        return call

    def read(self, process: str) -> tuple[Any, ...]:
        """Read all that the stores show of a process; raise AssertionError where they differ."""
        lists = [on for on in WorkList if on is not WorkList.DROPPED or self.reference.work_counts(process)[on]]
        return (
            self.same("process", process),
            self.same("runs", process, before=None, limit=ALL),
            self.same("slots", process, before=None, limit=ALL),
            self.same("newest_slots", [process]),
            self.same("settings_history", process, limit=ALL),
            *(self.same("works", process, on=on, after="", limit=ALL) for on in lists),
        )

    def read_apart(self, process: str, run: str, name: str) -> None:
        """Read what stands in `read` already by the other ways to it."""
        self.same("overrides", process)
        self.same("settings_history", process, limit=1)
        self.same("work_counts", process)
        self.same("run", process, run)
        self.same("repairs", process, run)
        self.same("work", process, name)
        for on in WorkList:
            self.same("works", process, on=on, after=name, limit=2)
        self.same("runs", process, before=epoch_of(run) + 1, limit=2)
        self.same("slots", process, before=self.reference.now(), limit=2)

    def same(self, operation: str, *args: Any, **named: Any) -> Any:
        """Ask both stores, and leave no trace of it in the log."""
        expected, found = (self._answer(store, operation, args, named) for store in (self.reference, self.store))
        if _plain(found) != _plain(expected):
            asked = f"{operation}{args}{named}"
            raise AssertionError(f"{asked} is answered\n{found}\nby {self.store.url}, and\n{expected}\nby the memory store")
        return expected

    @staticmethod
    def _answer(store: Store, operation: str, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        try:
            return getattr(store, operation)(*args, **named)
        except ProcessError as error:
            return type(error), str(error), error.facts


def _plain(answer: Any) -> Any:
    """Return an answer without the number of its repairs: a store may count each of its steps, and only tells them apart."""
    if isinstance(answer, Swept):
        return replace(answer, repairs=_plain(answer.repairs))
    return replace(answer, number=0) if isinstance(answer, Repairs) else answer


def check_repeat(first: Call, second: Any) -> None:
    """Raise AssertionError unless `second` is the contract's answer to a call that is repeated at once."""
    if isinstance(first.answer, tuple) and first.answer and isinstance(first.answer[0], type):
        expected: Any = first.answer
    elif first.operation == "report":
        _check_reported(first.answer, second)
        return
    elif first.operation == "sweep_run":
        # A sweep that closed the run has nothing more to sweep: `repairs` returns what no caller acknowledged.
        expected = first.answer.repairs if first.answer.run is None else Repairs()
        ensure("repeat", second.repairs == expected, f"a sweep was answered {first.answer}, and repeated {second}")
        return
    else:
        expected = _expected(first)
    ensure("repeat", second == expected, f"{first} was answered {second} when it was repeated, not {expected}")


def _expected(first: Call) -> Any:
    answer = first.answer
    if isinstance(answer, RunClaim):
        return replace(answer, answer=RunAnswer.ALREADY) if answer.answer is RunAnswer.CLAIMED else answer
    if first.operation == "open_page":
        return replace(answer, run=None)
    if first.operation in ("register", "unregister", "begin_sweep"):
        return ()
    if first.operation in ("skip_slot", "ack_finish"):
        return False
    return {"stop_run": None, "release": Reported(), "purge": 0}.get(first.operation, answer)


def _check_reported(first: Reported, second: Reported) -> None:
    ensure(
        "repeat",
        (second.stopping, second.page_closed, second.run, second.aborting) == (False, False, None, first.aborting),
        f"a report had its effect twice: {first}, then {second}",
    )
    for before, after in zip(first.items, second.items, strict=True):
        stopped = first.stopping and after.progress is Progress.ABORTED  # by a later item of the same call
        ensure("repeat", after == before or stopped, f"a report was answered {before}, and repeated {after}")
