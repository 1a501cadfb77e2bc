"""How a run ends early: nothing new starts, what is pending is cancelled page by page, and the end is emitted once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol.model import LimitBroken, RunStatus
from celery_process.protocol.reports import Settled
from celery_process.protocol.states import ItemState, RunState, StopReason, moved
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.folds import fold_if_done
from celery_process.stores.sql.keys import RunKey, chunks
from celery_process.stores.sql.pages import close_if_due, list_open_pages, locked_run, write_run
from celery_process.stores.sql.tables import FREED, one_of
from celery_process.stores.sql.transaction import Transaction


def stop_run(db: Database, key: RunKey, reason: StopReason) -> RunStatus | None:
    """Make an open run ABORTING and cancel what is pending, with SUPERSEDED also what is claimed; return it if closed."""
    stopped, closed = db.write("stop_run", _stop, key, reason)
    if stopped is None or closed is not None:
        return closed
    states = {ItemState.PENDING}
    if StopReason.SUPERSEDED in (reason, stopped):
        states.add(ItemState.CLAIMED)
    settled = Settled()
    for page in db.peek("stop_run", list_open_pages, key):
        db.write("stop_run", cancel, [page], states)
        settled |= fold_if_done(db, "stop_run", key, [page])
    return settled.run


def _stop(tx: Transaction, key: RunKey, reason: StopReason) -> tuple[str | None, RunStatus | None]:
    row = locked_run(tx, key)
    if row is None or not row.state.is_open:
        return None, None
    if row.state is RunState.ACTIVE:
        abort(tx, row, reason)
    return (reason if row.state is RunState.ACTIVE else row.reason), close_if_due(tx, key)


def abort(tx: Transaction, run: Row[Any], reason: StopReason, broken: LimitBroken | None = None) -> None:
    """Make a locked run, which is ACTIVE, ABORTING; its cursor stays, for a redrive to know how far it came."""
    write_run(tx, run, state=RunState.ABORTING, reason=reason.value, limit_broken=broken)


def cancel(tx: Transaction, pages: Collection[int], states: Collection[ItemState], after: str = "") -> None:
    """Cancel the items of pages that are in one of the states, whose names come after a name; their tokens are void."""
    item = tx.t.item
    for state in states:
        moved(state, ItemState.CANCELLED)
    chosen = (item.c.page_id.in_(pages), one_of(item.c.state, tuple(states)), item.c.name > after)
    found = tx.column(sa.select(item.c.id).where(*chosen).order_by(item.c.name).with_for_update())
    for chunk in chunks(found):
        tx.change(sa.update(item).where(item.c.id.in_(chunk)).values(state=ItemState.CANCELLED, **FREED))
