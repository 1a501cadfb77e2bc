"""What a sweep finds to publish: items that were never published, or whose messages no worker claimed.

In a stalled run a sweep marks all items that waited long enough as unpublished, page by page, before any is published. So
one read decides about all of them, however fast workers claim and whichever sweep publishes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.states import ItemState, RunState
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.tables import one_of, passed
from celery_process.stores.sql.transaction import Transaction


def to_publish(
    db: Database, key: RunKey, *, redispatch_after: timedelta, grace: timedelta, limit: int
) -> Sequence[Row[Any]]:
    """Return up to `limit` items to publish, in the order of their pages: name, list and attempt of each."""
    run = db.read("sweep_run", _moved, key)
    if run is None:
        return []
    now, seen = run
    if rules.passed(seen, now, redispatch_after):
        for page in db.peek("sweep_run", _pages_due, key, now, seen, redispatch_after):
            db.write("sweep_run", _unpublish, page, now, seen, redispatch_after)
    return db.peek("sweep_run", _unpublished, key, now, grace, limit)


def _moved(tx: Transaction, key: RunKey) -> tuple[datetime, datetime] | None:
    """Return the time, and when the run was last seen to move; None where nothing of it is to be published."""
    item, page, run, process = tx.t.item, tx.t.page, tx.t.run, tx.t.process
    of_run = sa.select(run.c.progress_at, run.c.state, process.c.paused_at, tx.clock.label("now"))
    row = tx.first(of_run.select_from(run.join(process, process.c.name == run.c.process)).where(key.row(run)))
    if row is None or row.state is not RunState.ACTIVE or row.paused_at is not None:
        return None
    # Claims of closed pages came before the fold that is the run's progress.
    pages = page.join(item, item.c.page_id == page.c.id)
    open_page = (key.rows(page), page.c.is_open.is_(True))
    claims = sa.select(sa.func.max(item.c.started_at)).select_from(pages).where(*open_page, item.c.started_at <= row.now)
    return row.now, rules.seen_moving(row.now, filter(None, (row.progress_at, tx.value(claims))))


def _is_due(tx: Transaction, now: datetime, seen: datetime, after: timedelta) -> sa.ColumnElement[bool]:
    """Return `rules.published_again` for an item that is pending."""
    item = tx.t.item

    def waited(*, moved: bool) -> sa.ColumnElement[bool]:
        *waits, last = (
            sa.literal(now - wait, item.c.dispatched_at.type) for wait in rules.redispatch_waits(after, moved=moved)
        )
        since = (
            sa.case(*((item.c.dispatches == count, wait) for count, wait in enumerate(waits)), else_=last) if waits else last
        )
        return item.c.dispatched_at <= since

    moved = sa.and_(item.c.dispatched_at < seen, waited(moved=True))
    return sa.and_(
        one_of(item.c.state, (ItemState.PENDING,)), sa.or_(waited(moved=False), moved, item.c.dispatched_at > now)
    )


def _pages_due(tx: Transaction, key: RunKey, now: datetime, seen: datetime, after: timedelta) -> Sequence[int]:
    item, page = tx.t.item, tx.t.page
    pages = sa.select(page.c.id).where(key.rows(page), page.c.is_open.is_(True))
    due = sa.select(item.c.page_id).where(item.c.page_id.in_(pages), _is_due(tx, now, seen, after)).distinct()
    return tx.column(due.order_by(item.c.page_id))


def _unpublish(tx: Transaction, page: int, now: datetime, seen: datetime, after: timedelta) -> None:
    item = tx.t.item
    due = sa.select(item.c.id).where(item.c.page_id == page, _is_due(tx, now, seen, after)).order_by(item.c.name)
    if found := tx.column(due.with_for_update(skip_locked=True)):
        tx.change(sa.update(item).where(item.c.id.in_(found)).values(dispatched_at=None))


def _unpublished(tx: Transaction, key: RunKey, now: datetime, grace: timedelta, limit: int) -> Sequence[Row[Any]]:
    item, page = tx.t.item, tx.t.page
    unsent = (one_of(item.c.state, (ItemState.PENDING,)), item.c.dispatched_at.is_(None))
    return tx.rows(
        sa.select(item.c.name, item.c.on_list, item.c.attempt)
        .select_from(page.join(item, item.c.page_id == page.c.id))
        .where(key.rows(page), page.c.is_open.is_(True), *unsent)
        .where(sa.or_(item.c.attempt > 0, passed(page.c.opened_at, now, grace)))
        .order_by(item.c.page_id, item.c.name)
        .limit(limit)
    )
