"""The ledger: how every slot ended. Written under the lock of the process row, for a range depends on the last entry."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol.model import NewestSlot, SlotEntry
from celery_process.protocol.states import By
from celery_process.stores.sql.keys import among, chunks
from celery_process.stores.sql.transaction import Transaction


def entry_of(row: Row[Any]) -> SlotEntry:
    """Return the entry in a row."""
    return SlotEntry(row.slot, row.slot_end, row.noted_at, row.noted_by, row.run, row.after_slot)


def find(tx: Transaction, process: str, slot: datetime) -> SlotEntry | None:
    """Return the entry of a slot."""
    table = tx.t.slot
    row = tx.first(sa.select(table).where(table.c.process == process, table.c.slot == slot))
    return None if row is None else entry_of(row)


def newest(tx: Transaction, processes: Collection[str]) -> dict[str, NewestSlot]:
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


def write(tx: Transaction, process: str, entry: SlotEntry) -> None:
    """Write an entry in the place of what the slot has."""
    row = {
        "process": process,
        "slot": entry.slot,
        "after_slot": entry.after,
        "slot_end": entry.end,
        "noted_at": entry.at,
        "noted_by": entry.by,
        "run": entry.run_id,
    }
    replaced = [column for column in row if column not in ("process", "slot")]
    tx.put(tx.t.slot, [row], lambda new: {column: new[column] for column in replaced})
