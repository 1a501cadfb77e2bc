"""`Work`, the argument of a handler: params to read, and stats, errors and progress to report.

It keeps the totals of the attempt in absolute numbers and reports them with a rising sequence, so that a report that is
sent twice or overtaken counts once. Two threads report, the handler's and the heartbeat's, under one lock.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from celery_process.checks import check_work_name, error_text
from celery_process.exceptions import (
    InvalidType,
    InvalidValue,
    OwnershipLost,
    RunAborted,
    StoreError,
    WorkElsewhere,
    short_repr,
)
from celery_process.jsontext import decode, encode
from celery_process.protocol.kept import MAX_RUN_ERRORS, MAX_WORK_ERRORS
from celery_process.protocol.model import ErrorEntry, ItemClaim
from celery_process.protocol.reports import ItemAnswer, ItemReport, Totals
from celery_process.protocol.states import ClaimAnswer, ErrorAction, Progress, WorkList, WorkState
from celery_process.protocol.stats import Number, check_stat
from celery_process.protocol.tolerance import Tolerance, exceeded

Report = Callable[[ItemReport], ItemAnswer]

_MARK = "_celery_process_recorded"


def accept(report: ItemReport) -> ItemAnswer:
    """Answer a report as a store does while the run goes on; for a `Work` in a unit test, without a store."""
    word = Progress.UPDATED if report.outcome is None else Progress.COMPLETED
    return ItemAnswer(report.name, word)


class RunOfWork:
    """`work.run`: the run of the item, with stats and errors that belong to the run and not to the item."""

    def __init__(self, work: Work, claim: ItemClaim, run_id: str) -> None:
        self._work = work
        self.id = run_id
        self.slot = claim.slot
        self.generation = claim.generation
        self.started_at = claim.run_started_at

    def add_stats(self, name: str, count: Number = 1) -> None:
        """Add to the run's own stats; counted when the item ends, if this attempt ends it."""
        self._work._add_run_stats(name, count)  # noqa: SLF001 - two halves of one object

    def add_error(self, error: BaseException | str) -> ErrorAction:
        """Record an error of the run that is not the item's (B29). Returns as `Work.add_error` does."""
        return self._work._record(error, of_run=True)  # noqa: SLF001 - two halves of one object


