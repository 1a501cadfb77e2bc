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
from celery_process.protocol.model import (
    ItemClaim,
    NewestSlot,
    Overrides,
    Page,
    Retention,
    RunStatus,
    SlotEntry,
    StoredProcess,
    SweepTarget,
    Swept,
    WorkInfo,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import ItemReport, Reported
from celery_process.protocol.rows import Rows
from celery_process.protocol.states import StopReason, WorkList
from celery_process.stores.atomic import Answer
from celery_process.stores.base import Store
from celery_process.stores.sql import (
    definitions,
    deployment,
    history,
    items,
    ledger,
    pages,
    purge,
    reads,
    reporting,
    restoring,
    stopping,
    sweeps,
)
from celery_process.stores.sql.address import check_prefix, parse
from celery_process.stores.sql.engine import SYNCHRONOUS, Database, Given, Result, Step
from celery_process.stores.sql.joining import connection_of, place_of, refuse_elsewhere
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.migrations import Schema
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock, Transaction
from celery_process.stores.sql.unit import Unit
from celery_process.stores.warning import StoreWarning

COMMAND = "celery -A proj process migrate"


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

    def restore(  # noqa: D102
        self, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool = False
    ) -> None:
        self._ready.write("restore", restoring.restore, process, stored, works, force=force)

    def atomically(self, operation: str, process: str, step: Callable[[Rows], Answer]) -> Answer:  # noqa: D102
        return self._ready.write(operation, lambda tx, process: step(Unit(tx, process)), process)

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:  # noqa: D102
        return stopping.stop_run(self._ready, RunKey.of(process, run), reason)

    def repairs(self, process: str, run: str) -> Repairs:  # noqa: D102
        return self._ready.read("repairs", sweeps.repairs, RunKey.of(process, run))

    def ack_repairs(self, process: str, run: str, number: int) -> None:  # noqa: D102
        self._ready.write("ack_repairs", sweeps.ack_repairs, RunKey.of(process, run), number)

    def ack_finish(self, process: str, run: str) -> bool:  # noqa: D102
        return self._ready.write("ack_finish", stopping.ack_finish, RunKey.of(process, run))

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        return sweeps.begin_sweep(self._ready, processes, interval=interval, grace=grace)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        return self._ready.write("take_turns", sweeps.take_turns, processes, interval=interval)

    def purge(self, process: str, *, retention: Retention, limit: int) -> int:  # noqa: D102
        return purge.purge(self._ready, process, retention=retention, limit=limit)

    def open_page(  # noqa: D102
        self, process: str, run: str, *, token: str, size: int, window: int, rate: float | None = None
    ) -> Page:
        key = RunKey.of(process, run)
        return self._ready.write("open_page", pages.open_page, key, token=token, size=size, window=window, rate=rate)

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

    def process(self, process: str, *, live: bool = True) -> StoredProcess:  # noqa: D102
        return self._ready.read("process", reads.process, process, live=live)

    def overrides(self, process: str) -> Overrides:  # noqa: D102
        return self._ready.peek("overrides", reads.overrides, process)

    def settings_history(self, process: str, *, limit: int) -> tuple[Overrides, ...]:  # noqa: D102
        return self._ready.peek("settings_history", history.read, process, limit=limit)

    def schedules(self) -> Mapping[str, str]:  # noqa: D102
        return self._ready.peek("schedules", reads.schedules)

    def running(self) -> tuple[str, ...]:  # noqa: D102
        return self._ready.read("running", reads.running)

    def run(self, process: str, run: str) -> RunStatus:  # noqa: D102
        return self._ready.read("run", reads.run, process, run)

    def runs(self, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:  # noqa: D102
        return self._ready.read("runs", reads.runs, process, before=before, limit=limit)

    def slots(self, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:  # noqa: D102
        return self._ready.peek("slots", reads.slots, process, before=before, limit=limit)

    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:  # noqa: D102
        return self._ready.read("newest_slots", ledger.newest, processes)

    def works(self, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:  # noqa: D102
        return self._ready.read("works", reads.works, process, on=on, after=after, limit=limit)

    def work(self, process: str, name: str) -> WorkInfo:  # noqa: D102
        return self._ready.read("work", reads.work, process, name)

    def work_counts(self, process: str) -> Mapping[WorkList, int]:  # noqa: D102
        return self._ready.peek("work_counts", reads.work_counts, process)

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
