"""Version 2: the history of the overrides, which begins with those in force. Frozen."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.stores.sql.migrations import kinds


def upgrade(conn: Connection, prefix: str) -> None:
    """Create the table, and copy what is in force."""
    table = versions(prefix)
    kinds.create(conn, table)
    names = [column.name for column in table.columns if not column.primary_key]
    columns: list[sa.ColumnElement[Any]] = [sa.column(name) for name in names]
    rows = sa.select(*columns).select_from(sa.table(f"{prefix}settings"))
    # Where DDL ends a transaction, somebody else may be copying the same.
    insert = sa.insert(table).from_select(names, rows)
    for family in ("mysql", "mariadb"):
        insert = insert.prefix_with("IGNORE", dialect=family)
    conn.execute(insert)


def versions(prefix: str) -> sa.Table:
    """Return the table."""
    name, number = f"{prefix}settings_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", number, sa.Identity(always=False), primary_key=True),
        sa.Column("process", kinds.NAME, nullable=False),
        sa.Column("settings", kinds.TEXT),
        sa.Column("schedule", kinds.TEXT),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("changed_by", kinds.TEXT, nullable=False),
        sa.UniqueConstraint("process", "version", name=f"{name}_key"),
        **kinds.OPTIONS,
    )
