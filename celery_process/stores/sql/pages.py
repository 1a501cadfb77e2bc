"""Pages: opened with the next names of a run, folded into it once nothing of them is open, and the close of the run.

A page closes in a transaction after the one that ended its last item. So of two last finishers, the later sees the
page empty, and the compare-and-set on the page lets one of them fold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process import rules
from celery_process.model import Page, RunStatus, Totals
from celery_process.states import ItemState, PageAnswer, WorkList, WorkState
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction
from celery_process.stores.sql.walk import cursor_of, next_names


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether a call closed a page, and the run if it closed that."""

    page_closed: bool = False
    run: RunStatus | None = None

    def __or__(self, other: Settled) -> Settled:
        return Settled(self.page_closed or other.page_closed, self.run or other.run)


def locked_run(tx: Transaction, key: RunKey) -> Row[Any] | None:
    """Lock and return the row of a run."""
    return tx.first(sa.select(tx.t.run).where(key.row(tx.t.run)).with_for_update())


def open_pages(tables: Tables, key: RunKey) -> sa.Select[Any]:
    """Select the ids of the run's open pages; they rise as pages are opened."""
    page = tables.page
    return sa.select(page.c.id).where(key.rows(page), page.c.is_open.is_(True))


def list_open_pages(tx: Transaction, key: RunKey) -> list[int]:
    """Return the ids that `open_pages` selects."""
    return list(tx.column(open_pages(tx.t, key).order_by(tx.t.page.c.id)))


def settle(db: Database, operation: str, key: RunKey, pages: Collection[int]) -> Settled:
    """Fold those of the pages that have nothing open any more, and close the run if it is due.

    No transaction may be open here: the later one of two that ended the last items of a page has to see it empty.
    """
    settled = Settled()
    if not pages:
        return settled
    # Nothing of a page is opened again, so that what is seen here holds in the next transaction.
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
    # Its opener's token is free again: with it a new page is opened, for the names of this one are gone.
    if not tx.change(sa.update(table).where(*still_open).values(is_open=False, token=str(page))):
        return Settled()
    plain = _keep_plain(tx, page)
    items = tx.rows(tx.built(_of_page), page=page)
    _keep_statuses(tx, items)
    # What completed leaves its status alone behind. Nobody waits for a lock on it: what is over is written no more.
    tx.change(tx.built(_completed), page=page)
    row = locked_run(tx, key)
    if row is None:
        return Settled()
    stats = [rules.item_stats(found.state, found.outcome, found.on_list, found.totals) for found in items]
    counts = Counter(row.counts)
    counts.update(rules.count_name(found.state, found.outcome) for found in items)
    for on, number in plain.items():
        counts[rules.count_name(ItemState.DONE, WorkState.COMPLETED)] += number
        one = rules.item_stats(ItemState.DONE, WorkState.COMPLETED, on, Totals())
        stats.append({name: count * number for name, count in one.items()})
    summed = rules.sum_stats([row.stats, *stats])
    _write(tx, row, counts=dict(counts), stats=summed, pages_open=row.pages_open - 1, progress_at=tx.now)
    return Settled(page_closed=True, run=close_if_due(tx, key))


