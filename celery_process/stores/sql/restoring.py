"""What comes from another store, written as it was there. Rows of callers first, the process last: the order of locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from celery_process.instants import to_us
from celery_process.jsontext import encode
from celery_process.protocol import rules
from celery_process.protocol.model import Overrides, StoredProcess, WorkInfo
from celery_process.stores.sql import history
from celery_process.stores.sql.keys import chunks
from celery_process.stores.sql.reads import overrides
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction, Values
from celery_process.stores.sql.unit import locked_process


def restore(tx: Transaction, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool) -> None:
    """Write items, overrides, and the process's own row; refuse while a run is open."""
    _put_works(tx, process, works, force=force)
    _put_overrides(tx, process, stored.overrides)
    table, run = tx.t.process, tx.t.run
    row = locked_process(tx, process)
    found = tx.first(sa.select(run).where(run.c.process == process, one_of(run.c.state, OPEN_RUNS)))
    if found is not None:
        raise rules.run_open(process, status_of(tx, found, live=False))
    values: dict[str, Any] = {
        "epoch": max(row.epoch, stored.epoch),
        "last_slot": max(filter(None, (row.last_slot, stored.last_slot)), default=None),
        "aggregate_stats": stored.aggregate_stats,
    }
    if stored.paused is not None:
        pause = stored.paused
        values |= {"paused_at": pause.at, "pause_note": pause.note, "paused_by": pause.by}
    if stored.limits is not None:
        values |= {"limits": stored.limits}
    tx.change(sa.update(table).where(table.c.name == process).values(**values))


def _put_works(tx: Transaction, process: str, works: Sequence[WorkInfo], *, force: bool) -> None:
    work = tx.t.work.c

    def change(new: Any) -> Values:
        after = work.params_version + sa.literal_column("1")
        return {
            "on_list": new.on_list,
            "listed_at": new.listed_at,
            "params": new.params,
            "params_version": sa.case((new.params_version > work.params_version, new.params_version), else_=after),
        }

    def differs(new: Any) -> sa.ColumnElement[bool]:
        older, other = work.params_version < new.params_version, work.params_version != new.params_version
        return sa.or_(older, sa.and_(sa.literal(force), other))

    rows = [
        {
            "process": process,
            "name": each.name,
            "on_list": each.on,
            "listed_at": each.listed_at,
            "params": encode(each.params),
            "params_version": to_us(each.changed_at),
        }
        for each in sorted(works, key=lambda each: each.name)
    ]
    for chunk in chunks(rows):
        tx.put(tx.t.work, chunk, change, where=differs)


def _put_overrides(tx: Transaction, process: str, given: Overrides) -> None:
    old = overrides(tx, process)
    kept = rules.restored(old, given)
    if kept == old:
        return
    row = {
        "process": process,
        "settings": kept.settings,
        "schedule": kept.schedule,
        "version": kept.version,
        "changed_at": kept.changed_at or tx.now,
        "changed_by": kept.by,
    }
    tx.put(tx.t.settings, [row], lambda new: {column: new[column] for column in row if column != "process"})
    if kept.version > old.version:
        history.keep(tx, process, kept.version)
