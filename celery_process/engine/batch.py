"""`Batch`: the items of one message in the hands of one worker, under one token, one lock and one lease.

Each item keeps its own claim, totals and outcome. Reports travel together: an outcome may wait for those of the items
behind it, at most `HOLD` seconds. An error, or a `progress()` that writes, is reported at once, with the outcomes that
wait. If a worker dies, the items that ended in its last `HOLD` seconds may run again, and none that ended before.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from celery_process.definition.options import Definition
from celery_process.engine.work import Work
from celery_process.exceptions import StoreError
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported
from celery_process.protocol.states import WorkList, WorkState
from celery_process.stores.base import Store
from celery_process.text.logs import LogFields, log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

HOLD = 0.1
"""Seconds that an outcome may wait; an item that took as long is reported when it ends."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an item, the error that its handler raised, and the report with both.

    It counts only if `work.lease_ended`: the store took it, or the item is lost.
    """

    work: Work
    outcome: WorkState
    error: BaseException | None
    report: ItemReport


class Batch:
    """Items claimed together. `next` starts one, `end` ends it, `give_back` releases those that were not started.

    Their names are in `given_back` from then on, even if the store did not answer and their leases have to run out. Two
    threads call: the one that runs the handlers, and the heartbeat's `beat`. Times are those of `monotonic`.
    """

    def __init__(
        self,
        definition: Definition,
        store: Store,
        run_id: str,
        token: str,
        claims: Iterable[ItemClaim],
        *,
        progress_frequency: timedelta,
        monotonic: Callable[[], float],
    ) -> None:
        self.run_id, self.aborting = run_id, False
        self.given_back: tuple[str, ...] = ()
        self._definition, self._store, self._token, self._monotonic = definition, store, token, monotonic
        self._lock = threading.RLock()
        self._every = definition.lease.total_seconds() / 3
        self._limit = math.inf if definition.time_limit is None else definition.time_limit.total_seconds()
        self._unstarted = deque(
            Work.of_claim(
                claim,
                run_id,
                report=self._report,
                lock=self._lock,
                tolerance=definition.tolerance,
                progress_frequency=progress_frequency,
                monotonic=monotonic,
            )
            for claim in claims
        )
        self._current: Work | None = None
        self._waiting: list[Outcome] = []
        self._reported: list[Outcome] = []
        self._answers: list[Reported] = []
        self._started_at = self._renewed_at = self._moved_at = monotonic()
        self._flush_at = math.inf
        self._busy_until = -math.inf

    @property
    def process_name(self) -> str:
        """The name of the process whose items they are."""
        return self._definition.name

    @property
    def due_at(self) -> float:
        """When `beat` is due, as far as known now."""
        return max(min(self._renewed_at + self._every, self._flush_at, self._limit_at, self._stuck_at), self._busy_until)

    @property
    def wake_at(self) -> float:
        """When to look at `due_at` again: an outcome may have begun to wait by then."""
        return min(self.due_at, self._monotonic() + HOLD) if self._unstarted else self.due_at

    @property
    def _limit_at(self) -> float:
        return math.inf if self._current is None else self._started_at + self._limit

    @property
    def _stuck_at(self) -> float:
        """When to give back the items that wait: after a lease without any progress, unless a time limit bounds that."""
        if not self._unstarted or (self._current is not None and self._limit < math.inf):
            return math.inf
        return self._moved_at + 3 * self._every

    def next(self) -> Work | None:
        """Return the next item to start, or None."""
        with self._lock:
            self._current = self._unstarted.popleft() if self._unstarted else None
            self._started_at = self._moved_at = self._monotonic()
            return self._current

    def end(self, work: Work, outcome: WorkState, error: BaseException | None) -> None:
        """Report the outcome of the item that was started last, or keep it for the next report."""
        with self._lock:
            now = self._monotonic()
            done = Outcome(work, outcome, error, work.next_report(outcome))
            if work.lost:
                self._reported.append(done)
            elif self._unstarted and now - self._started_at < HOLD and now < self._flush_at:
                self._flush_at = min(self._flush_at, now + HOLD)
                self._waiting.append(done)
            else:
                self._send((), done)
            self._current = None
            self._moved_at = self._monotonic()

    def flush(self) -> None:
        """Report the outcomes that wait."""
        with self._lock:
            if self._waiting:
                self._send(())

    def give_back(self) -> tuple[WorkList, tuple[str, ...]] | None:
        """Release the items that were not started, with no attempt used up; return their list and names."""
        with self._lock:
            works, self._unstarted = self._unstarted, deque()
            if not works:
                return None
            names = tuple(work.name for work in works)
            self.given_back = names
            self._answers.append(self._store.release(self._definition.name, self.run_id, names, token=self._token))
            return works[0].on, names

    def beat(self) -> bool:
        """Renew the leases and report what waits, in the heartbeat's thread; return whether to call it again.

        An item over its time limit is not renewed any more, and the items behind it are given back, as are those of a batch
        that stands still. While the handler's thread reports, this does nothing.
        """
        if not self._lock.acquire(blocking=False):  # the handler's thread has it, for as long as the store takes to answer
            self._busy_until = self._monotonic() + HOLD
            return True
        try:
            return self._beat()
        finally:
            self._lock.release()

    def _beat(self) -> bool:
        now = self._monotonic()
        if now >= self._limit_at:
            self._stop_renewing()
            return False
        if now >= self._stuck_at:
            self._release_stuck()
        renewed: list[Work] = []
        if self._waiting:
            self._flush_at = now + self._every  # no retry at once if the store is out of reach
        if now >= self._renewed_at + self._every:
            self._renewed_at = now
            started = [self._current] if self._current is not None else []
            renewed = [work for work in (*started, *self._unstarted) if not work.lease_ended]
        if renewed or self._waiting:
            answers = self._send([work.next_report() for work in renewed])
            for work, answer in zip(renewed, answers, strict=True):
                work.take(answer)
        return bool(self._unstarted) or (self._current is not None and not self._current.lease_ended)

    def _stop_renewing(self) -> None:
        assert self._current is not None
        extra = self._extra("over_time_limit", self._current.name)
        logger.warning("Item %s is over its time limit; its lease is not renewed any more.", self._current.name, extra=extra)
        self._flush_and_give_back(extra)

    def _release_stuck(self) -> None:
        extra = self._extra("batch_stuck", self._current.name if self._current is not None else "")
        logger.info("%d items of %s wait too long and are given back.", len(self._unstarted), self.run_id, extra=extra)
        self._flush_and_give_back(extra)

    def _extra(self, action: str, work: str) -> LogFields:
        return log_fields(action, process_name=self._definition.name, run_id=self.run_id, work_name=work)

    def _flush_and_give_back(self, extra: LogFields) -> None:
        try:
            self.flush()
            self.give_back()
        except StoreError as error:
            log_failure(logger, "Items of run %s run again when their leases end", self.run_id, error=error, extra=extra)

    @property
    def has_more(self) -> bool:
        """Whether items wait to be started."""
        return bool(self._unstarted)

    @property
    def has_news(self) -> bool:
        """Whether `take_outcomes` or `take_answers` has anything."""
        return bool(self._reported or self._answers)

    def take_outcomes(self) -> list[Outcome]:
        """Return the outcomes that were reported since the last call."""
        with self._lock:
            outcomes, self._reported = self._reported, []
            return outcomes

    def take_answers(self) -> list[Reported]:
        """Return the store's answers since the last call."""
        with self._lock:
            answers, self._answers = self._answers, []
            return answers

    def _report(self, report: ItemReport) -> ItemAnswer:
        with self._lock:
            self._moved_at = self._monotonic()
            return self._send([report])[0]

    def _send(self, reports: Iterable[ItemReport], last: Outcome | None = None) -> tuple[ItemAnswer, ...]:
        """Send the outcomes that wait, then `reports`, whose answers are returned. If that fails, they go on waiting."""
        waiting = [*self._waiting, last] if last is not None else self._waiting
        sent = [*(one.report for one in waiting), *reports]
        definition = self._definition
        reported = self._store.report(definition.name, self.run_id, sent, token=self._token, lease=definition.lease)
        self._waiting, self._flush_at = [], math.inf
        self._answers.append(reported)
        self.aborting = self.aborting or reported.aborting or reported.stopping
        for one, answer in zip(waiting, reported.items, strict=False):
            one.work.take(answer)
        self._reported += waiting
        return reported.items[len(waiting) :]
