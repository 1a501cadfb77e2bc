"""How an engine of the store's own connects: deadlines of the drivers, bounds of the servers, pragmas of SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.pool import NullPool

from celery_process.stores.retry import CONNECT_TIMEOUT
from celery_process.stores.sql.address import Address, family_of
from celery_process.stores.sql.bounds import KEEPALIVES, RECYCLED, Bounds
from celery_process.stores.sql.retry import is_wrong_server

BUSY_TIMEOUT = "PRAGMA busy_timeout = 5000"
LEVELS = {"postgresql": "AUTOCOMMIT", "mysql": "READ COMMITTED"}
"""The level of every connection; the statement that begins a transaction may set another."""
BEGIN = "celery_process_begin"
"""The execution option that has the statement which begins a transaction."""


def make_engine(address: Address, bounds: Bounds, *, keep_idle: bool, synchronous: str) -> Engine:
    """Return an engine, which connects to nothing yet. `synchronous` is SQLite's statement."""
    family = family_of(address.dialect)
    pool: dict[str, Any] = dict(address.options.pool) if keep_idle else {"poolclass": NullPool}
    if family == "mysql":
        pool["pool_recycle"] = RECYCLED
    # A level that SQLAlchemy sets later goes past what turns an error of the driver into one of its own.
    level = {"isolation_level": LEVELS[family]} if family in LEVELS else {}
    options = _options(address, family, bounds)
    engine = sa.create_engine(address.url, hide_parameters=True, connect_args=options, **level, **pool)
    if family == "sqlite":
        event.listen(engine, "connect", partial(_prepare, synchronous))
    elif family == "mysql":
        event.listen(engine, "connect", partial(_bound, engine, bounds))
    else:
        event.listen(engine, "do_connect", partial(_connect, address.options.read_timeout or bounds.answer))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", partial(_judge, family))
    return engine


def _options(address: Address, family: str, bounds: Bounds) -> Mapping[str, Any]:
    """Return the driver's arguments, without those that the URL sets."""
    options: dict[str, Any] = {}
    if family == "postgresql":
        options = {
            "fallback_application_name": "celery_process",
            "connect_timeout": CONNECT_TIMEOUT,
            "tcp_user_timeout": int(1000 * bounds.answer),
            **KEEPALIVES,
        }
    elif family == "mysql":
        # Without the strict mode MySQL truncates a value that is too long, without an error.
        options = {
            "charset": "utf8mb4",
            "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": bounds.answer,
            "write_timeout": bounds.answer,
        }
    options = {name: value for name, value in options.items() if name not in address.url.query}
    if family == "postgresql":
        options["prepare_threshold"] = address.options.prepare_threshold
    return options


def _connect(seconds: float, _dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    from celery_process.stores.sql.postgresql import BoundedConnection  # noqa: PLC0415 - only where the driver is there

    return BoundedConnection.make(seconds, *arguments, **options)


def _bound(engine: Engine, bounds: Bounds, connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(bounds.mysql(mariadb=bool(getattr(engine.dialect, "is_mariadb", False))))


def _prepare(synchronous: str, connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # else the driver begins transactions of its own, all of them DEFERRED
    connection.execute(BUSY_TIMEOUT)
    # The mode belongs to the file and can be set only while no other connection uses it; a later connection tries again.
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(synchronous)


def _begin(conn: Connection) -> None:
    statement = conn.get_execution_options().get(BEGIN)
    if statement:
        conn.exec_driver_sql(statement)


def _judge(family: str, context: ExceptionContext) -> None:
    """Drop all pooled connections if the server is the wrong one, as SQLAlchemy does for a lost connection."""
    if is_wrong_server(family, context.original_exception):
        context.is_disconnect = True