class Work:
    """One claimed work item, the argument of a handler.

    `params` are the settings overlaid by the item's own (W27), `own_params` and `settings` the two apart, `attempt` counts
    from 1 in each run. `Work("name", {...})` makes one for a unit test of a handler, without a store.

    A work belongs to the operating-system process that claimed it: in a process that a handler starts, its params can be
    read, and its methods raise `WorkElsewhere`.
    """

    def __init__(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        attempt: int = 1,
        tolerance: Tolerance = Tolerance(),  # noqa: B008 - frozen
    ) -> None:
        if isinstance(attempt, bool) or not isinstance(attempt, int):
            raise InvalidType(f"attempt is an int, not {short_repr(attempt)}.", argument="attempt", value=attempt)
        if attempt < 1:
            raise InvalidValue(
                f"attempt counts from 1, so it cannot be {short_repr(attempt)}.", argument="attempt", value=attempt
            )
        if not isinstance(tolerance, Tolerance):
            raise InvalidType(
                f"tolerance is a Tolerance, not {short_repr(tolerance)}.", argument="tolerance", value=tolerance
            )
        claim = ItemClaim(
            name=check_work_name(name),
            answer=ClaimAnswer.CLAIMED,
            attempt=attempt,
            params=encode(params),
            settings=encode(settings, argument="settings"),
        )
        self._lock = threading.RLock()
        self._begin(claim, "", accept, tolerance, timedelta(0), time.monotonic)

    @classmethod
    def of_claim(
        cls,
        claim: ItemClaim,
        run_id: str,
        *,
        report: Report,
        tolerance: Tolerance,
        progress_frequency: timedelta,
        lock: threading.RLock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Work:
        """Return the work of a claimed item; `report` sends its reports to the store, under `lock`."""
        work = cls.__new__(cls)
        work._lock = lock or threading.RLock()  # noqa: SLF001 - a second constructor
        work._begin(claim, run_id, report, tolerance, progress_frequency, monotonic)  # noqa: SLF001 - a second constructor
        return work

    def _begin(
        self,
        claim: ItemClaim,
        run_id: str,
        report: Report,
        tolerance: Tolerance,
        every: timedelta,
        monotonic: Callable[[], float],
    ) -> None:
        self._pid = os.getpid()
        self.name = claim.name
        self.attempt = claim.attempt
        self.on: WorkList = claim.on
        self.fencing_token = claim.fencing_token
        self.run = RunOfWork(self, claim, run_id)
        self._report, self._tolerance, self._every = report, tolerance, every.total_seconds()
        self._monotonic = monotonic
        self._seal = object()  # marks an exception that this attempt recorded
        self._stats: dict[str, Number] = {}
        self._run_stats: dict[str, Number] = {}
        self._errors: list[ErrorEntry] = []
        self._run_errors: list[ErrorEntry] = []
        self._error_count = self._run_error_count = self._sequence = 0
        self._last_progress: float | None = None
        self._word: Progress | None = None
        self._aborted_here = self._outage = False
        self._adopt(claim.params, claim.params_version, claim.settings, claim.settings_version)

    def _adopt(self, params: str, params_version: int, settings: str, settings_version: int) -> None:
        self._params_version, self._settings_version = params_version, settings_version
        self.own_params = decode(params)
        self.settings = decode(settings)
        self.params = {**self.settings, **self.own_params}

    @property
    def elsewhere(self) -> bool:
        """Whether this is another operating-system process than the one that claimed the item."""
        return os.getpid() != self._pid

    def _stay(self) -> None:
        # Before the lock, which another thread of the parent may have held when this process was forked.
        if self.elsewhere:
            raise WorkElsewhere(
                f"The item {self.name!r} belongs to the process {self._pid} that claimed it, and this is {os.getpid()}; "
                "return results to the handler, and let it count, record errors and report progress.",
                work=self.name,
                pid=self._pid,
            )

    def __getstate__(self) -> Any:
        raise WorkElsewhere(
            f"The item {self.name!r} cannot be sent to another process; pass its name and params, and return results.",
            work=self.name,
            pid=self._pid,
        )

    def add_stats(self, name: str, count: Number = 1) -> None:
        """Add `count` to a stat of the item; the run keeps the sum of all items as `work.<name>` (B30).

        Raises `InvalidValue` for reserved names and numbers that are not finite.
        """
        self._stay()
        with self._lock:
            count = check_stat(name, count, self._stats)
            self._stats[name] = self._stats.get(name, 0) + count

    def _add_run_stats(self, name: str, count: Number) -> None:
        self._stay()
        with self._lock:
            count = check_stat(name, count, self._run_stats)
            self._run_stats[name] = self._run_stats.get(name, 0) + count

    def add_error(self, error: BaseException | str) -> ErrorAction:
        """Record an error of the item, report it at once, and return whether to go on (B28).

        After `Abort` the handler should return; the run stops whether it does or not. An exception of a class in
        `Tolerance.ignore` is not counted; one of a class in `Tolerance.fail` is recorded and raised again, which ends the
        item. An exception object counts once, however often it is recorded or raised (W19).
        """
        return self._record(error, of_run=False)

    def _record(self, error: BaseException | str, *, of_run: bool) -> ErrorAction:
        self._stay()
        if not isinstance(error, BaseException | str):
            raise InvalidType(
                f"An error is an exception or a str, not {type(error).__name__}; pass the exception or its text.",
                argument="error",
                value=error,
            )
        if isinstance(error, BaseException) and (isinstance(error, self._tolerance.ignore) or self._is_recorded(error)):
            return self._action()
        with self._lock:
            self._keep(error, of_run=of_run)
            if isinstance(error, BaseException):
                self._mark(error)
            with suppress(StoreError):  # kept in the totals: the next report, or the heartbeat's, has it
                self._flush()
            self._aborted_here = self._aborted_here or self._action() is ErrorAction.ABORT
        if isinstance(error, self._tolerance.fail):
            raise error
        return self._action()

    def _keep(self, error: BaseException | str, *, of_run: bool) -> None:
        # This host's time; the store replaces it by its own.
        entry = ErrorEntry(error_text(error), datetime.now(UTC), None if of_run else self.name)
        if of_run:
            self._run_error_count += 1
            self._run_errors = [*self._run_errors, entry][:MAX_RUN_ERRORS]
        else:
            self._error_count += 1
            self._errors = [*self._errors, entry][:MAX_WORK_ERRORS]

    def _is_recorded(self, error: BaseException) -> bool:
        return getattr(error, _MARK, None) is self._seal

    def _mark(self, error: BaseException) -> None:
        with suppress(AttributeError):  # a class with __slots__: it may count twice
            setattr(error, _MARK, self._seal)

    def _action(self) -> ErrorAction:
        used_up = exceeded(self._error_count, self._tolerance.per_work)
        gone = self._word in (Progress.ABORTED, Progress.CONFLICT)
        return ErrorAction.ABORT if used_up or gone else ErrorAction.CONTINUE

    def progress(self, *, stop: bool = True) -> Progress:
        """Report the totals, renew the lease, and return whether anything changed; call it after each unit of work.

        Returns `NONE` while the last progress is younger than the progress frequency (B31) or the store is out of reach,
        `UPDATED`, or `MERGED` if settings or params changed: `params` are fresh then. Raises `RunAborted` if the run ends
        early, `OwnershipLost` if another worker holds the item; with `stop=False` it returns the word instead.
        """
        self._stay()
        with self._lock:
            now = self._monotonic()
            word = self._word
            if word is None:
                if self._last_progress is not None and now - self._last_progress <= self._every:
                    return Progress.NONE
                try:
                    answer = self._flush()
                except StoreError as error:
                    self._note_outage(error)
                    return Progress.NONE
                self._last_progress, self._outage = now, False
                word = answer.progress
                if word is Progress.MERGED:
                    self._adopt(answer.params, answer.params_version, answer.settings, answer.settings_version)
        if stop and word is Progress.ABORTED:
            raise RunAborted(f"The run of {self.name!r} ends early; return from the handler.", progress=word)
        if stop and word is Progress.CONFLICT:
            raise OwnershipLost(
                f"Another worker holds {self.name!r} now, or its run was replaced; return and write nothing.",
                progress=word,
            )
        return word

    def _note_outage(self, error: StoreError) -> None:
        """Count an error of the run (B33): one for each outage, however often `progress` is called in it."""
        if not self._outage:
            self._outage = True
            self._keep(error, of_run=True)

    @property
    def clean(self) -> bool:
        """Whether this attempt recorded no error of the item."""
        return self._error_count == 0

    @property
    def aborted_here(self) -> bool:
        """Whether an error of this item was answered Abort (W18)."""
        return self._aborted_here

    @property
    def lost(self) -> bool:
        """Whether the item belongs to another holder by now."""
        return self._word is Progress.CONFLICT

    @property
    def lease_ended(self) -> bool:
        """Whether there is nothing left to renew: the item is lost, or its outcome is stored."""
        return self._word in (Progress.CONFLICT, Progress.COMPLETED)

    @property
    def stats(self) -> Mapping[str, Number]:
        """The stats that `add_stats` counted so far."""
        return dict(self._stats)

    @property
    def total_errors(self) -> int:
        """How many errors of the item this attempt recorded."""
        return self._error_count

    @property
    def last_error(self) -> str:
        """The text of the last error of the item that is kept, or an empty text."""
        return self._errors[-1].text if self._errors else ""

    def next_report(self, outcome: WorkState | None = None) -> ItemReport:
        """Return the totals so far as the next report; a report with an outcome is the last."""
        with self._lock:
            self._sequence += 1
            totals = Totals(
                stats=dict(self._stats),
                run_stats=dict(self._run_stats),
                errors=tuple(self._errors),
                error_count=self._error_count,
                run_errors=tuple(self._run_errors),
                run_error_count=self._run_error_count,
            )
            return ItemReport(
                self.name, self._sequence, totals, self._params_version, self._settings_version, outcome, self.attempt
            )

    def take(self, answer: ItemAnswer) -> None:
        """Keep the word of an answer that ends the attempt."""
        if answer.progress in (Progress.ABORTED, Progress.CONFLICT, Progress.COMPLETED):
            self._word = answer.progress

    def _flush(self) -> ItemAnswer:
        answer = self._report(self.next_report())
        self.take(answer)
        return answer
