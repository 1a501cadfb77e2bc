"""Deletion past the retention, in chunks: items of closed runs, runs, dropped registrations, the ledger's tail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from celery_process.protocol.model import Retention
from celery_process.protocol.states import WorkList
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.keys import CHUNK
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction
from celery_process.stores.sql.unit import locked_process


def purge(db: Database, process: str, *, retention: Retention, limit: int) -> int:
    """Delete up to about `limit` rows, each chunk in a transaction of its own; return how many."""
    old, gone = db.write("purge", _mark, process, retention)
    steps: tuple[Callable[[Transaction, int], int], ...] = (
        lambda tx, most: _items(tx, process, old, most),
        lambda tx, most: _runs(tx, process, gone, most),
        lambda tx, most: _dropped(tx, process, retention, most),
        lambda tx, most: _slots(tx, process, retention.slots, most),
    )
    deleted = 0
    for step in steps:
        while (most := min(CHUNK, limit - deleted)) > 0:
            done = db.write("purge", step, most)
            deleted += done
            if done < most:
                break
    if deleted >= limit:
        db.write("purge", _note, process, due=True)
    return deleted


def _mark(tx: Transaction, process: str, retention: Retention) -> tuple[list[int], list[int]]:
    """Return the closed runs whose items are to be deleted, and those of them to be deleted whole.

    They are marked before the first item is deleted and under the process row's lock, so that no redrive begins over a part
    of them. What the open run redrives stays until it is closed. A run that closes later requests a purge again.
    """
    run = tx.t.run
    locked_process(tx, process)
    _note(tx, process, due=False)
    spared = {epoch for epochs in tx.column(_open(tx, process)) for epoch in epochs}
    closed = sa.select(run.c.epoch).where(run.c.process == process, run.c.state.not_in(OPEN_RUNS))
    epochs = tx.column(closed.order_by(run.c.epoch.desc()))
    gone = [epoch for epoch in epochs[retention.runs :] if epoch not in spared]
    old = [epoch for epoch in epochs[min(retention.runs, retention.runs_with_items) :] if epoch not in spared]
    unmarked = (run.c.process == process, run.c.epoch.in_(old), run.c.items_purged.is_(False))
    if old:
        tx.change(sa.update(run).where(*unmarked).values(items_purged=True))
    return old, gone


def _open(tx: Transaction, process: str) -> sa.Select[Any]:
    run = tx.t.run
    return sa.select(run.c.redrives).where(run.c.process == process, one_of(run.c.state, OPEN_RUNS))


def _items(tx: Transaction, process: str, epochs: list[int], most: int) -> int:
    item, page = tx.t.item, tx.t.page
    found = tx.column(sa.select(item.c.id).where(item.c.process == process, item.c.epoch.in_(epochs)).limit(most))
    if len(found) < most:
        tx.change(sa.delete(page).where(page.c.process == process, page.c.epoch.in_(epochs)))
    return _delete(tx, item, found)


def _runs(tx: Transaction, process: str, epochs: list[int], most: int) -> int:
    run, item = tx.t.run, tx.t.item
    empty = ~sa.exists().where(item.c.process == run.c.process, item.c.epoch == run.c.epoch)
    found = sa.select(run.c.id).where(run.c.process == process, run.c.epoch.in_(epochs), empty)
    return _delete(tx, run, tx.column(found.limit(most)))


def _dropped(tx: Transaction, process: str, retention: Retention, most: int) -> int:
    """Delete registrations that were dropped long ago or are too many, with their status, but none that is locked."""
    work, status = tx.t.work, tx.t.status
    dropped = (work.c.process == process, work.c.on_list == WorkList.DROPPED)
    kept = sa.select(work.c.id).where(*dropped, work.c.listed_at > tx.now - retention.dropped_for)
    kept = kept.order_by(work.c.listed_at.desc(), work.c.name.desc()).limit(retention.dropped)
    over = sa.select(work.c.id).where(*dropped, work.c.id.not_in(sa.select(kept.subquery().c.id)))
    chosen = tx.column(over.order_by(work.c.name).limit(most))
    free = sa.select(work.c.id, work.c.name).where(work.c.id.in_(chosen), *dropped)
    found = tx.rows(free.order_by(work.c.name).with_for_update(skip_locked=True)) if chosen else []
    if found:
        names = [row.name for row in found]
        _delete(tx, work, [row.id for row in found])
        tx.change(sa.delete(status).where(status.c.process == process, status.c.name.in_(names)))
    return len(found)


def _slots(tx: Transaction, process: str, kept: int, most: int) -> int:
    table = tx.t.slot
    over = sa.select(table.c.id).where(table.c.process == process).order_by(table.c.slot.desc()).offset(kept)
    return _delete(tx, table, tx.column(over.limit(most)))


def _delete(tx: Transaction, table: sa.Table, ids: Any) -> int:
    return tx.change(sa.delete(table).where(table.c.id.in_(ids))) if ids else 0


def _note(tx: Transaction, process: str, *, due: bool) -> None:
    table = tx.t.process
    tx.change(sa.update(table).where(table.c.name == process).values(purge_due=due))
