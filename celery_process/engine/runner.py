"""Run claimed items: claim, call the handler, report the outcome, and open the next page if that closed one.

This module decides how an item ended; the store decides what that does to its run.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from celery_process.definition.callables import not_run
from celery_process.definition.options import Handler
from celery_process.engine.batch import Batch, Outcome
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.heartbeat import Leases
from celery_process.engine.work import Work
from celery_process.exceptions import OwnershipLost, RunAborted, StoreError
from celery_process.forks import end_child
from celery_process.protocol import rules
from celery_process.protocol.limits import Limits, page_size
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.reports import Reported
from celery_process.protocol.states import ClaimAnswer, ErrorAction, Event, StopReason, WorkList, WorkState
from celery_process.protocol.tokens import claim_token
from celery_process.text.logs import LogFields, log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

_REPORT_TRIES = 4
_REFRESH = 30.0
"""Seconds for which a schedule read once is used for the progress frequency."""

_SLOW = 1.0
"""Seconds after which publishing and emitting count as slow: the broker hangs, or a receiver of a signal does."""


@dataclass(frozen=True, slots=True)
class EndedItem:
    """How one item of a message ended; `error` is what its handler raised, `text` the last error that it recorded.

    An item with an `answer` other than CLAIMED, or `given_back`, was not begun here. Without that an `outcome` of None
    means that the item was lost to another worker, or its outcome was not stored.
    """

    name: str
    outcome: WorkState | None
    error: BaseException | None = None
    errors: int = 0
    text: str = ""
    answer: ClaimAnswer = ClaimAnswer.CLAIMED
    given_back: bool = False


class Host(Protocol):
    """This host's clock, as in the module `time`."""

    def monotonic(self) -> float:
        """Return seconds that only rise."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class Runner:
    """Runs the items of one process in this operating-system process."""

    def __init__(self, dispatch: Dispatch, heartbeat: Leases, *, host: Host = time) -> None:
        self.dispatch, self.heartbeat, self.host = dispatch, heartbeat, host
        self._item_takes: float | None = None
        self._every, self._every_read_at = timedelta(0), -_REFRESH
        self._slow = False
        self._limits = Limits()

    @property
    def batch_size(self) -> int:
        """How many items a message carries; with "auto" one until it is known how long they take."""
        definition = self.dispatch.definition
        if definition.batch_size:
            return definition.batch_size
        if self._item_takes is None:
            return 1
        fit = definition.batch_duration.total_seconds() / max(self._item_takes, 1e-6)
        return max(1, min(round(fit), definition.most_items))

    def run(self, run_id: str, names: Sequence[str], *, task_id: str = "") -> list[EndedItem]:
        """Claim `names` and work on those that the store grants; the others are done, busy, or of a stopped run.

        A name that is there twice is worked on once. `task_id`: that of the Celery task, kept with the items. Return those
        that were worked on, then those given back because the run or the worker stops, then those that were refused.
        """
        definition, store = self.dispatch.definition, self.dispatch.store
        token = claim_token(task_id)
        claims = store.claim(
            definition.name,
            run_id,
            list(dict.fromkeys(names)),
            token=token,
            lease=definition.lease,
            max_attempts=self.dispatch.config.max_attempts,
        )
        claimed = [claim for claim in claims if claim.answer is ClaimAnswer.CLAIMED]
        ended = self._run_claims(run_id, token, claimed) if claimed else []
        if len(claimed) == len(claims):
            return ended
        refused = [claim for claim in claims if claim.answer is not ClaimAnswer.CLAIMED]
        for name, answer in ((claim.name, claim.answer.value) for claim in refused):
            logger.debug("Item %s: %s", name, answer, extra=self._extra("claim_refused", run_id, name))
        if any(claim.answer is ClaimAnswer.REMOVED for claim in refused):
            self._act_on(run_id, [Reported(page_closed=True)])
        return [*ended, *(EndedItem(claim.name, None, answer=claim.answer) for claim in refused)]

    def _run_claims(self, run_id: str, token: str, claims: list[ItemClaim]) -> list[EndedItem]:
        batch = Batch(
            self.dispatch.definition,
            self.dispatch.store,
            run_id,
            token,
            claims,
            progress_frequency=self._progress_every(),
            monotonic=self.host.monotonic,
        )
        self._limits = claims[0].limits or Limits()
        ended: list[EndedItem] = []
        began = self.host.monotonic()
        try:
            with self.heartbeat.holding(batch):
                self._work_through(batch, ended)
        finally:
            self._give_back(batch)
        # Publishing may hang, so it comes last, when no lease of this message is renewed any more.
        ended += self._handle_reports(batch)
        self._measure((self.host.monotonic() - began) / max(len(ended), 1))
        return [*ended, *(EndedItem(name, None, given_back=True) for name in batch.given_back)]

    def _work_through(self, batch: Batch, ended: list[EndedItem]) -> None:
        """Work on one item after the other until none is left, or none may begin.

        The answers to reports are acted on between items, so that slow items delay no page. If that was slow, the next
        batches do it at their ends; meanwhile `Batch.beat` gives back the items that wait for too long.
        """
        try:
            while (work := batch.next()) is not None:
                outcome, error = self._run_one(work)
                self._retry_report(partial(batch.end, work, outcome, error))
                if batch.has_news and batch.has_more and not self._slow:
                    ended += self._handle_reports(batch)
                if batch.aborting or work.aborted_here or work.lost or self.dispatch.port.stopping():
                    break
            self._retry_report(batch.flush)
        except Exception:
            raise
        except BaseException:  # the worker ends now, and the handler with it
            with suppress(StoreError):
                batch.flush()
            raise

    def _measure(self, seconds: float) -> None:
        """Update how long an item takes; longer ones weigh more, so that batches become short soon."""
        before = self._item_takes
        weight = 0.5 if before is None or seconds > before else 0.1
        self._item_takes = seconds if before is None else before + weight * (seconds - before)

    def _give_back(self, batch: Batch) -> None:
        """Release items that were not started; if the worker stops and not the run, publish them for another worker."""
        try:
            released = batch.give_back()
            # In eager mode they would run here at once; the next sweep publishes them.
            if released is not None and not batch.aborting and not self.dispatch.port.inline:
                self.dispatch.publish(batch.run_id, *released)
        except StoreError as error:
            extra = self._extra("give_back_failed", batch.run_id)
            log_failure(logger, "Items of run %s run again when their leases end", batch.run_id, error=error, extra=extra)

    def _progress_every(self) -> timedelta:
        now = self.host.monotonic()
        if now - self._every_read_at >= _REFRESH:
            self._every = self.dispatch.definition.progress_every(self.dispatch.port.current())
            self._every_read_at = now
        return self._every

    def _run_one(self, work: Work) -> tuple[WorkState, BaseException | None]:
        """Call the handler; return the outcome of the item, and what the handler raised."""
        definition = self.dispatch.definition
        error: BaseException | None = None
        outcome = WorkState.COMPLETED
        cleaning = work.on is WorkList.CLEANUP
        try:
            returned = _call(definition.cleanup if cleaning else definition.handler, work, definition.name)
        except RunAborted:
            outcome = WorkState.ABORTED
        except OwnershipLost:
            pass  # emitted when the item ends, also if the handler swallows it
        except BaseException as raised:
            if self.dispatch.lets_through(raised):
                raise
            error = raised
            outcome = self._outcome_of(work, raised, cleaning=cleaning)
        else:
            error = not_run(returned, argument="cleanup" if cleaning else "handler")
            if error is not None:
                outcome = self._failed(work, error)
        if work.aborted_here:
            outcome = WorkState.ABORTED
        elif cleaning and outcome is WorkState.COMPLETED and not work.clean:
            outcome = WorkState.INCOMPLETE
        return outcome, error

    def _outcome_of(self, work: Work, raised: BaseException, *, cleaning: bool) -> WorkState:
        definition = self.dispatch.definition
        if cleaning and isinstance(raised, definition.gone):
            return WorkState.COMPLETED
        if isinstance(raised, definition.tolerance.ignore):
            return WorkState.INCOMPLETE
        return self._failed(work, raised)

    def _failed(self, work: Work, raised: BaseException) -> WorkState:
        try:
            action = work.add_error(raised)
        except BaseException as again:
            if again is not raised:  # `Tolerance.fail` raises the recorded error
                raise
            action = ErrorAction.CONTINUE
        return WorkState.ABORTED if action is ErrorAction.ABORT and work.aborted_here else WorkState.INCOMPLETE

    def _retry_report(self, report: Callable[[], None]) -> None:
        for attempt in range(1, _REPORT_TRIES):
            try:
                return report()
            except StoreError:
                self.host.sleep(0.2 * 2**attempt)
        # The claim stays: the item runs again after its lease, for the store does not know that it ended.
        return report()

    def _handle_reports(self, batch: Batch) -> list[EndedItem]:
        """Emit `work_finished` for the reported items, then act on the store's answers."""
        began = self.host.monotonic()
        ended = [self._emit_end(done) for done in batch.take_outcomes()]
        self._act_on(batch.run_id, batch.take_answers(), ended)
        self._slow = self.host.monotonic() - began > _SLOW
        return ended

    def _emit_end(self, done: Outcome) -> EndedItem:
        work = done.work
        if work.lost:
            return self._lost(work, done.error)
        if not work.lease_ended:
            return self._not_stored(work, done.error)
        if done.outcome is not WorkState.COMPLETED:
            self._log_failure(done)
        self.dispatch.port.emit(
            Event.WORK_FINISHED,
            work=work.name,
            run_id=work.run.id,
            slot=work.run.slot,
            outcome=done.outcome,
            stats=work.stats,
            errors=work.total_errors,
            error=done.error,
        )
        return EndedItem(work.name, done.outcome, done.error, work.total_errors, work.last_error)

    def _log_failure(self, done: Outcome) -> None:
        """Log the item's name and its handler's traceback, at INFO if the item only stopped with its run."""
        work = done.work
        level = logging.WARNING if done.error is not None or work.total_errors else logging.INFO
        logger.log(
            level,
            "Item %s of %s ended %s in attempt %d%s",
            work.name,
            self.dispatch.name,
            done.outcome.value,
            work.attempt,
            f": {work.last_error}" if work.last_error else "",
            exc_info=done.error,
            extra=self._extra("item_failed", work.run.id, work.name),
        )

    def _lost(self, work: Work, error: BaseException | None) -> EndedItem:
        logger.warning(
            "Item %s belongs to another worker; nothing of this attempt is kept.",
            work.name,
            extra=self._extra("ownership_lost", work.run.id, work.name),
        )
        self.dispatch.port.emit(Event.OWNERSHIP_LOST, work=work.name, run_id=work.run.id, attempt=work.attempt)
        return EndedItem(work.name, None, error)

    def _not_stored(self, work: Work, error: BaseException | None) -> EndedItem:
        text = "ended, and its outcome could not be stored; it runs again when its lease ends"
        logger.error("Item %s %s.", work.name, text, extra=self._extra("outcome_not_stored", work.run.id, work.name))
        return EndedItem(work.name, None, error, text=text)

    def _act_on(self, run_id: str, answers: Sequence[Reported], ended: Sequence[EndedItem] = ()) -> None:
        """Act on the store's answers: cancel the rest of an aborting run, emit the end of a run, open the next page.

        Not within the reports themselves, where the heartbeat would wait for it. If this fails, the sweep does it.
        """
        try:
            if any(answer.stopping for answer in answers):
                extra = self._extra("run_aborting", run_id)
                logger.warning("Run %s of %s has used up its tolerance and stops.", run_id, self.dispatch.name, extra=extra)
                self.dispatch.stop(run_id, StopReason.ABORTED)
            for answer in answers:
                if answer.run is not None:
                    self.dispatch.emit_finish(answer.run)
            if self._should_check_window(ended) or any(answer.page_closed and answer.run is None for answer in answers):
                self._advance(run_id)
        except Exception as error:  # noqa: BLE001 - logged, and the sweep does it
            text, extra = "The next step of run %s failed; the sweep repeats it", self._extra("follow_failed", run_id)
            log_failure(logger, text, run_id, error=error, extra=extra)

    def _should_check_window(self, ended: Sequence[EndedItem]) -> bool:
        """Whether to look after these items if the window has room for a page, so that slow items do not delay the others.

        True for about four names of a page, whichever worker has them; a count in each worker would take longer, the more
        workers there are.
        """
        definition = self.dispatch.definition
        window, rate = self._limits.over(definition.max_in_flight, definition.rate)
        size = page_size(self.dispatch.config.page_size, rate)
        every = max(1, rules.room(size=size, window=window, open_items=0) // 4)
        return any(zlib.crc32(item.name.encode(errors="surrogatepass")) % every == 0 for item in ended)

    def _advance(self, run_id: str) -> None:
        # In eager mode the dispatcher's own loop opens the next page: nested calls end silently after some 250 items.
        if not self.dispatch.port.inline:
            self.dispatch.advance(run_id)

    def _extra(self, action: str, run_id: str, work: str = "") -> LogFields:
        return log_fields(action, process_name=self.dispatch.name, run_id=run_id, work_name=work)


def _call(handler: Handler, work: Work, process: str) -> object:
    """Call the user's function; if it forked and the child returns from it too, end the child."""
    try:
        return handler(work)
    finally:
        if work.elsewhere:
            extra = log_fields("forked_child_ended", process_name=process, run_id=work.run.id, work_name=work.name)
            end_child(f"the handler of {work.name!r}", extra)
