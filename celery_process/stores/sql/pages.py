"""The row of a run that a transaction locks, its open pages, and its close."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import fold, rules
from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import moved
from celery_process.protocol.unit import perform
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.rows import SqlRows
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction


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
    return perform(SqlRows(tx, key.process), partial(fold.close, run_id=rules.run_id(key.epoch, key.uuid)))


def write_run(tx: Transaction, run: Row[Any], **values: Any) -> None:
    """Write to the row of a run, which is locked, and so is as it was read; a state along the table of transitions."""
    if "state" in values:
        moved(run.state, values["state"])
    tx.change(sa.update(tx.t.run).where(tx.t.run.c.id == run.id).values(**values))
