"""What is read of many processes at once: a statement for all of them, or for some hundred."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from celery_process.protocol.model import NewestSlot
from celery_process.protocol.states import By
from celery_process.stores.sql.keys import among, chunks
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction


def now(tx: Transaction) -> datetime:
    """Return the store's clock."""
    return tx.now


def schedules(tx: Transaction) -> Mapping[str, str]:
    """Return the stored schedules by process."""
    table = tx.t.settings
    rows = tx.rows(sa.select(table.c.process, table.c.schedule).where(table.c.schedule.is_not(None)))
    return {row.process: row.schedule for row in rows}


def running(tx: Transaction) -> tuple[str, ...]:
    """Return the names of the processes that have an open run."""
    table = tx.t.run
    return tuple(sorted(tx.column(sa.select(table.c.process).where(one_of(table.c.state, OPEN_RUNS)))))


def newest_slots(tx: Transaction, processes: Collection[str]) -> dict[str, NewestSlot]:
    """Return the newest entry of each ledger that has one."""
    process, slot, any_slot = tx.t.process, tx.t.slot, tx.t.slot.alias()
    last = sa.select(sa.func.max(any_slot.c.slot)).where(any_slot.c.process == process.c.name).scalar_subquery()
    scheduled = sa.exists().where(any_slot.c.process == process.c.name, any_slot.c.noted_by.in_(list(By)))
    entries = process.join(slot, sa.and_(slot.c.process == process.c.name, slot.c.slot == last))
    found = sa.select(slot, process.c.paused_at, scheduled.label("scheduled")).select_from(entries)
    return {
        row.process: NewestSlot(row.slot, row.slot_end, row.noted_by, bool(row.scheduled), row.paused_at is not None)
        for chunk in chunks(processes)
        for row in tx.rows(found.where(among(process.c.name, chunk)))
    }
