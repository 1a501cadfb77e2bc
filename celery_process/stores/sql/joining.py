"""Joining a transaction of the caller's (`using=`): whose it may be, and that it is only ever written to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, scoped_session

from celery_process.exceptions import CannotJoin
from celery_process.stores.sql.address import Address, database_of, family_of


def connection_of(using: Any, address: Address) -> Connection:
    """Return the connection of a `Connection`, `Session` or `scoped_session` to the store's own database.

    Raises `CannotJoin` for anything else. Two names of one server look like two servers, so hosts may differ.
    """
    if isinstance(using, Session | scoped_session):
        conn: Connection = using.connection()
    elif isinstance(using, Connection):
        conn = using
    else:
        raise CannotJoin(
            f"using= takes a SQLAlchemy Connection or Session, not a {type(using).__name__}; pass the one whose transaction "
            "the write is to join.",
            using=using,
        )
    if family_of(conn.dialect.name) != family_of(address.dialect):
        raise CannotJoin(
            f"using= is a transaction on {conn.dialect.name}, and the store is {address.shown}; pass one on the store's own "
            "database, or leave out using= and call after your commit.",
            using=using,
        )
    theirs = database_of(conn.engine.url)
    if theirs and address.database and theirs != address.database:
        raise CannotJoin(
            f"using= is a transaction on the database {theirs!r}, and the store is {address.shown}; pass one on the store's "
            "own database, or leave out using= and call after your commit.",
            using=using,
        )
    return conn


def place_of(conn: Connection, table: sa.Table) -> tuple[str, ...]:
    """Return the database and the schema that a table's bare name means on a connection, at this moment.

    A search_path or USE may change with any statement, so this is asked at each call. An SQLite connection has one file.
    """
    if conn.dialect.name == "sqlite":
        return ()
    if conn.dialect.name != "postgresql":
        return (str(conn.execute(sa.select(sa.func.database())).scalar_one()),)
    pg_class = sa.table("pg_class", sa.column("oid"), sa.column("relnamespace"), schema="pg_catalog")
    space = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")
    schema = (
        sa.select(sa.cast(space.c.nspname, sa.Text))
        .join(pg_class, pg_class.c.relnamespace == space.c.oid)
        .where(pg_class.c.oid == sa.func.to_regclass(table.name))
    )
    row = conn.execute(sa.select(sa.func.current_database(), schema.scalar_subquery())).one()
    return (str(row[0]), "" if row[1] is None else str(row[1]))


def refuse_elsewhere(conn: Connection, using: Any, table: sa.Table, own: tuple[str, ...], shown: str) -> None:
    """Raise `CannotJoin` where a table's name means another table on a caller's connection than to the store."""
    mapped = (conn.get_execution_options().get("schema_translate_map") or {}).get(table.schema)
    place = (mapped,) if mapped is not None else place_of(conn, table)
    if place != own:
        where = ".".join(filter(None, place)) or "no schema"
        raise CannotJoin(
            f"using= is a transaction in which {table.name} is looked for in {where}, and the store, {shown}, has it in "
            f"{'.'.join(own) or 'its own file'}: its search_path, USE or schema_translate_map leads elsewhere; set it back "
            "before the call, or leave out using= and call after your commit.",
            using=using,
        )
