"""How a run begins: claimed for its slot, or as a new generation of a closed one; and why a slot did not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery_process.exceptions import RunPurged
from celery_process.protocol import rules
from celery_process.protocol.model import RunClaim, RunSpec, SlotEntry, SlotRef
from celery_process.protocol.rows import Head, Rows, Run
from celery_process.protocol.states import Again, By, RunAnswer, SlotEnd

CLOCK_FAULT = timedelta(hours=1)
"""A last slot this far ahead of the store's clock was claimed by a clock that was wrong; it holds up no slot (W5)."""
EPOCHS_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""Epochs are seconds since, if runs do not follow faster; with 16 bits of attempts they stay below 2^53 for 4,000 years."""
LEDGER_STEP = 100
"""Entries of the ledger after each of which a purge is due."""


def claim_run(rows: Rows, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
    """Start the run of a slot, if it is due and free and nothing is open. A repeat with the same uuid returns that run."""
    head, mine = rows.head(), rows.run_of_uuid(uuid)
    if mine is not None:
        return RunClaim(RunAnswer.ALREADY, rows.status(mine))
    if slot.due_at > rows.now:
        return RunClaim(RunAnswer.NOT_DUE, due_in=slot.due_at - rows.now)
    last, entry = rows.newest_run_of_slot(slot.slot), rows.entry(slot.slot)
    if not _takes_slot(rows, slot, again, head, entry, last):
        return RunClaim(RunAnswer.LOST)
    refused = _refused(rows, head)
    if refused is not None:
        return refused
    _account(rows, head, slot)
    generation = 0 if last is None else last.generation + 1
    return _start(rows, head, slot.slot, generation, entry, uuid=uuid, spec=spec, by=by)


def redrive(rows: Rows, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
    """Start a new generation of a closed run's slot over what did not complete in it, nor in those it redrove.

    Raises `RunNotFound`, or `RunPurged` where the items of one of them are no longer kept.
    """
    head, old = rows.head(), rows.run_of_epoch(rules.epoch_of(run))
    if old is None or old.id != run:
        raise rules.run_not_found(rows.process, run)
    mine = rows.run_of_uuid(uuid)
    refused = RunClaim(RunAnswer.ALREADY, rows.status(mine)) if mine is not None else _refused(rows, head)
    if refused is not None:
        return refused
    chain = (old.epoch, *old.redrives)
    kept = [rows.run_of_epoch(epoch) for epoch in chain]
    if any(one is None or one.items_purged for one in kept):
        raise RunPurged(
            f"The items of run {run!r} are no longer kept; start a whole run with `run_now()`.",
            process=rows.process,
            run=run,
        )
    last, entry = rows.newest_run_of_slot(old.slot) or old, rows.entry(old.slot)
    more = {"redrives": chain, "listed_before": old.listed_before}
    return _start(rows, head, old.slot, last.generation + 1, entry, uuid=uuid, spec=spec, by=by, **more)


def skip_slot(rows: Rows, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
    """Write down why a slot did not run, unless the ledger has it; return whether this call did."""
    head = rows.head()
    if rows.entry(slot.slot) is not None:
        return False
    # While a process is paused, declines or overlaps, no run closes to make a purge due.
    entries = rows.entries()
    last, missed = _account(rows, head, slot)
    # Of the range that is ended, nothing is entered that the ledger has.
    after = slot.after if slot.after is None or last is None else max(slot.after, last)
    rows.enter(SlotEntry(slot.slot, end, rows.now, by, after=after))
    # An entry may bring one "missed" along, so that a multiple is stepped over by one at most.
    if not head.purge_due and (entries + 1 + missed) % LEDGER_STEP < 2:
        rows.make_purge_due()
    return True


def _takes_slot(rows: Rows, slot: SlotRef, again: Again, head: Head, entry: SlotEntry | None, last: Run | None) -> bool:
    """Whether a run of `slot` may start, if nothing is open: one run a slot unless `again` allows more (B12)."""
    if again is Again.ALWAYS:
        return True
    if last is not None:
        return again is Again.IF_CHANGED and not last.state.is_open and rows.changed_since(last.started_at)
    if entry is not None and not entry.end.may_still_run:
        return False
    return head.last_slot is None or slot.slot > head.last_slot or head.last_slot - rows.now > CLOCK_FAULT


def _refused(rows: Rows, head: Head) -> RunClaim | None:
    if head.paused:
        return RunClaim(RunAnswer.PAUSED)
    found = rows.open_run()
    return None if found is None else RunClaim(RunAnswer.OVERLAPPED, open_run=found)


def _account(rows: Rows, head: Head, slot: SlotRef) -> tuple[datetime | None, bool]:
    """Enter the slots that nobody took since the last one in the ledger, as one entry, and note the rule they follow.

    Return that last one, and whether there were such slots.
    """
    last = rows.last_entry_before(slot.slot)
    missed = last is not None and slot.previous is not None and head.rule == slot.schedule and last < slot.previous
    if missed and slot.previous is not None:
        rows.enter(SlotEntry(slot.previous, SlotEnd.MISSED, rows.now, "", after=last))
    if slot.schedule and slot.schedule != head.rule:
        rows.follow(slot.schedule)
    return last, missed


def _start(
    rows: Rows,
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
    listed = rows.active_works() if spec.percent is not None else 0
    fields = {
        "epoch": _next_epoch(head.epoch, rows.now),
        "uuid": uuid,
        "slot": slot,
        "generation": generation,
        "started_at": rows.now,
        "listed_before": rows.now,
        "settings_version": rows.settings_version(),
        "defaults": spec.defaults,
        "work_limit": spec.work_limit,
        "error_limit": rules.spec_limit(spec, listed),
    }
    run = Run(**{**fields, **more})
    rows.begin_run(run, max(head.last_slot or slot, slot))
    rows.enter(SlotEntry(slot, SlotEnd.RAN, rows.now, By.noted(by, before=entry.by if entry else None), run.id))
    return RunClaim(RunAnswer.CLAIMED, rows.status(run))


def _next_epoch(last: int, now: datetime) -> int:
    """Return the epoch of a new run, given the last one that the store knows of: at least the seconds since 2026.

    A store that lost its last writes, in a failover or a restore, counts on from an older epoch. Without the seconds it
    would give a run the number of one that it has forgotten, and the same fencing tokens once more.
    """
    return max(last + 1, (now - EPOCHS_BEGIN) // timedelta(seconds=1))
