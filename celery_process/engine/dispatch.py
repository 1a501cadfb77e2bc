"""From a trigger to published items: decide about the slot, claim the run, open pages and send their names.

Must not know Celery: the `Port` sends messages and emits events.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from celery_process.config import Config
from celery_process.definition.callables import not_run
from celery_process.definition.options import Definition
from celery_process.engine.port import Port
from celery_process.exceptions import InvalidValue, ProcessPaused, RunOpen, StoreError
from celery_process.protocol.model import RunClaim, RunStatus, SlotRef
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import Again, Event, PageAnswer, RunAnswer, RunState, SlotEnd, StopReason, WorkList
from celery_process.protocol.stats import MAX_SUMMED_STATS, OTHER_STATS
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency
from celery_process.stores.base import Store
from celery_process.text.logs import LogFields, log_fields, logger_of
from celery_process.text.masking import masked_text
from celery_process.text.outages import log_failure
from celery_process.text.printable import printable

logger = logger_of(__name__)

TRY_AGAIN = timedelta(seconds=10)
"""After this long a trigger is published once more if the store was out of reach."""


def _run_uuid() -> str:
    # 64 random bits: enough to distinguish two runs of one epoch, and short enough to type.
    return uuid.uuid4().hex[:16]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Starts and ends the runs of one process, over a store and a port."""

    definition: Definition
    store: Store
    config: Config
    port: Port

    @property
    def name(self) -> str:
        """The process's name."""
        return self.definition.name

    def lets_through(self, error: BaseException) -> bool:
        """Whether to raise an exception from the user's code on: it ends the worker, or is the Ctrl-C of an eager caller.

        In a worker a KeyboardInterrupt is the handler's own: Celery handles SIGINT itself, and its pool children ignore it.
        """
        return self.port.ends_worker(error) or (self.port.inline and isinstance(error, KeyboardInterrupt))

    def slot_of(self, now: datetime, current: Frequency | None) -> SlotRef:
        """Return the slot of an instant, with its jitter and the occurrence before it."""
        occurrences = self.definition.occurrences(current)
        slot = occurrences.latest(now)
        return SlotRef(
            slot=slot,
            due_at=slot + slots.jitter_of(self.name, slot, self.definition.jitter),
            previous=occurrences.latest(slot - timedelta(microseconds=1)) if current is not None else None,
            schedule=current.text if current is not None else "",
        )

    def trigger(
        self, *, by: str, sent_at: datetime | None = None, defer: Callable[[timedelta], None] | None = None
    ) -> RunClaim:
        """Claim the present slot, if it is due and free, and start its run; the body of the scheduling task.

        `sent_at`: when beat sent the trigger, if known; slots that have passed since end as late, not as missed. If the
        trigger is a little early, or the store out of reach, `defer` is called with the time after which to trigger again.
        """
        try:
            now, current = self.store.now(), self.port.current()
        except StoreError:
            if defer is not None:  # else an outage of a second at the wrong time would cost an hourly slot
                defer(TRY_AGAIN)
            raise
        slot = self.slot_of(now, current)
        if sent_at is not None and current is not None:
            self._end_late(slot, current.occurrences.latest(sent_at), current, by)
        if not self._wait():
            self._skip(slot, SlotEnd.DECLINED, by)
            return RunClaim(RunAnswer.LOST)
        claim = self._claim(slot, Again.IF_CHANGED if self.definition.rerun_on_change else Again.NEVER, by)
        if claim.answer is RunAnswer.OVERLAPPED and claim.open_run is not None and self.definition.overlap == "replace":
            self.stop(claim.open_run, StopReason.SUPERSEDED)
            claim = self._claim(slot, Again.NEVER, by)
        if claim.answer is RunAnswer.OVERLAPPED:
            self._skip(slot, SlotEnd.OVERLAPPED, by)
        elif claim.answer is RunAnswer.PAUSED:
            self._skip(slot, SlotEnd.PAUSED, by)
        elif claim.answer in (RunAnswer.NOT_DUE, RunAnswer.LOST) and defer is not None and current is not None:
            following = current.occurrences.following(slot.slot)
            # The slot ran already: this beat's clock may be ahead of the store's, so the trigger is for the next one.
            due_in = claim.due_in if claim.answer is RunAnswer.NOT_DUE else following - now
            if slots.comes_back(due_in, following - slot.slot):
                defer(due_in)
        self._start(claim)
        return claim

    def run_now(self, *, slot: datetime | None, by: str) -> RunStatus:
        """Claim the present or a named slot, or its next generation, whatever the schedule says; start its run.

        Raises `RunOpen`, `ProcessPaused`, or `InvalidValue` for a slot in the future.
        """
        now = self.store.now()
        if slot is not None and slot > now:
            raise InvalidValue(f"The slot {slot} is in the future; name a past one, or none.", argument="slot", value=slot)
        found = self.slot_of(now, self.port.current()) if slot is None else SlotRef(slot, slot)
        claim = self._claim(replace(found, due_at=found.slot), Again.ALWAYS, by)
        return self._start_or_raise(claim)

    def redrive(self, run_id: str, *, by: str) -> RunStatus:
        """Start a run over the items of a closed run that did not complete. Raises as `run_now`."""
        claim = self.store.redrive(self.name, run_id, uuid=_run_uuid(), spec=self.definition.spec(), by=by)
        return self._start_or_raise(claim)

    def _start_or_raise(self, claim: RunClaim) -> RunStatus:
        if claim.answer is RunAnswer.PAUSED:
            paused = self.store.process(self.name, live=False).paused
            note, who = (paused.note, paused.by) if paused is not None else ("", "")
            raise ProcessPaused(
                f"{self.name!r} is paused by {printable(who) or 'somebody'} ({printable(masked_text(note)) or 'no note'}); "
                "resume it first.",
                process=self.name,
                note=note,
                by=who,
            )
        if claim.run is None or claim.answer not in (RunAnswer.CLAIMED, RunAnswer.ALREADY):
            raise RunOpen(
                f"{self.name!r} has an open run, {claim.run_id or 'of this slot'}; wait for its end, or cancel it.",
                process=self.name,
                run=self.store.run(self.name, claim.open_run) if claim.open_run is not None else None,
            )
        self._start(claim)
        return self.store.run(self.name, claim.run.id)

    def _wait(self) -> bool:
        if self.definition.wait is None:
            return True
        error: BaseException | None
        try:
            answer = self.definition.wait()
            error, holds = not_run(answer, argument="wait"), bool(answer)
        except BaseException as raised:
            if self.lets_through(raised):
                raise
            error, holds = raised, False
        if error is not None:
            extra = self._extra("wait_failed")
            logger.error("wait() of %s failed; the trigger is declined.", self.name, exc_info=error, extra=extra)
        return holds and error is None

    def _claim(self, slot: SlotRef, again: Again, by: str) -> RunClaim:
        claim = self.store.claim_run(self.name, uuid=_run_uuid(), slot=slot, spec=self.definition.spec(), again=again, by=by)
        logger.info(
            "Slot %s of %s: %s",
            slot.slot,
            self.name,
            claim.answer.value,
            extra=self._extra(f"slot_{claim.answer.name.lower()}", claim.run_id),
        )
        return claim

    def _end_late(self, present: SlotRef, first: datetime, current: Frequency, by: str) -> None:
        """End as late the slots from the one of a trigger, `first`, to the one before the present slot, if there are any."""
        if present.previous is None or first > present.previous:
            return
        before = current.occurrences.latest(first - timedelta(microseconds=1))
        late = SlotRef(present.previous, present.previous, previous=before, schedule=present.schedule, after=before)
        self._skip(late, SlotEnd.LATE, by)

    def _skip(self, slot: SlotRef, end: SlotEnd, by: str) -> None:
        if self.store.skip_slot(self.name, slot=slot, end=end, by=by):
            logger.info("Slot %s of %s: %s", slot.slot, self.name, end.value, extra=self._extra("slot_skipped"))
            self.port.emit(Event.SLOT_SKIPPED, slot=slot.slot, end=end)

    def _start(self, claim: RunClaim) -> None:
        # ALREADY is the answer to a retry of this very call within the store, whose first answer was lost.
        if claim.run is not None and claim.answer in (RunAnswer.CLAIMED, RunAnswer.ALREADY):
            self.port.emit(Event.RUN_STARTED, run=claim.run)
            self.advance(claim.run.id)

    def advance(self, run_id: str, token: str = "") -> None:
        """Open pages and send their names until the window is full, the rate is reached or the lists are at their end.

        `token`: that of the call that was answered LATER, by which the store knows that this is the one it waits for.
        """
        definition, size = self.definition, self.config.page_size
        window, rate = definition.max_in_flight, math.inf if self.port.inline else definition.rate
        while True:
            token = token or uuid.uuid4().hex
            page = self.store.open_page(self.name, run_id, token=token, size=size, window=window, rate=rate)
            if page.run is not None:
                self.emit_finish(page.run)
            if page.answer is PageAnswer.LATER:
                self.port.come_back(run_id, token, page.due_in)
            if page.answer is not PageAnswer.OPENED:
                return
            if not self.publish(run_id, page.on, page.names):
                return  # the broker is away and is tried once; the sweep goes on
            token = ""

    def publish(self, run_id: str, on: WorkList, names: tuple[str, ...], *, single: bool = False) -> bool:
        """Send items and mark them as published; return whether they were sent.

        Items that could not be sent stay unpublished, and the sweep sends them.
        """
        if self.port.inline:
            self.store.mark_published(self.name, run_id, names)
            self.port.send(on, names, run_id, single=single)
            return True
        try:
            self.port.send(on, names, run_id, single=single)
        except Exception as error:  # noqa: BLE001 - logged, and the sweep sends them
            text, extra = "%d items of %s could not be published; the sweep will", self._extra("publish_failed", run_id)
            log_failure(logger, text, len(names), self.name, error=error, extra=extra)
            return False
        self.store.mark_published(self.name, run_id, names)
        return True

    def open_run(self) -> str | None:
        """Return the id of the open run, if there is one."""
        found = self.store.process(self.name, live=False).run
        return found.id if found is not None and found.state.is_open else None

    def stop(self, run_id: str, reason: StopReason) -> None:
        """Stop an open run; see `Runs.stop_run`."""
        run = self.store.stop_run(self.name, run_id, reason)
        if run is not None:
            self.emit_finish(run)

    def emit_repairs(self, run_id: str, repairs: Repairs, *, published: int = 0) -> None:
        """Emit what sweeps did to a run, then acknowledge it: each lost item is emitted at least once."""
        if repairs.expired or published:
            logger.warning(
                "Sweep of %s: %d leases ran out, %d items to publish.",
                self.name,
                repairs.expired,
                published,
                extra=self._extra("swept", run_id),
            )
            self.port.emit(Event.RUN_REPAIRED, run_id=run_id, expired=repairs.expired, published=published)
        for name in repairs.lost:
            self.port.emit(Event.WORK_LOST, work=name, run_id=run_id)
        if repairs.number:
            self.store.ack_repairs(self.name, run_id, repairs.number)

    def emit_finish(self, run: RunStatus) -> None:
        """Emit the end of a run, then acknowledge it: it is emitted at least once, with the run's id.

        Repairs that a sweep made and did not emit before it died come first: no sweep looks at the run again.
        """
        self.emit_repairs(run.id, self.store.repairs(self.name, run.id))
        logger.info(
            "Run %s of %s: %s",
            run.id,
            self.name,
            run.state.value,
            extra=self._extra(f"run_{run.state.value.lower()}", run.id),
        )
        if OTHER_STATS in run.stats:
            logger.warning(
                "Run %s of %s counts more than %s names of stats; the others are one sum, %s: name kinds, not things.",
                run.id,
                self.name,
                MAX_SUMMED_STATS,
                OTHER_STATS,
                extra=self._extra("stats_capped", run.id),
            )
        if run.state is RunState.ABORTED:
            self.port.emit(Event.RUN_ABORTED, run=run)
        self.port.emit(Event.RUN_FINISHED, run=run)
        self.store.ack_finish(self.name, run.id)

    def _extra(self, action: str, run_id: str = "") -> LogFields:
        return log_fields(action, process_name=self.name, run_id=run_id)
