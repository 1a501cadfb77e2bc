"""What a migration of the app does to the database: the store's own frozen DDL, in Django's transaction.

So the tables are the store's to the last index, collation and storage option, whichever of the two made them; the
operations that Django derives from the models serve its state alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from celery_process.contrib.django.joining import URLS, joined
from celery_process.contrib.django.store import TABLE_PREFIX
from celery_process.stores.sql.migrations import step
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction, utc_now


def upgrade(number: int) -> Callable[[Any, Any], None]:
    """Return the step to a version of the tables, for `RunPython`; tables of that version are taken over."""

    def forwards(_: Any, editor: Any) -> None:
        if editor.connection.vendor not in URLS:
            return  # a database that the store cannot be on
        with joined(editor.connection.alias) as conn:
            step(Transaction(conn, Tables(TABLE_PREFIX), utc_now), number)

    return forwards


def downgrade(number: int, *nouns: str) -> Callable[[Any, Any], None]:
    """Return the way back from a version that made tables, named without their prefix."""

    def backwards(_: Any, editor: Any) -> None:
        if editor.connection.vendor not in URLS:
            return
        tables = Tables(TABLE_PREFIX)
        with joined(editor.connection.alias) as conn:
            tables.metadata.drop_all(conn, [tables.metadata.tables[f"{TABLE_PREFIX}{noun}"] for noun in nouns])
            conn.execute(sa.update(tables.meta).where(tables.meta.c.number == number).values(number=number - 1))

    return backwards


def drop(_: Any, editor: Any) -> None:
    """Drop all tables: the way back from version 1."""
    if editor.connection.vendor not in URLS:
        return
    with joined(editor.connection.alias) as conn:
        Tables(TABLE_PREFIX).metadata.drop_all(conn)
