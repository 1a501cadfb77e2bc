"""SQLAlchemy on Django's own connection, inside its `atomic()`: Django commits what is written there.

The engine never begins, commits or closes anything. Tested on SQLite and PostgreSQL, with savepoints, ATOMIC_REQUESTS,
TestCase, several threads and aliases. It works neither in a running event loop nor with streamed results.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from django.db import Error, connections, transaction
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

URLS = {"sqlite": "sqlite+pysqlite://", "postgresql": "postgresql+psycopg://"}
"""SQLAlchemy's URL by Django's vendor, with the driver that Django uses too."""


class _Borrowed:
    """Django's connection as a DBAPI connection. Django has one for each thread, so each checkout looks it up."""

    __slots__ = ("_django",)

    def __init__(self, alias: str) -> None:
        self._django = connections[alias]

    def cursor(self) -> Any:
        cursor = self._django.cursor()
        if self._django.vendor == "postgresql":
            # Django reads these two types with loaders of its own; this cursor needs the driver's.
            from psycopg.types import datetime, json  # noqa: PLC0415 - only where it is there

            cursor.adapters.register_loader("jsonb", json.JsonbLoader)
            cursor.adapters.register_loader("timestamptz", datetime.TimestamptzLoader)
        return cursor

    def commit(self) -> None:
        """Do nothing: Django commits at the end of its block."""

    def rollback(self) -> None:
        transaction.set_rollback(True, using=self._django.alias)

    def close(self) -> None:
        """Do nothing: Django closes its own connection."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._django.connection, name)


class _Driver:
    """The driver's module with Django's errors in place of its own, since a borrowed cursor raises Django's."""

    Error = Error

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@functools.cache
def _engine(alias: str) -> Engine:
    url = sa.make_url(URLS[connections[alias].vendor])
    of_dialect: Any = url.get_dialect()
    options = {"use_native_hstore": False} if of_dialect.name == "postgresql" else {}
    dialect = of_dialect(dbapi=of_dialect.import_dbapi(), paramstyle="pyformat", **options)
    dialect.dbapi = _Driver(dialect.dbapi)
    # create_engine would roll back on its first connection; and the pool must not reset a connection that is returned.
    engine = Engine(NullPool(lambda: _Borrowed(alias), reset_on_return=None), dialect, url)
    with engine.begin() as conn:
        dialect.initialize(conn)
    return engine


@contextmanager
def joined(alias: str) -> Iterator[Connection]:
    """Yield a connection in Django's transaction: a savepoint of the open block, or else a transaction of its own."""
    with transaction.atomic(using=alias), _engine(alias).begin() as conn:
        yield conn