def _of_page(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    return sa.select(item).where(item.c.page_id == sa.bindparam("page"), sa.not_(_is_plain(tx))).order_by(item.c.name)


def _completed(tx: Transaction) -> sa.Delete:
    item = tx.t.item
    completed = (item.c.state == ItemState.DONE, item.c.outcome == WorkState.COMPLETED)
    return sa.delete(item).where(item.c.page_id == sa.bindparam("page"), *completed)


def _is_plain(tx: Transaction) -> sa.ColumnElement[bool]:
    """Return whether an item completed and counted nothing, so that the database can keep its status by itself."""
    item = tx.t.item
    if not tx.folds_itself:
        return sa.false()
    empty = (item.c.totals == Totals(), item.c.errors == (), item.c.error_count == 0)
    completed = (item.c.state == ItemState.DONE, item.c.outcome == WorkState.COMPLETED)
    return sa.and_(*completed, *(sa.func.coalesce(condition, sa.false()) for condition in empty))


def _keep_plain(tx: Transaction, page: int) -> Counter[WorkList]:
    """Keep the statuses of the items of a page that completed and counted nothing; return how many, by their list."""
    if not tx.folds_itself:
        return Counter()
    found = {row.on_list: row.items for row in tx.rows(tx.built(_count_plain), page=page)}
    if found:
        tx.change(tx.built(_put_plain), page=page)
    return Counter(found)


def _count_plain(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    plain = (item.c.page_id == sa.bindparam("page"), _is_plain(tx))
    return sa.select(item.c.on_list, sa.func.count().label("items")).where(*plain).group_by(item.c.on_list)


def _put_plain(tx: Transaction) -> sa.Insert:
    item, status = tx.t.item, tx.t.status
    values: dict[str, Any] = {
        "process": item.c.process,
        "name": item.c.name,
        "params_version": item.c.params_version,
        "epoch": item.c.epoch,
        "state": sa.literal(WorkState.COMPLETED, status.c.state.type),
        "stats": sa.literal({}, status.c.stats.type),
        "errors": sa.literal((), status.c.errors.type),
        "error_count": sa.literal(0),
        "last_error_at": item.c.last_error_at,
        "started_at": item.c.started_at,
        "finished_at": item.c.finished_at,
        "attempt": item.c.attempt,
    }
    plain = sa.select(*values.values()).where(item.c.page_id == sa.bindparam("page"), _is_plain(tx)).order_by(item.c.name)
    return tx.put_from(status, list(values), plain, where=lambda new: status.c.epoch <= new.epoch)


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


def close_if_due(tx: Transaction, key: RunKey) -> RunStatus | None:
    """Close a run whose row is locked, if its cursor is at its end and no page is open; return it if this call did."""
    run, process = tx.t.run, tx.t.process
    row = tx.first(sa.select(run).where(key.row(run)))
    if row is None or not row.state.is_open or row.pages_open or not rules.walk_over(row.state, cursor_of(row)):
        return None
    aggregate = tx.value(sa.select(process.c.aggregate_stats).where(process.c.name == key.process).with_for_update())
    state, reason = rules.closing(row.state, row.reason, row.counts.get("lost", 0))
    duration = tx.now - row.started_at
    stats = rules.finish_stats(row.stats, state=state, total_errors=row.total_errors, duration=duration)
    _write(tx, row, state=state, reason=reason, finished_at=tx.now, progress_at=tx.now, stats=stats)
    tx.change(
        sa.update(process)
        .where(process.c.name == key.process)
        .values(aggregate_stats=rules.sum_stats([aggregate or {}, stats]), purge_due=True)
    )
    closed = tx.first(sa.select(run).where(run.c.id == row.id))
    return None if closed is None else status_of(tx, closed)


def open_page(tx: Transaction, key: RunKey, *, token: str, size: int, window: int) -> Page:
    """Enlist the next names under the lock of the run's row; a page is never empty."""
    process = tx.t.process
    row = locked_run(tx, key)
    if row is None:
        return Page(PageAnswer.CLOSED)
    mine = _page_of(tx, key, token)
    if mine is not None:
        return mine
    if rules.walk_over(row.state, cursor_of(row)):
        return Page(PageAnswer.CLOSED, run=close_if_due(tx, key))
    if tx.value(sa.select(process.c.paused_at).where(process.c.name == key.process)) is not None:
        return Page(PageAnswer.PAUSED)
    in_hand = tx.value(sa.select(sa.func.count()).where(tx.t.item.c.page_id.in_(open_pages(tx.t, key)), tx.t.item_is_open))
    size = rules.room(size=size, window=window, open_items=in_hand)
    if not size:
        return Page(PageAnswer.FULL)
    on, after = row.cursor_list, row.cursor_name
    while on is not None:
        found = next_names(tx, row, on, after, size)
        if found:
            return _enlist(tx, row, on, found, token)
        if on is WorkList.ACTIVE and row.pages_open:
            return Page(PageAnswer.WAITING)
        on, after = (WorkList.CLEANUP if on is WorkList.ACTIVE else None), ""
    _write(tx, row, cursor_list=None, cursor_name="")
    return Page(PageAnswer.CLOSED, run=close_if_due(tx, key))


def _write(tx: Transaction, run: Row[Any], **values: Any) -> None:
    """Write to the row of a run, which is locked, and so is as it was read."""
    tx.change(sa.update(tx.t.run).where(tx.t.run.c.id == run.id).values(**values))


def _page_of(tx: Transaction, key: RunKey, token: str) -> Page | None:
    page, item = tx.t.page, tx.t.item
    found = tx.first(sa.select(page).where(key.rows(page), page.c.token == token))
    if found is None:
        return None
    names = sa.select(item.c.name).where(item.c.page_id == found.id).order_by(item.c.name)
    return Page(PageAnswer.OPENED, found.on_list, tuple(tx.column(names)))


def _enlist(tx: Transaction, row: Row[Any], on: WorkList, found: Any, token: str) -> Page:
    names = tuple(work.name for work in found)
    both = {"process": row.process, "epoch": row.epoch, "on_list": on}
    pages = {"pages_made": row.pages_made + 1, "pages_open": row.pages_open + 1}
    _write(tx, row, cursor_list=on, cursor_name=names[-1], **pages)
    page = {**both, "page": row.pages_made, "token": token, "opened_at": tx.now}
    of_page = {**both, "page_id": tx.add_one(tx.t.page, page)}
    tx.add(tx.t.item, [{**of_page, "name": work.name, "params_version": work.params_version} for work in found])
    return Page(PageAnswer.OPENED, on, names)
