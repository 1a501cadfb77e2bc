"""Joining a transaction of the caller's (`using=`): whose it may be, and that it is only ever written to."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, scoped_session

from celery_process.exceptions import CannotJoin
from celery_process.stores.sql.address import Address, database_of, family_of


def connection_of(using: Any, address: Address) -> Connection:
    """Return the connection of a `Connection`, `Session` or `scoped_session` to the store's own database.

    Raises `CannotJoin` for anything else. Two names of one server cannot be told from two servers, so hosts may differ.
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
