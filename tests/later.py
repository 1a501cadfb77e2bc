"""Versions of the SQL tables after the present ones: a table with a copy of rows, then a column."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from celery_process.stores.sql import migrations
from celery_process.stores.sql.migrations import MIGRATIONS, VERSION, Migration, kinds

NEWEST = VERSION + 2
TABLE, COLUMN = "settings_copy", "colour"


def copied(prefix: str) -> sa.Table:
    """Return the table of the version after the present one."""
    name, number = f"{prefix}{TABLE}", sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", number, sa.Identity(always=False), primary_key=True),
        sa.Column("process", kinds.NAME, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("process", "version", name=f"{name}_key"),
        **kinds.OPTIONS,
    )


def _copy(conn: Any, prefix: str) -> None:
    table, names = copied(prefix), ("process", "version")
    kinds.create(conn, table)
    rows = sa.select(*(sa.column(name) for name in names)).select_from(sa.table(f"{prefix}settings"))
    insert = sa.insert(table).from_select(names, rows)
    for family in ("mysql", "mariadb"):  # where DDL ends a transaction, somebody else may be copying the same
        insert = insert.prefix_with("IGNORE", dialect=family)
    conn.execute(insert)


def _add(conn: Any, prefix: str) -> None:
    kinds.add_column(conn, f"{prefix}process", sa.Column(COLUMN, kinds.TEXT))


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code be that of the newest version."""
    more = (
        Migration("copy the settings", _copy, TABLE, VERSION + 1),
        Migration("give a process a colour", _add, f"process.{COLUMN}", VERSION + 1),
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, *more))
    monkeypatch.setattr(migrations, "VERSION", NEWEST)
