"""Transactions: one engine for each operating-system process, how a transaction begins, and that it is tried again.

SQLite writes begin IMMEDIATE, for a transaction that reads first and writes later fails at once when another wrote in
between, whatever the busy timeout is. The servers' writes are READ COMMITTED: each compare-and-set sees the newest
row, and MySQL locks no gaps.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection, Engine

from celery_process.exceptions import SchemaMismatch
from celery_process.stores.retry import retried
from celery_process.stores.sql.address import Address, family_of
from celery_process.stores.sql.bounds import MIGRATING, USUAL, Bounds
from celery_process.stores.sql.connecting import BEGIN, make_engine
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.retry import driver_of
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock, Transaction, utc_now

Result = TypeVar("Result")
Given = ParamSpec("Given")
Step = Callable[Concatenate[Transaction, Given], Result]

SYNCHRONOUS = {"FULL": "PRAGMA synchronous = FULL", "NORMAL": "PRAGMA synchronous = NORMAL"}


class Mode(Enum):
    """How a transaction begins, by the statement that is sent first. The drivers begin none by themselves, but MySQL's."""

    WRITE = ("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED", "")
    READ = ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    """Several statements that see one moment."""
    PEEK = ("", "", "")
    """One SELECT, which needs no transaction around it.

    The client's deadline alone ends it: a bound at the server would cost a transaction, a session's own setting is lost
    behind a pooler, and no transaction waits for a statement that locks no row.
    """

    def __init__(self, sqlite: str, postgresql: str, mysql: str) -> None:
        self.begin = {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}


def _process_of(about: object = "", *_: object) -> str:
    """Return the process that a step is about, by the first of its arguments; an empty text where it is about many."""
    return about.process if isinstance(about, RunKey) else about if isinstance(about, str) else ""


class Database:
    """Where transactions come from. Nothing connects before the first one.

    `keep_idle`: whether connections stay open for the next transaction. `bounds`: what a transaction may wait for.
    """

    def __init__(
        self,
        address: Address,
        tables: Tables,
        *,
        clock: Clock | None,
        synchronous: str,
        keep_idle: bool = True,
        bounds: Bounds = USUAL,
    ) -> None:
        self.address, self.tables = address, tables
        self.family = family_of(address.dialect)
        self.is_sqlite = self.family == "sqlite"
        self.clock = utc_now if clock is None and self.is_sqlite else clock
        self._given = (clock, synchronous)
        self._keep_idle, self.bounds, self._synchronous = keep_idle, bounds, SYNCHRONOUS[synchronous]
        sent_along = bounds.postgresql if self.family == "postgresql" else ""
        self._begins = {mode: f"{begin}{sent_along}" if (begin := mode.begin[self.family]) else "" for mode in Mode}
        self._driver = driver_of(self.family, self._mismatch)
        self.command: Callable[[], str] = str
        """What makes or mends the tables."""
        # By process id: a connection must not be used, nor closed, on both sides of a fork.
        self._engines: dict[int, Engine] = {}

    @property
    def engine(self) -> Engine:
        """The engine of this operating-system process."""
        pid = os.getpid()
        engine = self._engines.get(pid)
        if engine is not None:
            return engine
        made = make_engine(self.address, self.bounds, keep_idle=self._keep_idle, synchronous=self._synchronous)
        return self._engines.setdefault(pid, made)

    def _mismatch(self, kind: str, operation: str) -> SchemaMismatch:
        command = self.command()
        return SchemaMismatch(
            f"A table or a column of {self.address.shown} is missing ({kind}); restore it from a copy, or make all tables "
            f"anew by: {command}",
            found=None,
            wanted=None,
            command=command,
            operation=operation,
        )

    @contextlib.contextmanager
    def patient(self) -> Iterator[Database]:
        """Return this database over connections that may wait and work for as long as a migration takes."""
        clock, synchronous = self._given
        database = Database(
            self.address, self.tables, clock=clock, synchronous=synchronous, keep_idle=False, bounds=MIGRATING
        )
        database.command = self.command
        try:
            yield database
        finally:
            database.close()

    def close(self) -> None:
        """Close this process's connections."""
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()

    def write(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step in a transaction that is committed, and tried again from its start if need be."""
        return self._run(operation, Mode.WRITE, lambda tx: step(tx, *args, **more), _process_of(*args))

    def read(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step that only reads, over one snapshot."""
        return self._run(operation, Mode.READ, lambda tx: step(tx, *args, **more), _process_of(*args))

    def peek(self, operation: str, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs) -> Result:
        """Run a step of a single SELECT."""
        return self._run(operation, Mode.PEEK, lambda tx: step(tx, *args, **more), _process_of(*args))

    def _run(self, operation: str, mode: Mode, step: Callable[[Transaction], Result], process: str) -> Result:
        def once() -> Result:
            with self._begun(mode) as conn:
                return step(Transaction(conn, self.tables, self.clock))

        return retried(once, self._driver, operation=operation, url=self.address.shown, process=process)

    @contextlib.contextmanager
    def _begun(self, mode: Mode) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            conn.execution_options(**{BEGIN: self._begins[mode]})
            with conn.begin():
                yield conn
