"""Which slots beat owes, by the ledger: `doctor`, the health pages and the metrics judge beat by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from celery_process.process import Process
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.states import By, WorkList
from celery_process.schedule.frequency import Frequency

LATE_LEAST, LATE_MOST = timedelta(seconds=30), timedelta(minutes=5)
"""How late a slot may be: as long as the schedule, between these two."""
MAX_ENTRIES = 50
"""How many entries of the ledger, and how many items, are read to judge beat."""


def allowed_delay(process: Process, current: Frequency, slot: datetime) -> timedelta:
    """Return how late a slot may come."""
    every = current.occurrences.following(slot) - slot
    return max(min(every, LATE_MOST), LATE_LEAST) + process.definition.jitter + process.definition.initial_wait


def overdue_slot(
    process: Process, current: Frequency, overrides: Overrides, entries: Sequence[SlotEntry]
) -> tuple[datetime | None, datetime | None]:
    """Return the first slot that beat owes, and since when it has triggered none; `entries` are newest first.

    Where beat never triggered a slot, the time counts from the first registration; without items beat owes nothing. A slot
    that somebody ran by hand in time is not owed, nor is a single one that the sweep triggered: the broker may have lost
    beat's message.
    """
    triggered = next((entry for entry in entries if entry.by in (By.BEAT, By.TASK)), None)
    if triggered is not None:
        since = triggered.slot
    else:
        listed = process.store.works(process.name, on=WorkList.ACTIVE, after="", limit=MAX_ENTRIES)
        begun = [work.listed_at for work in listed] + [entry.at for entry in entries]
        if not begun:
            return None, None
        since = min(begun)
    by_slot, swept = {entry.slot: entry for entry in entries}, 0
    slot = current.occurrences.following(max(since, overrides.changed_at or since))
    while (entry := by_slot.get(slot)) is not None:
        swept += entry.by == By.SWEEP
        in_time = entry.at - slot <= allowed_delay(process, current, slot)
        if swept > 1 or not (in_time or entry.by == By.SWEEP):
            break
        slot = current.occurrences.following(slot)
    return slot, since


def newest_slot(process: Process) -> SlotEntry | None:
    """Return the newest entry of the ledger, if there is one."""
    return next(iter(process.store.slots(process.name, before=None, limit=1)), None)


def due_slot(current: Frequency | None, newest: SlotEntry | None, changed_at: datetime | None) -> datetime | None:
    """Return the slot that follows the newest in the ledger; None without a schedule, and while the ledger is empty.

    `changed_at`: when the stored settings changed; after a schedule was shortened, no slot before that time is due.
    """
    if current is None or newest is None:
        return None
    return current.occurrences.following(max(newest.slot, changed_at or newest.slot))
