"""Pages, opened with the next names of a run, and the close of a run that has none."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.limits import Limits, Pace, page_size
from celery_process.protocol.model import Page, RunStatus
from celery_process.protocol.states import PageAnswer, WorkList, moved
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction
from celery_process.stores.sql.unit import locked_process
from celery_process.stores.sql.walk import cursor_of, next_names


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
    write_run(tx, row, state=state, reason=reason, finished_at=tx.now, progress_at=tx.now, stats=stats)
    tx.change(
        sa.update(process)
        .where(process.c.name == key.process)
        .values(aggregate_stats=rules.sum_stats([aggregate or {}, stats]), purge_due=True)
    )
    closed = tx.first(sa.select(run).where(run.c.id == row.id))
    return None if closed is None else status_of(tx, closed)


def open_page(tx: Transaction, key: RunKey, *, token: str, size: int, window: int, rate: float | None) -> Page:
    """Enlist the next names under the lock of the run's row; a page is never empty."""
    row = locked_run(tx, key)
    if row is None:
        return Page(PageAnswer.CLOSED)
    mine = _page_of(tx, key, token)
    if mine is not None:
        return mine
    if rules.walk_over(row.state, cursor_of(row)):
        return Page(PageAnswer.CLOSED, run=close_if_due(tx, key))
    process = locked_process(tx, key.process)
    if process.paused_at is not None:
        return Page(PageAnswer.PAUSED)
    window, rate = (process.limits or Limits()).over(window, rate)
    in_hand = tx.value(sa.select(sa.func.count()).where(tx.t.item.c.page_id.in_(open_pages(tx.t, key)), tx.t.item_is_open))
    size = rules.room(size=page_size(size, rate), window=window, open_items=in_hand)
    if not size:
        return Page(PageAnswer.FULL)
    on, after = row.cursor_list, row.cursor_name
    while on is not None:
        found = next_names(tx, row, on, after, size)
        if found:
            early = None if rate is None else _early(tx, key, process.pace, token, rate)
            if early is None and rate is not None:
                pace: Pace = process.pace.following(tx.now, len(found), rate) if process.pace else Pace(tx.now, len(found))
                _set_pace(tx, key, pace)
            return early or _enlist(tx, row, on, found, token)
        if on is WorkList.ACTIVE and row.pages_open:
            return Page(PageAnswer.WAITING)
        on, after = (WorkList.CLEANUP if on is WorkList.ACTIVE else None), ""
    write_run(tx, row, cursor_list=None, cursor_name="")
    return Page(PageAnswer.CLOSED, run=close_if_due(tx, key))


def write_run(tx: Transaction, run: Row[Any], **values: Any) -> None:
    """Write to the row of a run, which is locked, and so is as it was read; a state along the table of transitions."""
    if "state" in values:
        moved(run.state, values["state"])
    tx.change(sa.update(tx.t.run).where(tx.t.run.c.id == run.id).values(**values))


def _page_of(tx: Transaction, key: RunKey, token: str) -> Page | None:
    page, item = tx.t.page, tx.t.item
    found = tx.first(sa.select(page).where(key.rows(page), page.c.token == token))
    if found is None:
        return None
    names = sa.select(item.c.name).where(item.c.page_id == found.id).order_by(item.c.name)
    return Page(PageAnswer.OPENED, found.on_list, tuple(tx.column(names)))


def _early(tx: Transaction, key: RunKey, pace: Pace | None, token: str, rate: float) -> Page | None:
    due_in = pace.due_in(tx.now, rate) if pace else None
    if pace is None or not due_in:
        return None
    promised = pace.promised(key.epoch, token, due_in)
    if promised is None:
        return Page(PageAnswer.WAITING)
    _set_pace(tx, key, promised)
    return Page(PageAnswer.LATER, due_in=due_in)


def _set_pace(tx: Transaction, key: RunKey, pace: Pace) -> None:
    tx.change(sa.update(tx.t.process).where(tx.t.process.c.name == key.process).values(pace=pace))


def _enlist(tx: Transaction, row: Row[Any], on: WorkList, found: Any, token: str) -> Page:
    names = tuple(work.name for work in found)
    both = {"process": row.process, "epoch": row.epoch, "on_list": on}
    pages = {"pages_made": row.pages_made + 1, "pages_open": row.pages_open + 1}
    write_run(tx, row, cursor_list=on, cursor_name=names[-1], **pages)
    page = {**both, "page": row.pages_made, "token": token, "opened_at": tx.now}
    of_page = {**both, "page_id": tx.add_one(tx.t.page, page)}
    tx.add(tx.t.item, [{**of_page, "name": work.name, "params_version": work.params_version} for work in found])
    return Page(PageAnswer.OPENED, on, names)
