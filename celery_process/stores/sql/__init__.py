"""The SQL store: the contract over SQLAlchemy Core, for SQLite, PostgreSQL, MySQL and MariaDB.

Definitions are written by the caller's transaction or by one of the store's; everything else by short transactions of
the store's, in one lock order: item → page → work → status → run → process. The methods here only choose the kind of
transaction of an operation; its statements are in the module of its noun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakMethod

from sqlalchemy.engine import Connection

from celery_process.exceptions import ConfigurationError
from celery_process.protocol.model import ItemClaim, NewestSlot, RunStatus, SweepTarget, Swept
from celery_process.protocol.reports import ItemReport, Reported
from celery_process.protocol.states import StopReason
from celery_process.protocol.unit import Unit, perform
from celery_process.stores.atomic import Answer
from celery_process.stores.base import Store, operations
from celery_process.stores.reads import Reads
from celery_process.stores.sql import definitions, deployment, items, reads, reporting, stopping, sweeps
from celery_process.stores.sql.address import check_prefix, parse
from celery_process.stores.sql.engine import SYNCHRONOUS, Database, Given, Result, Step
from celery_process.stores.sql.joining import connection_of, place_of, refuse_elsewhere
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.migrations import Schema
from celery_process.stores.sql.rows import SqlRows
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock, Transaction
from celery_process.stores.warning import StoreWarning

COMMAND = "celery -A proj process migrate"
READS = operations(Reads) | {"repairs"}
"""Operations that write nothing, and see one moment."""
ONE_SELECT = frozenset(("overrides", "settings_history", "slots", "work_counts", "repairs"))
"""Those of them that are a single SELECT, which needs no transaction around it."""


class SqlStore(Store):
    """`sqlite:///file.db`, `postgresql://…`, `mysql://…` or `mariadb://…`; the tables' names begin with `table_prefix`.

    `clock` returns the store's time; without it the server's is used, and for SQLite this host's. `synchronous` is
    SQLite's: with "NORMAL" a power loss may take the last commits along.
    """

    shared = True

    def __init__(
        self,
        url: str,
        *,
        table_prefix: str = "cp_",
        clock: Clock | None = None,
        synchronous: str = "FULL",
        **_: Any,
    ) -> None:
        if synchronous not in SYNCHRONOUS:
            raise ConfigurationError(
                f"synchronous={synchronous!r:.40} is not known; use one of {', '.join(SYNCHRONOUS)}.",
                setting="synchronous",
                value=synchronous,
            )
        address = parse(url)
        self.url = address.shown
        self._use(Database(address, Tables(check_prefix(table_prefix)), clock=clock, synchronous=synchronous))

    def _use(self, database: Database) -> None:
        self._db, self._schema = database, Schema(database)
        command = WeakMethod(self._command)  # else the store would be freed by a second collection, after its app

        def ask() -> str:
            alive = command()
            return COMMAND if alive is None else alive()

        database.command = ask
        self._place: tuple[str, ...] | None = None
        """Where its tables are, once a caller's transaction was compared with it."""

    def _command(self) -> str:
        """Return the command that makes or mends the tables."""
        return self.pasted(COMMAND)

    def register(self, process: str, works: Mapping[str, str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        return self._define("register", using, definitions.register, process, works)

    def unregister(self, process: str, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        return self._define("unregister", using, definitions.unregister, process, names)

    def update_settings(  # noqa: D102
        self,
        process: str,
        *,
        settings: str | None,
        schedule: str | None,
        by: str = "",
        expected_version: int | None = None,
        using: Any = None,
    ) -> int:
        return self._define(
            "update_settings",
            using,
            definitions.update_settings,
            process,
            settings=settings,
            schedule=schedule,
            by=by,
            expected_version=expected_version,
        )

    def atomically(  # noqa: D102
        self, operation: str, process: str, step: Callable[[Unit], Answer], *, using: Any = None
    ) -> Answer:
        def over_rows(tx: Transaction, process: str) -> Answer:
            return perform(SqlRows(tx, process), step)

        if operation in ONE_SELECT:
            return self._ready.peek(operation, over_rows, process)
        if operation in READS:
            return self._ready.read(operation, over_rows, process)
        return self._define(operation, using, over_rows, process)

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:  # noqa: D102
        return stopping.stop_run(self._ready, RunKey.of(process, run), reason)

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        return sweeps.begin_sweep(self._ready, processes, interval=interval, grace=grace)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        return self._ready.write("take_turns", sweeps.take_turns, processes, interval=interval)

    def mark_published(self, process: str, run: str, names: Collection[str]) -> None:  # noqa: D102
        self._ready.write("mark_published", items.mark_published, RunKey.of(process, run), names)

    def claim(  # noqa: D102
        self, process: str, run: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
    ) -> tuple[ItemClaim, ...]:
        return items.claim(self._ready, RunKey.of(process, run), names, token=token, lease=lease, max_attempts=max_attempts)

    def report(  # noqa: D102
        self, process: str, run: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta
    ) -> Reported:
        return reporting.report(self._ready, RunKey.of(process, run), reports, token=token, lease=lease)

    def release(self, process: str, run: str, names: Sequence[str], *, token: str) -> Reported:  # noqa: D102
        return items.release(self._ready, RunKey.of(process, run), names, token=token)

    def sweep_run(  # noqa: D102
        self,
        process: str,
        run: str,
        *,
        lease: timedelta,
        redispatch_after: timedelta,
        grace: timedelta,
        max_attempts: int,
        limit: int,
    ) -> Swept:
        return sweeps.sweep_run(
            self._ready,
            RunKey.of(process, run),
            lease=lease,
            redispatch_after=redispatch_after,
            grace=grace,
            max_attempts=max_attempts,
            limit=limit,
        )

    def now(self) -> datetime:  # noqa: D102
        return self._db.clock() if self._db.clock else self._ready.peek("now", reads.now)

    def schedules(self) -> Mapping[str, str]:  # noqa: D102
        return self._ready.peek("schedules", reads.schedules)

    def running(self) -> tuple[str, ...]:  # noqa: D102
        return self._ready.read("running", reads.running)

    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:  # noqa: D102
        return self._ready.read("newest_slots", reads.newest_slots, processes)

    def check(self) -> tuple[StoreWarning, ...]:
        """Make a round trip and refuse tables of another version."""
        return self._schema.check()

    def deployment(self, own: str = "", *, adopt: bool = False) -> str:  # noqa: D102
        if not own:
            return self._ready.peek("deployment", deployment.noted)
        return self._ready.write("deployment", deployment.note, own, adopt=adopt)

    def migrate(self) -> tuple[str, ...]:  # noqa: D102
        return self._schema.migrate()

    def close(self) -> None:  # noqa: D102
        self._db.close()

    @property
    def _ready(self) -> Database:
        """The database, once its tables are known to fit."""
        self._schema.ensure()
        return self._db

    def _define(
        self, operation: str, using: Any, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs
    ) -> Result:
        if using is None:
            return self._ready.write(operation, step, *args, **more)
        # The caller's transaction is theirs: nothing is committed, tried again or turned into an error of ours.
        return self._join(connection_of(using, self._db.address), using, step, *args, **more)

    def _join(
        self, conn: Connection, using: Any, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs
    ) -> Result:
        """Run a step in a caller's transaction, on the store's own tables."""
        database = self._ready
        table = database.tables.process
        if self._place is None:
            self._place = () if database.is_sqlite else database.peek("place", lambda tx: place_of(tx.conn, table))
        refuse_elsewhere(conn, using, table, self._place, self.url)
        return step(Transaction(conn, database.tables, database.clock), *args, **more)
