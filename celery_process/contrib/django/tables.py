"""What a migration of the app does to the database: the store's own frozen DDL, in Django's transaction.

So the tables are the store's to the last index, collation and storage option, whichever of the two made them; the
operations that Django derives from the models serve its state alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.contrib.django.joining import URLS, joined
from celery_process.contrib.django.store import TABLE_PREFIX
from celery_process.stores.sql.migrations import step
from celery_process.stores.sql.migrations.kinds import DropColumn
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction, utc_now

Operation = Callable[[Any, Any], None]
"""What `RunPython` takes."""


def _operation(change: Callable[[Connection, Tables], object]) -> Operation:
    """Return a change of the tables as an operation, which does nothing on a database that the store cannot be on."""

    def operation(_: Any, editor: Any) -> None:
        if editor.connection.vendor in URLS:
            with joined(editor.connection.alias) as conn:
                change(conn, Tables(TABLE_PREFIX))

    return operation


def upgrade(number: int) -> Operation:
    """Return the step to a version of the tables; tables of that version are taken over."""
    return _operation(lambda conn, tables: step(Transaction(conn, tables, utc_now), number))


def downgrade(number: int, *nouns: str) -> Operation:
    """Return the way back from a version that made tables, or columns ("table.column"), named without their prefix."""

    def change(conn: Connection, tables: Tables) -> None:
        for noun in nouns:
            table, _, column = noun.partition(".")
            name = f"{TABLE_PREFIX}{table}"
            if not column:
                tables.metadata.tables[name].drop(conn, checkfirst=True)
            elif column in {found["name"] for found in sa.inspect(conn).get_columns(name)}:
                conn.execute(DropColumn(name, column))
        conn.execute(sa.update(tables.meta).where(tables.meta.c.number == number).values(number=number - 1))

    return _operation(change)


drop = _operation(lambda conn, tables: tables.metadata.drop_all(conn))
"""Drops all tables: the way back from version 1."""
