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
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.pool import NullPool

from celery_process.exceptions import SchemaMismatch
from celery_process.stores.retry import retried
from celery_process.stores.sql.address import Address, family_of
from celery_process.stores.sql.retry import driver_of, is_wrong_server
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
LEVELS = {"postgresql": "AUTOCOMMIT", "mysql": "READ COMMITTED"}
"""The level of every connection; the statement that begins a transaction says more."""
SYNCHRONOUS = {"FULL": "PRAGMA synchronous = FULL", "NORMAL": "PRAGMA synchronous = NORMAL"}

_BEGIN = "celery_process_begin"


class Mode(Enum):
    """How a transaction begins, by the statement that is sent first. The drivers begin none by themselves, but MySQL's."""

    WRITE = ("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED", "")
    READ = ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    """Several statements that see one moment."""
    PEEK = ("", "", "")
    """One statement, which needs no transaction around it."""

    def __init__(self, sqlite: str, postgresql: str, mysql: str) -> None:
        self.begin = {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}


class Database:
    """Where transactions come from. Nothing connects before the first one.

    `keep_idle`: whether connections stay open for the next transaction.
    """

    def __init__(
        self, address: Address, tables: Tables, *, clock: Clock | None, synchronous: str, keep_idle: bool = True
    ) -> None:
        self.address, self.tables = address, tables
        self._pool: dict[str, Any] = {} if keep_idle else {"poolclass": NullPool}
        self.family = family_of(address.dialect)
        self.is_sqlite = self.family == "sqlite"
        self.clock = utc_now if clock is None and self.is_sqlite else clock
        self._synchronous = SYNCHRONOUS[synchronous]
        self._driver = driver_of(self.family, self._mismatch)
        self.command = ""
        """What makes or mends the tables."""
        # By process id: a connection must not be used, nor closed, on both sides of a fork.
        self._engines: dict[int, Engine] = {}

    @property
    def engine(self) -> Engine:
        """The engine of this operating-system process."""
        pid = os.getpid()
        engine = self._engines.get(pid)
        return self._engines.setdefault(pid, self._make()) if engine is None else engine

    def _mismatch(self, kind: str) -> SchemaMismatch:
        return SchemaMismatch(
            f"A table or a column of {self.address.shown} is missing ({kind}); restore it from a copy, or make all tables "
            f"anew by: {self.command}",
            found=None,
            wanted=None,
            command=self.command,
        )

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

        return retried(once, self._driver, operation=operation, url=self.address.shown)

    @contextlib.contextmanager
    def _begun(self, mode: Mode) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            conn.execution_options(**{_BEGIN: mode.begin[self.family]})
            with conn.begin():
                yield conn

    def _make(self) -> Engine:
        options = dict(OPTIONS.get(self.family, {}))
        if not self.is_sqlite and "connect_timeout" not in self.address.url.query:
            options["connect_timeout"] = CONNECT_TIMEOUT
        # A level that SQLAlchemy sets later goes past what turns an error of the driver into one of its own.
        level = {} if self.is_sqlite else {"isolation_level": LEVELS[self.family]}
        engine = sa.create_engine(self.address.url, hide_parameters=True, connect_args=options, **level, **self._pool)
        if self.is_sqlite:
            event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "handle_error", self._judge)
        return engine

    def _judge(self, context: ExceptionContext) -> None:
        """Have all connections given up where the server is the wrong one, as where one was lost."""
        if is_wrong_server(self.family, context.original_exception):
            context.is_disconnect = True

    def _prepare(self, connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions of its own, all of them DEFERRED
        connection.execute(BUSY_TIMEOUT)
        # The mode is the file's and is set while nobody else is in it; a later connection makes up for this one.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(self._synchronous)


def _begin(conn: Connection) -> None:
    statement = conn.get_execution_options().get(_BEGIN)
    if statement:
        conn.exec_driver_sql(statement)
