"""The walk over the lists: which names a run enlists next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.states import ItemState, WorkList, WorkState
from celery_process.stores.sql.keys import CHUNK, among
from celery_process.stores.sql.transaction import Transaction

REDRIVE_CHUNK = 10 * CHUNK
"""Names that a redrive reads at a time: it skips most of them."""


def next_names(tx: Transaction, run: Row[Any], on: WorkList, after: str, size: int) -> list[Row[Any]]:
    """Return up to `size` names with their versions, in name order, that the run has not enlisted and should.

    Names listed after the run began are for the next run. A name with a status of this run was folded already, even if
    its item is deleted. A redrive skips what completed in the runs before it.
    """
    most = REDRIVE_CHUNK if run.redrives else CHUNK
    chosen: list[Row[Any]] = []
    while len(chosen) < size:
        found = _listed(tx, run, on, after, most)
        taken = _taken(tx, run, on, [row.name for row in found]) if found else set()
        chosen.extend(row for row in found if row.name not in taken)
        if len(found) < most:
            break
        after = found[-1].name
    return chosen[:size]


def _listed(tx: Transaction, run: Row[Any], on: WorkList, after: str, most: int) -> Sequence[Row[Any]]:
    work = tx.t.work
    on_list = (work.c.process == run.process, work.c.on_list == on, work.c.name > after)
    listed = sa.or_(work.c.listed_at <= run.listed_before, work.c.listed_at > tx.now)  # `rules.listed_for`
    query = sa.select(work.c.name, work.c.params_version).where(*on_list, listed)
    return tx.rows(query.order_by(work.c.name).limit(most))


def cursor_of(run: Row[Any]) -> rules.Cursor | None:
    """Return where the walk of a run stands; None at the end of both lists."""
    return None if run.cursor_list is None else (run.cursor_list, run.cursor_name)


def _taken(tx: Transaction, run: Row[Any], on: WorkList, names: list[str]) -> set[str]:
    """Return those of the names that the run has, had, or need not have."""
    item, status = tx.t.item, tx.t.status
    had = sa.select(status.c.name).where(
        status.c.process == run.process, status.c.epoch == run.epoch, among(status.c.name, names)
    )
    of_names = (item.c.process == run.process, among(item.c.name, names))
    taken = {*tx.column(sa.select(item.c.name).where(*of_names, item.c.epoch == run.epoch)), *tx.column(had)}
    if run.redrives:
        taken |= _completed(tx, run, on, names)
    return taken


def _completed(tx: Transaction, run: Row[Any], on: WorkList, names: list[str]) -> set[str]:
    """Return those of the names that completed in a run that this one redrives.

    Such a run walked past them and keeps no item of theirs, or a completed one.
    """
    item, runs = tx.t.item, tx.t.run
    before = tx.rows(sa.select(runs).where(runs.c.process == run.process, runs.c.epoch.in_(run.redrives)))
    columns = (item.c.epoch, item.c.name, item.c.on_list, item.c.state, item.c.outcome)
    of_names = (item.c.process == run.process, item.c.epoch.in_(run.redrives), among(item.c.name, names))
    kept = {(row.epoch, row.name): row for row in tx.rows(sa.select(*columns).where(*of_names))}
    done = (on, ItemState.DONE, WorkState.COMPLETED)

    def completed(name: str, old: Row[Any]) -> bool:
        row = kept.get((old.epoch, name))
        if row is None:
            return rules.walked(cursor_of(old), on, name)
        return (row.on_list, row.state, row.outcome) == done

    return {name for name in names if any(completed(name, old) for old in before)}
