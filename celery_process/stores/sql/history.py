"""The history of the overrides: each version as it was first stored, written under the lock of the row in force."""

from __future__ import annotations

import sqlalchemy as sa

from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.stores.sql.transaction import Transaction


def keep(tx: Transaction, process: str, version: int) -> None:
    """Copy the overrides in force, whose new version this is, and delete what is too old to be kept."""
    now, kept = tx.t.settings.c, tx.t.settings_version
    names = [column.name for column in kept.columns if not column.primary_key]
    row = sa.select(*(now[name] for name in names)).where(now.process == process)
    tx.conn.execute(sa.insert(kept).from_select(names, row))
    old = (kept.c.process == process, kept.c.version <= version - MAX_VERSIONS)
    # By their ids: to delete a range is to lock, on MySQL, the gap in which the next process inserts.
    if ids := tx.column(sa.select(kept.c.id).where(*old)):
        tx.change(sa.delete(kept).where(kept.c.id.in_(ids)))
