"""What MySQL and MariaDB do in their own way: the clock, the oldest servers, and upserts without ON CONFLICT.

`ON DUPLICATE KEY UPDATE` alone would lock gaps, not return which rows it wrote, and assign from left to right. So existing
rows are locked by their whole key, in the caller's order, missing ones are inserted, and then the existing ones updated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection
from sqlalchemy.sql import visitors

from celery_process.exceptions import ConfigurationError
from celery_process.stores.sql.columns import MYSQL, Instant

Values = Mapping[str, Any]
Key = tuple[Any, ...]
Change = Callable[[Any], Values]
Where = Callable[[Any], sa.ColumnElement[bool]]

# Without a time zone, and of this statement, while NOW() would be in the session's zone.
CLOCK = sa.literal_column("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))", type_=Instant())

OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0, 17)}
"""The first with SKIP LOCKED and with a collation that heeds trailing spaces."""

_NEW = "new_"


def is_mysql(conn: Connection) -> bool:
    """Whether a connection leads to a server of this family."""
    return conn.dialect.name in MYSQL


def refuse_old(conn: Connection, url: str) -> None:
    """Raise `ConfigurationError` for a server that lacks what the statements need."""
    product = "MariaDB" if getattr(conn.dialect, "is_mariadb", False) else "MySQL"
    found = tuple(part for part in conn.dialect.server_version_info or () if isinstance(part, int))
    if found < OLDEST[product]:
        shown, oldest = (".".join(map(str, version)) for version in (found, OLDEST[product]))
        raise ConfigurationError(
            f"The server of {url} is {product} {shown}, which lacks what the store needs; update it to {oldest} or later.",
            setting="process_backend",
            value=url,
        )


def add_missing(conn: Connection, table: sa.Table, row: Values) -> bool:
    """Insert a row unless its key is there; return whether it was inserted."""
    return not _there(conn, table, [row]) and _inserted(conn, table, [row])


def put(
    conn: Connection,
    table: sa.Table,
    rows: Sequence[Values],
    change: Change,
    where: Where | None,
    returning: sa.Column[Any] | None,
) -> Sequence[Any]:
    """Insert rows, or change those whose key is there; return a column of those written."""
    there = _insert_missing(conn, table, rows)
    written = [row for row in rows if _key_of(table, row) not in there]
    old = [row for row in rows if _key_of(table, row) in there]
    if old:
        statement = _update(table, old[0], change, where)
        given = [{f"{_NEW}{name}": value for name, value in row.items()} for row in old]
        if returning is None:
            conn.execute(statement, given)
        else:
            written += [row for row, new in zip(old, given, strict=True) if conn.execute(statement, new).rowcount]
    if returning is None or not written:
        return ()
    return conn.execute(_chosen(table, written, returning)).scalars().all()


def _insert_missing(conn: Connection, table: sa.Table, rows: Sequence[Values]) -> set[Key]:
    """Insert the rows whose key is not there; return the keys that were there, which are locked now."""
    seen = _there(conn, table, rows)
    if len(seen) < len(rows) and "fence" in table.info:
        # A snapshot from before the wait lacks rows inserted meanwhile. Inserting one of those is a duplicate-key error,
        # which leaves a shared lock, so two inserters can deadlock.
        late = _wait_at(conn, table.info["fence"], f"{table.name} of {rows[0]['process']}")
        seen = _there(conn, table, rows, lock=late)
    # Lock only rows that were seen: locking a missing row locks the gap in which others insert.
    there = _there(conn, table, [row for row in rows if _key_of(table, row) in seen], lock=True) if seen else seen
    if not _inserted(conn, table, [row for row in rows if _key_of(table, row) not in there]):
        # A caller's transaction reads an older snapshot, unless it locks what it reads.
        there = _there(conn, table, rows, lock=True)
        if absent := [row for row in rows if _key_of(table, row) not in there]:
            conn.execute(sa.insert(table), absent)
    return there


def _wait_at(conn: Connection, fence: sa.Table, name: str) -> bool:
    """Lock a fence row, or insert it, to the end of the transaction; return whether others locked it since the snapshot.

    A duplicate-key error leaves a shared lock, so two inserters can deadlock. So transactions that insert new names of
    one process take turns, and each raises the fence's number.
    """
    number = sa.select(fence.c.number).where(fence.c.name == name)
    seen, row = conn.execute(number).scalar(), {"name": name, "number": 0}
    conn.execute(mysql.insert(fence).values(**row).on_duplicate_key_update(number=fence.c.number + 1))
    return bool(conn.execute(number.with_for_update()).scalar() != (0 if seen is None else seen + 1))


def _there(conn: Connection, table: sa.Table, rows: Sequence[Values], *, lock: bool = False) -> set[Key]:
    query = _chosen(table, rows, *(table.c[name] for name in table.info["key"]))
    return {tuple(row) for row in conn.execute(query.with_for_update() if lock else query)}


def _inserted(conn: Connection, table: sa.Table, rows: Sequence[Values]) -> bool:
    """Insert rows, all or none; return whether none of them was there."""
    if not rows:
        return True
    savepoint = conn.begin_nested()
    try:
        conn.execute(sa.insert(table), list(rows))
    except sa.exc.IntegrityError:
        savepoint.rollback()
        return False
    # After another error there is no savepoint to go back to: a deadlock has rolled everything back.
    savepoint.commit()
    return True


def _chosen(table: sa.Table, rows: Sequence[Values], *columns: sa.Column[Any]) -> sa.Select[Any]:
    """Select columns of the rows with the keys of `rows`, which have all of a key but its last column in common."""
    names: tuple[str, ...] = table.info["key"]
    *same, last = (table.c[name] for name in names)
    of_keys = (*(column == rows[0][column.name] for column in same), last.in_([row[last.name] for row in rows]))
    return sa.select(*columns).where(*of_keys).order_by(last)


def _update(table: sa.Table, row: Values, change: Change, where: Where | None) -> sa.Update:
    new = _New(table, row)
    key = (table.c[name] == new[name] for name in table.info["key"])
    statement = sa.update(table).where(*key, *([where(new)] if where else []))
    return statement.ordered_values(*_in_order(table, change(new)))


def _in_order(table: sa.Table, values: Values) -> list[tuple[sa.Column[Any], Any]]:
    """Order assignments so that none reads a column after its change, since MySQL assigns from left to right."""
    after: dict[str, set[str]] = {name: set() for name in values}
    for name, value in values.items():
        for part in visitors.iterate(value) if isinstance(value, sa.ClauseElement) else ():
            if isinstance(part, sa.Column) and part.table is table and part.name in after and part.name != name:
                after[part.name].add(name)
    return [(table.c[name], values[name]) for name in TopologicalSorter(after).static_order()]


def _key_of(table: sa.Table, row: Mapping[Any, Any]) -> Key:
    return tuple(row[name] for name in table.info["key"])


class _New:
    """The new row in an update: a parameter for each of its columns, found as attributes and as items."""

    def __init__(self, table: sa.Table, row: Values) -> None:
        self._columns = {name: sa.bindparam(f"{_NEW}{name}", type_=table.c[name].type) for name in row}

    def __getitem__(self, name: str) -> sa.BindParameter[Any]:
        return self._columns[name]

    def __getattr__(self, name: str) -> sa.BindParameter[Any]:
        return self._columns[name]
