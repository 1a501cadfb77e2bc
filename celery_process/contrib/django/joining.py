"""SQLAlchemy on Django's own connection, inside its `atomic()`: what is written there is Django's to commit.

The engine never begins, commits or closes anything. Held on SQLite and PostgreSQL, with savepoints, ATOMIC_REQUESTS,
TestCase, several threads and aliases. Not for a running event loop, nor for streamed results.
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
"""By Django's vendor, the dialect whose driver Django uses too."""


class _Borrowed:
    """What SQLAlchemy takes for a connection of the driver's. It is this thread's, so it is looked up at each checkout."""

    __slots__ = ("_django",)

    def __init__(self, alias: str) -> None:
        self._django = connections[alias]

    def cursor(self) -> Any:
        cursor = self._django.cursor()
        if self._django.vendor == "postgresql":
            # Django reads these two by loaders of its own; for this cursor the driver's are back.
            from psycopg.types import datetime, json  # noqa: PLC0415 - only where it is there

            cursor.adapters.register_loader("jsonb", json.JsonbLoader)
            cursor.adapters.register_loader("timestamptz", datetime.TimestamptzLoader)
        return cursor

    def commit(self) -> None:
        """Leave it to the block's end."""

    def rollback(self) -> None:
        transaction.set_rollback(True, using=self._django.alias)

    def close(self) -> None:
        """Leave it open: it is Django's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._django.connection, name)


class _Driver:
    """The driver's module, with Django's errors for its own: those are what a borrowed cursor raises."""

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
    # Not create_engine, whose first connection rolls back; and nothing is reset when a connection is given back.
    engine = Engine(NullPool(lambda: _Borrowed(alias), reset_on_return=None), dialect, url)
    with engine.begin() as conn:
        dialect.initialize(conn)
    return engine


@contextmanager
def joined(alias: str) -> Iterator[Connection]:
    """Give a connection in Django's transaction: a savepoint of the open block, or else a transaction of its own."""
    with transaction.atomic(using=alias), _engine(alias).begin() as conn:
        yield conn
