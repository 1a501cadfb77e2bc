"""Folds: a page without open items is added to its run, and its completed items are deleted.

A page closes in a transaction after the one that ended its last item. So of two last finishers, the later sees the
page empty, and the compare-and-set on the page lets one of them fold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from celery_process.protocol import rules
from celery_process.protocol.model import Stats
from celery_process.protocol.reports import Settled, Totals
from celery_process.protocol.states import ItemState, WorkList, WorkState
from celery_process.stores.sql.columns import TOTALS
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.pages import close_if_due, locked_run, write_run
from celery_process.stores.sql.transaction import Transaction

KINDS = 4
"""Kinds of items of a page that the database folds by itself, each with a statement."""


def fold_if_done(db: Database, operation: str, key: RunKey, pages: Collection[int]) -> Settled:
    """Fold those of the pages that have no open item, and close the run if nothing more is to come.

    No transaction may be open here: the later one of two that ended the last items of a page has to see it empty.
    """
    settled = Settled()
    if not pages:
        return settled
    # No item of a page is opened again, so that what is read here holds in the next transaction.
    still_open = db.peek(operation, _with_open, pages)
    for page in pages:
        if page not in still_open:
            settled |= db.write(operation, _fold, key, page)
    return settled


def _with_open(tx: Transaction, pages: Collection[int]) -> set[int]:
    return set(tx.column(tx.built(_open_of), ids=list(pages)))


def _open_of(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    return sa.select(item.c.page_id).where(tx.is_id(item.c.page_id), tx.t.item_is_open).distinct()


def _fold(tx: Transaction, key: RunKey, page: int) -> Settled:
    table = tx.t.page
    still_open = (table.c.id == page, table.c.is_open.is_(True))
    # The opener's token opens a new page from now on, since the names of this one are deleted.
    if not tx.change(sa.update(table).where(*still_open).values(is_open=False, token=str(page))):
        return Settled()
    alike = _keep_alike(tx, page)
    items = tx.rows(tx.built(_others if alike else _all_of), page=page)
    _keep_statuses(tx, items)
    # Of a completed item only its status is kept. No transaction waits for its lock: an ended item is written no more.
    tx.change(tx.built(_completed), page=page)
    row = locked_run(tx, key)
    if row is None:
        return Settled()
    counts = Counter(row.counts)
    counts.update(rules.count_name(found.state, found.outcome) for found in items)
    counts.update({rules.count_name(ItemState.DONE, WorkState.COMPLETED): sum(group.number for group in alike)})
    stats: list[Stats] = [rules.item_stats(found.state, found.outcome, found.on_list, found.totals) for found in items]
    stats += [one for group in alike for one in group.stats()]
    summed = rules.sum_stats([row.stats, *stats])
    write_run(tx, row, counts=dict(+counts), stats=summed, pages_open=row.pages_open - 1, progress_at=tx.now)
    return Settled(page_closed=True, run=close_if_due(tx, key))


@dataclass(frozen=True, slots=True)
class Alike:
    """Items of a page that completed without an error and counted the same; `text` is how the database keeps that."""

    on: WorkList
    text: str
    totals: Totals
    number: int

    def stats(self) -> list[Stats]:
        """Return what they add to the stats of their run: floats one by one, as they would add up singly."""
        one = rules.item_stats(ItemState.DONE, WorkState.COMPLETED, self.on, self.totals)
        if all(isinstance(count, int) for count in one.values()):
            return [{name: count * self.number for name, count in one.items()}]
        return [one] * self.number


def _keep_alike(tx: Transaction, page: int) -> list[Alike]:
    """Keep the statuses of items that are alike inside the database, unless they are of too many kinds."""
    if not tx.folds_itself:
        return []
    dialect = tx.conn.dialect
    found = tx.rows(tx.built(_kinds), page=page)
    if len(found) > KINDS:
        return []
    alike = [Alike(row.on_list, row.text, TOTALS.process_result_value(row.text, dialect), row.number) for row in found]
    for group in alike:
        tx.change(tx.built(_put_alike), page=page, counted=group.text, kept_stats=dict(group.totals.stats))
    return alike


def _is_completed(tx: Transaction) -> sa.ColumnElement[bool]:
    item = tx.t.item
    completed = (item.c.state == ItemState.DONE, item.c.outcome == WorkState.COMPLETED)
    return sa.and_(item.c.page_id == sa.bindparam("page"), *completed)


def _clean(tx: Transaction) -> sa.ColumnElement[bool]:
    # Of an item that is not done this is false and not unknown, though it has no outcome: so its opposite finds it.
    item = tx.t.item
    return sa.and_(_is_completed(tx), item.c.error_count == 0, item.c.errors == ())


def _kinds(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    text = sa.type_coerce(item.c.totals, sa.Text).label("text")
    counted = (item.c.on_list, text, sa.func.count().label("number"))
    return sa.select(*counted).where(_clean(tx)).group_by(item.c.on_list, item.c.totals).limit(KINDS + 1)


def _put_alike(tx: Transaction) -> sa.Insert:
    item, status = tx.t.item, tx.t.status
    values: dict[str, Any] = {
        "process": item.c.process,
        "name": item.c.name,
        "params_version": item.c.params_version,
        "epoch": item.c.epoch,
        "state": sa.literal(WorkState.COMPLETED, status.c.state.type),
        "stats": sa.bindparam("kept_stats", type_=status.c.stats.type),
        "errors": sa.literal((), status.c.errors.type),
        "error_count": sa.literal(0),
        "last_error_at": item.c.last_error_at,
        "started_at": item.c.started_at,
        "finished_at": item.c.finished_at,
        "attempt": item.c.attempt,
        "token": item.c.token,
    }
    counted = sa.type_coerce(item.c.totals, sa.Text) == sa.bindparam("counted", type_=sa.Text)
    alike = sa.select(*values.values()).where(_clean(tx), counted).order_by(item.c.name)
    return tx.put_from(status, list(values), alike, where=lambda new: status.c.epoch <= new.epoch)


def _all_of(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    return sa.select(item).where(item.c.page_id == sa.bindparam("page")).order_by(item.c.name)


def _others(tx: Transaction) -> sa.Select[Any]:
    return _all_of(tx).where(sa.not_(_clean(tx)))


def _completed(tx: Transaction) -> sa.Delete:
    return sa.delete(tx.t.item).where(_is_completed(tx))


def _keep_statuses(tx: Transaction, items: Any) -> None:
    table = tx.t.status
    rows = [
        {
            "process": item.process,
            "name": item.name,
            "params_version": item.params_version,
            "epoch": item.epoch,
            "state": rules.work_state(item.state, item.outcome),
            "stats": item.totals.stats,
            "errors": item.errors,
            "error_count": item.error_count,
            "last_error_at": item.last_error_at,
            "started_at": item.started_at,
            "finished_at": item.finished_at,
            "attempt": item.attempt,
            "token": item.token,
        }
        for item in items
        if item.state is not ItemState.REMOVED
    ]
    if rows:
        replaced = [column.name for column in table.c if column.name not in ("id", "process", "name")]
        tx.put(
            table,
            rows,
            lambda new: {column: new[column] for column in replaced},
            where=lambda new: table.c.epoch <= new.epoch,
        )
