"""Engines and transactions: one engine for each operating-system process, and the pragmas and levels that hold.

SQLite writes begin IMMEDIATE, for a transaction that reads first and writes later fails at once when another wrote in
between, whatever the busy timeout says. The servers' writes are READ COMMITTED: each compare-and-set sees the newest
row, and MySQL locks no gaps.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from celery_process.stores.sql.address import Address, family_of
from celery_process.stores.sql.retry import retried
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock, Transaction, utc_now

Result = TypeVar("Result")
Given = ParamSpec("Given")
Step = Callable[Concatenate[Transaction, Given], Result]

CONNECT_TIMEOUT = 10
"""Seconds; without it libpq waits for an unreachable host as long as TCP does."""
BUSY_TIMEOUT = "PRAGMA busy_timeout = 5000"
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"fallback_application_name": "celery_process"},
    "mysql": {"charset": "utf8mb4", "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"},
}
"""What every connection is made with. Without the strict mode MySQL cuts off what is too long, and says nothing."""
SYNCHRONOUS = {"FULL": "PRAGMA synchronous = FULL", "NORMAL": "PRAGMA synchronous = NORMAL"}

_BEGIN = "celery_process_begin"


class Mode(Enum):
    """How a transaction begins: SQLite's statement, and the isolation level elsewhere."""

    WRITE = ("BEGIN IMMEDIATE", "READ COMMITTED")
    READ = ("BEGIN", "REPEATABLE READ")
    """Several statements that see one moment."""
    PEEK = ("", "AUTOCOMMIT")
    """One statement, which needs no transaction around it."""

    def __init__(self, sqlite_begin: str, level: str) -> None:
        self.sqlite_begin, self.level = sqlite_begin, level


class Database:
    """Where transactions come from. Nothing connects before the first one.

    `keep_idle`: whether connections stay open for the next transaction.
    """

    def __init__(
        self, address: Address, tables: Tables, *, clock: Clock | None, synchronous: str, keep_idle: bool = True
    ) -> None:
        self.address, self.tables = address, tables
        self._pool: dict[str, Any] = {} if keep_idle else {"poolclass": NullPool}
        self.is_sqlite = address.dialect == "sqlite"
        self.clock = utc_now if clock is None and self.is_sqlite else clock
        self._synchronous = SYNCHRONOUS[synchronous]
        # By process id: a connection must not be used, nor closed, on both sides of a fork.
        self._engines: dict[int, Engine] = {}

    @property
    def engine(self) -> Engine:
        """The engine of this operating-system process."""
        pid = os.getpid()
        engine = self._engines.get(pid)
        return self._engines.setdefault(pid, self._make()) if engine is None else engine

    def close(self) -> None:
        """Close this process's connections."""
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()

    def write(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step in a transaction that is committed, and tried again from its start if need be."""
        return self._run(operation, Mode.WRITE, lambda tx: step(tx, *args, **more))

    def read(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step that only reads, over one snapshot."""
        return self._run(operation, Mode.READ, lambda tx: step(tx, *args, **more))

    def peek(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step of a single SELECT."""
        return self._run(operation, Mode.PEEK, lambda tx: step(tx, *args, **more))

    def _run(self, operation: str, mode: Mode, step: Callable[[Transaction], Result]) -> Result:
        def once() -> Result:
            with self._begun(mode) as conn:
                return step(Transaction(conn, self.tables, self.clock))

        return retried(once, operation=operation, url=self.address.shown)

    @contextlib.contextmanager
    def _begun(self, mode: Mode) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            if self.is_sqlite:
                conn.execution_options(**{_BEGIN: mode.sqlite_begin})
            elif mode is not Mode.WRITE:
                conn.execution_options(isolation_level=mode.level)
            with conn.begin():
                yield conn

    def _make(self) -> Engine:
        if not self.is_sqlite:
            options = dict(OPTIONS[family_of(self.address.dialect)])
            if "connect_timeout" not in self.address.url.query:
                options["connect_timeout"] = CONNECT_TIMEOUT
            level = Mode.WRITE.level
            return sa.create_engine(
                self.address.url, hide_parameters=True, isolation_level=level, connect_args=options, **self._pool
            )
        engine = sa.create_engine(self.address.url, hide_parameters=True, **self._pool)
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def _prepare(self, connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions of its own, all of them DEFERRED
        connection.execute(BUSY_TIMEOUT)
        # The mode is the file's and is set while nobody else is in it; a later connection makes up for this one.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(self._synchronous)


def _begin(conn: Connection) -> None:
    statement = conn.get_execution_options().get(_BEGIN, Mode.WRITE.sqlite_begin)
    if statement:
        conn.exec_driver_sql(statement)
