"""One transaction: a connection, the tables, and the store's time in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from celery_process.stores.sql import mysql
from celery_process.stores.sql.columns import Instant
from celery_process.stores.sql.retry import StaleRead
from celery_process.stores.sql.tables import Tables

Clock = Callable[[], datetime]
Values = Mapping[str, Any]
Statement = TypeVar("Statement", bound=sa.Executable)

# Not now(), which is when the transaction began: it may have waited for a lock since.
SERVER_CLOCK = sa.type_coerce(
    sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * sa.literal_column("1000000"), sa.BigInteger), Instant
)

_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def utc_now() -> datetime:
    """Return this host's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class BulkUpdate:
    """An update of many rows of a table at once.

    `columns`: the values that each row has of its own, by the column whose type they have. `make` builds the update from
    them, and from parameters for what all rows have in common.
    """

    table: str
    columns: Mapping[str, str]
    make: Callable[[Transaction, Any], sa.Update]

    def build(self, tx: Transaction) -> sa.Update:
        """Return the update: with an array for each column on PostgreSQL, else with parameters of one row."""
        table = getattr(tx.t, self.table)
        kinds = {name: table.c[column].type for name, column in self.columns.items()}
        if not tx.is_postgresql:
            return self.make(tx, SimpleNamespace(**{name: sa.bindparam(name, type_=kind) for name, kind in kinds.items()}))
        arrays = (sa.bindparam(name, type_=postgresql.ARRAY(kind, dimensions=1)) for name, kind in kinds.items())
        columns = (sa.column(name, kind) for name, kind in kinds.items())
        return self.make(tx, sa.func.unnest(*arrays).table_valued(*columns, name="given").render_derived().c)


def names(chosen: Collection[str]) -> dict[str, Any]:
    """Return the parameters of `Transaction.among`; of no names there is no statement."""
    return {"names": list(chosen), "first": min(chosen), "last": max(chosen)}


class Transaction:
    """What a step of an operation works with. `clock` None is the database server's."""

    def __init__(self, conn: Connection, tables: Tables, clock: Clock | None) -> None:
        self.conn, self.t, self._clock = conn, tables, clock
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The store's time, read once, at the first use: so use it only after waiting for locks."""
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

    def built(self, make: Callable[[Transaction], Statement]) -> Statement:
        """Return the statement that `make` builds, built once: its values are parameters.

        To build a statement of twenty columns takes as long as the database takes to answer it.
        """
        key = (make, self.conn.dialect.name, self._clock is None)
        statement: Statement | None = self.t.statements.get(key)
        if statement is None:
            statement = self.t.statements[key] = make(self)
        return statement

    def among(self, name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return `keys.among` for a statement that is built once; the parameters are those of `names`."""
        if self.is_postgresql:
            chosen = name == sa.any_(sa.bindparam("names", type_=postgresql.ARRAY(sa.String(), dimensions=1)))
        else:
            chosen = name.in_(sa.bindparam("names", expanding=True))
        return sa.and_(name >= sa.bindparam("first"), name <= sa.bindparam("last"), chosen)

    def is_id(self, number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Return "number is one of the parameter `ids`" for a statement that is built once."""
        if self.is_postgresql:
            return number == sa.any_(sa.bindparam("ids", type_=postgresql.ARRAY(sa.BigInteger(), dimensions=1)))
        return number.in_(sa.bindparam("ids", expanding=True))

    @property
    def is_postgresql(self) -> bool:
        """Whether statements may use what PostgreSQL alone has."""
        return self.conn.dialect.name == "postgresql"

    @property
    def waits_to_write(self) -> bool:
        """Whether what is read without a lock may be waited for when it is written; on SQLite the transaction waited."""
        return mysql.is_mysql(self.conn)

    @property
    def times(self) -> tuple[sa.ColumnElement[datetime], ...]:
        """The store's time as a column of a statement that is built once; none if the store has a clock of its own."""
        return () if self._clock else (self.clock.label("now"),)

    def first(self, query: sa.Select[Any], **values: Any) -> Row[Any] | None:
        """Return the first row."""
        return self.conn.execute(query, values).first()

    def rows(self, query: sa.Select[Any], **values: Any) -> Sequence[Row[Any]]:
        """Return all rows."""
        return self.conn.execute(query, values).all()

    def column(self, query: sa.Select[Any], **values: Any) -> Sequence[Any]:
        """Return the first column of all rows."""
        return self.conn.execute(query, values).scalars().all()

    def value(self, query: sa.Select[Any], **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        return self.conn.execute(query, values).scalar()

    def change(self, statement: sa.Update | sa.Delete | sa.Insert, **values: Any) -> int:
        """Return how many rows the statement matched."""
        return self.conn.execute(statement, values).rowcount

    def change_each(self, each: BulkUpdate, rows: Sequence[Values], **common: Any) -> None:
        """Change rows, each with values of its own; raise `StaleRead` unless all are as they were read.

        On PostgreSQL that is one statement, which locks in no order: lock the rows before.
        """
        if not rows:
            return
        statement = self.built(each.build)
        values: Any = [{**common, **row} for row in rows]
        if self.is_postgresql:
            values = {**common, **{name: [row[name] for row in rows] for name in each.columns}}
        if self.conn.execute(statement, values).rowcount != len(rows):
            raise StaleRead

    def compare_and_set(self, statement: sa.Update) -> None:
        """Change exactly one row from the state that was read, or raise `StaleRead`."""
        if self.change(statement) != 1:
            raise StaleRead

    def add(self, table: sa.Table, rows: Sequence[Values]) -> None:
        """Insert rows that no other transaction can insert at the same time."""
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

        `change` and `where` get the new row's columns. Rows are locked in the order of `rows`.
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

    def put_from(
        self,
        table: sa.Table,
        columns: Sequence[str],
        rows: sa.Select[Any],
        *,
        where: Callable[[Any], sa.ColumnElement[bool]],
    ) -> sa.Insert:
        """Return the statement of `put` for rows that are in the database, all of whose other columns are replaced.

        Not for MySQL, see `folds_itself`.
        """
        statement = self._insert(table)
        new, key = statement.excluded, _key(table)
        return statement.from_select(list(columns), rows, include_defaults=False).on_conflict_do_update(
            index_elements=key, set_={name: new[name] for name in columns if name not in key}, where=where(new)
        )

    @property
    def folds_itself(self) -> bool:
        """Whether rows are put from a query: on MySQL that locks gaps, and the rows in no order."""
        return not mysql.is_mysql(self.conn)

    def _insert(self, table: sa.Table) -> postgresql.Insert:
        # Both dialects' inserts have the same methods.
        insert: Callable[[sa.Table], Any] = _INSERTS[self.conn.dialect.name]
        statement: postgresql.Insert = insert(table)
        return statement


def _key(table: sa.Table) -> tuple[str, ...]:
    key: tuple[str, ...] = table.info["key"]
    return key
