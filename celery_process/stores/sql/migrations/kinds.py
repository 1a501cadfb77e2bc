"""What the migrations build with: types, table options, and creations that can be taken up again. Frozen as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable, ExecutableDDLElement

_MYSQL = ("mysql", "mariadb")
_DUPLICATE_COLUMN = 1060
_DUPLICATE_INDEX = 1061

OPTIONS: Mapping[str, Any] = {
    f"{family}_{option}": word for family in _MYSQL for option, word in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


class _CodePoints(sa.TypeDecorator[str]):
    """Text whose collation heeds trailing spaces; its name depends on the server, which the connection knows."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        if self.length is None:
            return dialect.type_descriptor(mysql.LONGTEXT(collation=collation))
        return dialect.type_descriptor(mysql.VARCHAR(self.length, collation=collation))


NAME = sa.String(191).with_variant(sa.String(191, collation="C"), "postgresql").with_variant(_CodePoints(191), *_MYSQL)
TEXT = sa.Text().with_variant(_CodePoints(), *_MYSQL)


class _AddColumn(ExecutableDDLElement):
    def __init__(self, table: str, column: sa.Column[Any]) -> None:
        self.table, self.column = table, column


@compiles(_AddColumn)
def _add(element: _AddColumn, compiler: Any, **_: Any) -> str:
    return f"ALTER TABLE {compiler.preparer.quote(element.table)} ADD {compiler.get_column_specification(element.column)}"


def add_column(conn: Connection, table: str, column: sa.Column[Any]) -> None:
    """Add a column; on MySQL, which ends a transaction at each DDL, pass over one that is there."""
    try:
        conn.execute(_AddColumn(table, column))
    except sa.exc.OperationalError as error:
        if conn.dialect.name not in _MYSQL or error.orig is None or error.orig.args[0] != _DUPLICATE_COLUMN:
            raise


def create(conn: Connection, table: sa.Table) -> None:
    """Create a table with its indexes.

    MySQL commits before and after each statement of DDL, so that a migration that died left a part, and two at once see
    each other's: there each statement passes over what it finds.
    """
    if conn.dialect.name not in _MYSQL:
        table.create(conn, checkfirst=False)
        return
    conn.execute(CreateTable(table, if_not_exists=True))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        try:
            index.create(conn)
        except sa.exc.OperationalError as error:
            if error.orig is None or error.orig.args[0] != _DUPLICATE_INDEX:
                raise
