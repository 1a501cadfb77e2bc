"""Run claimed items: claim, call the handler, report the outcome, and open the next page where that closed one.

What an item's end means is decided here; what it does to the run, by the store.
"""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from celery_process import rules
from celery_process.dispatch import Dispatch
from celery_process.exceptions import OwnershipLost, RunAborted, StoreUnavailable
from celery_process.heartbeat import Leases
from celery_process.model import ItemAnswer, ItemClaim, ItemReport, Reported
from celery_process.states import ClaimAnswer, ErrorAction, Event, Progress, StopReason, WorkList, WorkState
from celery_process.work import Work

logger = logging.getLogger(__name__)

_REPORT_TRIES = 4
_REFRESH = 30.0
"""Seconds for which the schedule is taken as known where only the progress frequency hangs on it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one item of a message ended; `error` is what its handler raised, `text` the last error that it recorded.

    With an `answer` other than CLAIMED nothing was done here; None as `outcome` of a claimed one: it was lost to another.
    """

    name: str
    outcome: WorkState | None
    error: BaseException | None = None
    errors: int = 0
    text: str = ""
    answer: ClaimAnswer = ClaimAnswer.CLAIMED


class Host(Protocol):
    """The time of this host, as the module `time` has it."""

    def monotonic(self) -> float:
        """Return seconds that only rise."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class Runner:
    """Runs the items of one process in this operating-system process."""

    def __init__(self, dispatch: Dispatch, heartbeat: Leases, *, host: Host = time) -> None:
        self.dispatch, self.heartbeat, self.host = dispatch, heartbeat, host
        self._count = itertools.count(1)
        self._every = timedelta(0)
        self._every_read_at = -_REFRESH

    def run(self, run_id: str, names: Sequence[str]) -> list[Ended]:
        """Work on those of `names` that can be claimed; the others were done, are busy, or belong to a stopped run.

        Return all that were worked on, then those that were refused.
        """
        definition, store = self.dispatch.definition, self.dispatch.store
        token = uuid.uuid4().hex
        claims = store.claim(
            definition.name,
            run_id,
            list(names),
            token=token,
            lease=definition.lease,
            max_attempts=self.dispatch.config.max_attempts,
        )
        mine = [claim for claim in claims if claim.answer is ClaimAnswer.CLAIMED]
        for claim in claims:
            if claim.answer is not ClaimAnswer.CLAIMED:
                logger.debug(
                    "Item %s: %s", claim.name, claim.answer.value, extra=self._extra("claim_refused", run_id, claim.name)
                )
        ended = self._run_claims(run_id, token, mine)
        if any(claim.answer is ClaimAnswer.REMOVED for claim in claims):
            self._follow(run_id, [Reported(page_closed=True)])
        refused = [claim for claim in claims if claim.answer is not ClaimAnswer.CLAIMED]
        return [*ended, *(Ended(claim.name, None, answer=claim.answer) for claim in refused)]

    def _run_claims(self, run_id: str, token: str, claims: list[ItemClaim]) -> list[Ended]:
        definition, ended = self.dispatch.definition, []
        told: list[Reported] = []
        every = self._progress_every()
        works = [
            Work.of_claim(
                claim,
                run_id,
                report=lambda report: self._report(run_id, token, report, told),
                tolerance=definition.tolerance,
                progress_frequency=every,
                monotonic=self.host.monotonic,
            )
            for claim in claims
        ]
        with ExitStack() as leases:
            held = [
                leases.enter_context(self.heartbeat.holding(work, definition.lease, definition.time_limit)) for work in works
            ]
            for index, work in enumerate(works):
                held[index].started()
                ended.append(self._run_one(work))
                stopped = (work.aborted_here or work.lost) and works[index + 1 :]
                if stopped:
                    told.append(
                        self.dispatch.store.release(self.dispatch.name, run_id, [w.name for w in stopped], token=token)
                    )
                self._follow(run_id, told)
                if stopped:
                    break
        return ended

    def _progress_every(self) -> timedelta:
        now = self.host.monotonic()
        if now - self._every_read_at >= _REFRESH:
            self._every = self.dispatch.definition.progress_every(self.dispatch.current())
            self._every_read_at = now
        return self._every

    def _run_one(self, work: Work) -> Ended:
        definition, error = self.dispatch.definition, None
        outcome = WorkState.COMPLETED
        cleaning = work.on is WorkList.CLEANUP
        try:
            (definition.cleanup if cleaning else definition.handler)(work)
        except RunAborted:
            outcome = WorkState.ABORTED
        except OwnershipLost:
            pass  # told below, whether the handler let it through or not
        except Exception as raised:  # noqa: BLE001 - the handler is the user's
            error = raised
            outcome = self._outcome_of(work, raised, cleaning=cleaning)
        if work.aborted_here:
            outcome = WorkState.ABORTED
        elif cleaning and outcome is WorkState.COMPLETED and not work.clean:
            outcome = WorkState.INCOMPLETE
        if work.lost:
            return self._lost(work, error)
        return self._finish(work, outcome, error)

    def _outcome_of(self, work: Work, raised: Exception, *, cleaning: bool) -> WorkState:
        definition = self.dispatch.definition
        if cleaning and isinstance(raised, definition.gone):
            return WorkState.COMPLETED
        if isinstance(raised, definition.tolerance.ignore):
            return WorkState.INCOMPLETE
        try:
            action = work.add_error(raised)
        except Exception as again:
            if again is not raised:  # `Tolerance.fail` raises what it was given
                raise
            action = ErrorAction.CONTINUE
        return WorkState.ABORTED if action is ErrorAction.ABORT and work.aborted_here else WorkState.INCOMPLETE

    def _finish(self, work: Work, outcome: WorkState, error: BaseException | None) -> Ended:
        for attempt in range(1, _REPORT_TRIES + 1):
            try:
                answer = work.finish(outcome)
            except StoreUnavailable:
                # The claim stays: after its lease the item runs again, since nobody can know that it ended.
                if attempt == _REPORT_TRIES:
                    raise
                self.host.sleep(0.2 * 2**attempt)
            else:
                break
        if answer.progress is Progress.CONFLICT:
            return self._lost(work, error)
        self.dispatch.emit(
            Event.WORK_FINISHED,
            work=work.name,
            run_id=work.run.id,
            slot=work.run.slot,
            outcome=outcome,
            stats=work.stats,
            errors=work.total_errors,
        )
        return Ended(work.name, outcome, error, work.total_errors, work.last_error)

    def _lost(self, work: Work, error: BaseException | None) -> Ended:
        logger.warning(
            "Item %s belongs to another worker; nothing of this attempt is kept.",
            work.name,
            extra=self._extra("ownership_lost", work.run.id, work.name),
        )
        self.dispatch.emit(Event.OWNERSHIP_LOST, work=work.name, run_id=work.run.id, attempt=work.attempt)
        return Ended(work.name, None, error)

    def _report(self, run_id: str, token: str, report: ItemReport, told: list[Reported]) -> ItemAnswer:
        definition = self.dispatch.definition
        answer = self.dispatch.store.report(definition.name, run_id, [report], token=token, lease=definition.lease)
        told.append(answer)
        return answer.items[0]

    def _follow(self, run_id: str, told: list[Reported]) -> None:
        """Do what the reports of an item made due, after it ended: cancel, tell the end of the run, open the next page.

        Not within the reports themselves: the heartbeat would wait for it. What fails here is left to the sweep.
        """
        try:
            if any(answer.stopping for answer in told):
                extra = self._extra("run_aborting", run_id)
                logger.warning("Run %s of %s is beyond its tolerance.", run_id, self.dispatch.name, extra=extra)
                self.dispatch.stop(run_id, StopReason.ABORTED)
            for answer in told:
                if answer.run is not None:
                    self.dispatch.finished(answer.run)
            if any(answer.page_closed and answer.run is None for answer in told) or self._early():
                self._advance(run_id)
        except Exception:
            logger.exception(
                "What %s made due failed; the sweep will do it.", run_id, extra=self._extra("follow_failed", run_id)
            )
        told.clear()

    def _early(self) -> bool:
        """Whether to look, after this item, if the window has room for a page: a slow item must not hold up the others."""
        window, size = self.dispatch.definition.max_in_flight, self.dispatch.config.page_size
        return next(self._count) % max(1, rules.room(size=size, window=window, open_items=0) // 4) == 0

    def _advance(self, run_id: str) -> None:
        # In eager mode the dispatcher's own loop opens the next page: nested calls end silently after some 250 items.
        if not self.dispatch.inline:
            self.dispatch.advance(run_id)

    def _extra(self, action: str, run_id: str, work: str = "") -> dict[str, Any]:
        return {"action": action, "process_name": self.dispatch.name, "run_id": run_id, "work_name": work}
