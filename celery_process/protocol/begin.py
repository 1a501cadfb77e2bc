"""How a run begins: claimed for its slot, or as a new generation of a closed one; and why a slot did not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery_process.exceptions import RunPurged
from celery_process.protocol import rules
from celery_process.protocol.entities import Head, Run
from celery_process.protocol.model import RunClaim, RunSpec, SlotEntry, SlotRef
from celery_process.protocol.read import status_of
from celery_process.protocol.states import Again, By, RunAnswer, SlotEnd, WorkList
from celery_process.protocol.unit import Unit

CLOCK_FAULT = timedelta(hours=1)
"""A last slot this far ahead of the store's clock was claimed by a clock that was wrong; it holds up no slot (W5)."""
EPOCHS_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""Epochs are seconds since, if runs do not follow faster; with 16 bits of attempts they stay below 2^53 for 4,000 years."""
LEDGER_STEP = 100
"""Entries of the ledger after each of which a purge is due."""


def claim_run(unit: Unit, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
    """Start the run of a slot, if it is due and free and nothing is open. A repeat with the same uuid returns that run."""
    head, mine = unit.head(), unit.run_of_uuid(uuid)
    if mine is not None:
        return RunClaim(RunAnswer.ALREADY, status_of(unit, mine))
    if slot.due_at > unit.now:
        return RunClaim(RunAnswer.NOT_DUE, due_in=slot.due_at - unit.now)
    last, entry = unit.newest_run_of_slot(slot.slot), unit.entry(slot.slot)
    if not _takes_slot(unit, slot, again, head, entry, last):
        return RunClaim(RunAnswer.LOST)
    refused = _refused(unit, head)
    if refused is not None:
        return refused
    _account(unit, head, slot)
    generation = 0 if last is None else last.generation + 1
    return _start(unit, head, slot.slot, generation, entry, uuid=uuid, spec=spec, by=by)


def redrive(unit: Unit, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
    """Start a new generation of a closed run's slot over what did not complete in it, nor in those it redrove.

    Raises `RunNotFound`, or `RunPurged` where the items of one of them are no longer kept.
    """
    head, old = unit.head(), unit.run(run)
    if old is None:
        raise rules.run_not_found(unit.process, run)
    mine = unit.run_of_uuid(uuid)
    refused = RunClaim(RunAnswer.ALREADY, status_of(unit, mine)) if mine is not None else _refused(unit, head)
    if refused is not None:
        return refused
    chain = (old.epoch, *old.redrives)
    kept = [unit.run_of_epoch(epoch) for epoch in chain]
    if any(one is None or one.items_purged for one in kept):
        raise RunPurged(
            f"The items of run {run!r} are no longer kept; start a whole run with `run_now()`.",
            process=unit.process,
            run=run,
        )
    last, entry = unit.newest_run_of_slot(old.slot) or old, unit.entry(old.slot)
    more = {"redrives": chain, "listed_before": old.listed_before}
    return _start(unit, head, old.slot, last.generation + 1, entry, uuid=uuid, spec=spec, by=by, **more)


def skip_slot(unit: Unit, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
    """Write down why a slot did not run, unless the ledger has it; return whether this call did."""
    head = unit.head()
    if unit.entry(slot.slot) is not None:
        return False
    # While a process is paused, declines or overlaps, no run closes to make a purge due.
    entries = unit.rows.count_entries()
    last, missed = _account(unit, head, slot)
    # Of the range that is ended, nothing is entered that the ledger has.
    after = slot.after if slot.after is None or last is None else max(slot.after, last)
    unit.add(SlotEntry(slot.slot, end, unit.now, by, after=after))
    # An entry may bring one "missed" along, so that a multiple is stepped over by one at most.
    if not head.purge_due and (entries + 1 + missed) % LEDGER_STEP < 2:
        head.purge_due = True
    return True


def _takes_slot(unit: Unit, slot: SlotRef, again: Again, head: Head, entry: SlotEntry | None, last: Run | None) -> bool:
    """Whether a run of `slot` may start, if nothing is open: one run a slot unless `again` allows more (B12)."""
    if again is Again.ALWAYS:
        return True
    if last is not None:
        return again is Again.IF_CHANGED and not last.state.is_open and unit.rows.changed_since(last.started_at)
    if entry is not None and not entry.end.may_still_run:
        return False
    return head.last_slot is None or slot.slot > head.last_slot or head.last_slot - unit.now > CLOCK_FAULT


def _refused(unit: Unit, head: Head) -> RunClaim | None:
    if head.paused is not None:
        return RunClaim(RunAnswer.PAUSED)
    found = unit.open_run()
    return None if found is None else RunClaim(RunAnswer.OVERLAPPED, open_run=found.id)


def _account(unit: Unit, head: Head, slot: SlotRef) -> tuple[datetime | None, bool]:
    """Enter the slots that nobody took since the last one in the ledger, as one entry, and note the rule they follow.

    Return that last one, and whether there were such slots.
    """
    before = unit.rows.entries(before=slot.slot, limit=1)
    last = before[0].slot if before else None
    missed = last is not None and slot.previous is not None and head.rule == slot.schedule and last < slot.previous
    if missed and slot.previous is not None:
        unit.add(SlotEntry(slot.previous, SlotEnd.MISSED, unit.now, "", after=last))
    if slot.schedule and slot.schedule != head.rule:
        head.rule = slot.schedule
    return last, missed


def _start(
    unit: Unit,
    head: Head,
    slot: datetime,
    generation: int,
    entry: SlotEntry | None,
    *,
    uuid: str,
    spec: RunSpec,
    by: str,
    **more: Any,
) -> RunClaim:
    listed = unit.rows.work_counts().get(WorkList.ACTIVE, 0) if spec.percent is not None else 0
    fields = {
        "epoch": _next_epoch(head.epoch, unit.now),
        "uuid": uuid,
        "slot": slot,
        "generation": generation,
        "started_at": unit.now,
        "progress_at": unit.now,
        "listed_before": unit.now,
        "settings_version": unit.overrides().version,
        "defaults": spec.defaults,
        "work_limit": spec.work_limit,
        "error_limit": rules.spec_limit(spec, listed),
    }
    run = Run(**{**fields, **more})
    unit.add(run)
    head.epoch, head.last_slot = run.epoch, max(head.last_slot or slot, slot)
    unit.add(SlotEntry(slot, SlotEnd.RAN, unit.now, By.noted(by, before=entry.by if entry else None), run.id))
    return RunClaim(RunAnswer.CLAIMED, status_of(unit, run))


def _next_epoch(last: int, now: datetime) -> int:
    """Return the epoch of a new run, given the last one that the store knows of: at least the seconds since 2026.

    A store that lost its last writes, in a failover or a restore, counts on from an older epoch. Without the seconds it
    would give a run the number of one that it has forgotten, and the same fencing tokens once more.
    """
    return max(last + 1, (now - EPOCHS_BEGIN) // timedelta(seconds=1))
