"""One transaction: a connection, the tables, and the store's time in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from celery_process.stores.sql import mysql
from celery_process.stores.sql.columns import Instant
from celery_process.stores.sql.retry import Late
from celery_process.stores.sql.tables import Tables

Clock = Callable[[], datetime]
Values = Mapping[str, Any]

# Not now(), which is when the transaction began: it may have waited for a lock since.
SERVER_CLOCK = sa.type_coerce(
    sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * sa.literal_column("1000000"), sa.BigInteger), Instant
)

_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def utc_now() -> datetime:
    """Return this host's clock."""
    return datetime.now(UTC)


class Transaction:
    """What a step of an operation works with. `clock` None is the database server's."""

    def __init__(self, conn: Connection, tables: Tables, clock: Clock | None) -> None:
        self.conn, self.t, self._clock = conn, tables, clock
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The store's time, read once: when it is first asked for, so ask after having waited for locks."""
        if self._now is None:
            self._now = self._clock() if self._clock else self.conn.execute(sa.select(self.clock)).scalar_one()
        return self._now

    @property
    def clock(self) -> sa.ColumnElement[datetime]:
        """The store's time as a column, for a statement that reads it together with what it decides on."""
        if self._clock:
            return sa.literal(self.now, Instant)
        return mysql.CLOCK if mysql.is_mysql(self.conn) else SERVER_CLOCK

    def set_now(self, now: datetime) -> None:
        """Take the time that `clock` gave."""
        self._now = now

    def first(self, query: sa.Select[Any]) -> Row[Any] | None:
        """Return the first row."""
        return self.conn.execute(query).first()

    def rows(self, query: sa.Select[Any]) -> Sequence[Row[Any]]:
        """Return all rows."""
        return self.conn.execute(query).all()

    def column(self, query: sa.Select[Any]) -> Sequence[Any]:
        """Return the first column of all rows."""
        return self.conn.execute(query).scalars().all()

    def value(self, query: sa.Select[Any]) -> Any:
        """Return the first column of the first row, or None."""
        return self.conn.execute(query).scalar()

    def change(self, statement: sa.Update | sa.Delete) -> int:
        """Return how many rows the statement matched."""
        return self.conn.execute(statement).rowcount

    def compare_and_set(self, statement: sa.Update) -> None:
        """Change exactly one row from the state that was read, or raise `Late`."""
        if self.change(statement) != 1:
            raise Late

    def add(self, table: sa.Table, rows: Sequence[Values]) -> None:
        """Insert rows that nobody else can insert at the same time."""
        self.conn.execute(sa.insert(table), list(rows))

    def add_one(self, table: sa.Table, row: Values) -> int:
        """Insert a row and return its id."""
        (number,) = self.conn.execute(sa.insert(table).values(**row)).inserted_primary_key or (0,)
        return int(number)

    def add_missing(self, table: sa.Table, values: Values) -> bool:
        """Insert a row unless its key is there; return whether it was inserted."""
        if mysql.is_mysql(self.conn):
            return mysql.add_missing(self.conn, table, values)
        key = _key(table)
        statement = self._insert(table).values(**values).on_conflict_do_nothing(index_elements=key)
        # Not by rowcount, which is unknown where SQLAlchemy has the id returned.
        return self.conn.execute(statement.returning(table.c[key[0]])).first() is not None

    def put(
        self,
        table: sa.Table,
        rows: Sequence[Values],
        change: Callable[[Any], Values],
        *,
        where: Callable[[Any], sa.ColumnElement[bool]] | None = None,
        returning: sa.Column[Any] | None = None,
    ) -> Sequence[Any]:
        """Insert rows, or change those whose key is there; return a column of those written.

        `change` and `where` get the new row's columns. Rows are locked in the order given.
        """
        if mysql.is_mysql(self.conn):
            return mysql.put(self.conn, table, rows, change, where, returning)
        insert = self._insert(table)
        new = insert.excluded
        statement = insert.on_conflict_do_update(
            index_elements=_key(table), set_=change(new), where=where(new) if where else None
        )
        if returning is None:
            self.conn.execute(statement, list(rows))
            return ()
        return self.conn.execute(statement.returning(returning), list(rows)).scalars().all()

    def _insert(self, table: sa.Table) -> postgresql.Insert:
        # Both dialects' inserts have the same methods.
        insert: Callable[[sa.Table], Any] = _INSERTS[self.conn.dialect.name]
        statement: postgresql.Insert = insert(table)
        return statement


def _key(table: sa.Table) -> tuple[str, ...]:
    key: tuple[str, ...] = table.info["key"]
    return key
