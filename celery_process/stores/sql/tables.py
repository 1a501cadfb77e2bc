"""The tables of the run protocol, built for a prefix. What changes here needs a migration beside it.

Every key of the protocol is a unique constraint; the surrogate `id` is there for Django's admin. Partial indexes hold
what is open, so that no probe walks over what is over: an old snapshot elsewhere keeps dead entries in a full index.

An item is found by its key or by the id of its page, and no two full indexes of `item` begin alike. For a new run's epoch is
in no statistics yet, so that PostgreSQL takes (process, epoch) for a single row, and between two such indexes it would
as soon walk the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, SlotEnd, WorkList, WorkState
from celery_process.stores.sql.columns import (
    EPOCHS,
    ERRORS,
    LIMIT_BROKEN,
    LIMITS,
    MYSQL,
    PACE,
    REPAIRS,
    STATS,
    TEXT,
    TOTALS,
    Instant,
    Word,
    code_points,
    surrogate_id,
)

PARTIAL = ("postgresql", "sqlite")
"""Dialects with partial indexes; the others take a full one with the state as its last column."""

OPEN_ITEMS = tuple(state for state in ItemState if state.is_open)
OPEN_RUNS = tuple(state for state in RunState if state.is_open)

OFFERED: Mapping[str, Any] = {"lease_until": None, "dispatched_at": None, "dispatches": 0}
"""What an item has whose lease ran out: unpublished as if never published, and its last holder's until another claim."""
FREED: Mapping[str, Any] = {**OFFERED, "token": ""}
"""What an item has that nobody holds: with no token that could write."""

MYSQL_OPTIONS: Mapping[str, Any] = {
    f"{family}_{option}": word for family in MYSQL for option, word in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}
"""Transactions and all of Unicode, whatever the server or the database has by default."""

BUSY_TABLE = sa.DDL("ALTER TABLE %(fullname)s SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)")  # type: ignore[no-untyped-call]
"""Room on each page for new versions of its rows, and a vacuum for every fiftieth row: an item is written three times."""


def one_of(column: sa.ColumnElement[Any], words: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    """Return "column is one of words" with the words in the SQL, for only then can a plan use a partial index."""
    return column.in_(sa.bindparam(None, words, type_=column.type, expanding=True, literal_execute=True, unique=True))


def passed(at: sa.ColumnElement[Any], now: datetime, span: timedelta) -> sa.ColumnElement[bool]:
    """Return `rules.passed` for a column."""
    return sa.or_(at <= now - span, at > now + span)


class Tables:
    """The ten tables of one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.statements: dict[Any, Any] = {}
        """What `Transaction.built` has built."""
        self.metadata = sa.MetaData()
        self.meta = self._table(
            "meta",
            sa.Column("name", code_points(), nullable=False),
            sa.Column("number", sa.BigInteger, nullable=False),
            key=("name",),
        )
        self.process = self._table(
            "process",
            sa.Column("name", code_points(), nullable=False),
            sa.Column("epoch", sa.BigInteger, nullable=False, default=0),
            sa.Column("last_slot", Instant),
            sa.Column("schedule_rule", TEXT, nullable=False, default=""),
            sa.Column("paused_at", Instant),
            sa.Column("pause_note", TEXT, nullable=False, default=""),
            sa.Column("paused_by", TEXT, nullable=False, default=""),
            sa.Column("aggregate_stats", STATS, nullable=False, default={}),
            sa.Column("swept_at", Instant),
            sa.Column("purge_due", sa.Boolean, nullable=False, default=False),
            sa.Column("limits", LIMITS),
            sa.Column("pace", PACE),
            key=("name",),
        )
        self._add_settings()
        self._add_work()
        self._add_run()
        self._add_item()
        self.slot = self._table(
            "slot",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("slot", Instant, nullable=False),
            sa.Column("after_slot", Instant),
            sa.Column("slot_end", Word(SlotEnd), nullable=False),
            sa.Column("noted_at", Instant, nullable=False),
            sa.Column("noted_by", TEXT, nullable=False),
            sa.Column("run", code_points()),
            key=("process", "slot"),
        )

    def _add_settings(self) -> None:
        def columns() -> list[sa.Column[Any]]:
            return [
                sa.Column("process", code_points(), nullable=False),
                sa.Column("settings", TEXT),
                sa.Column("schedule", TEXT),
                sa.Column("version", sa.BigInteger, nullable=False),
                sa.Column("changed_at", Instant, nullable=False),
                sa.Column("changed_by", TEXT, nullable=False),
            ]

        self.settings = self._table("settings", *columns(), key=("process",))
        self.settings_version = self._table("settings_version", *columns(), key=("process", "version"))

    def _add_work(self) -> None:
        self.work = self._table(
            "work",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("name", code_points(), nullable=False),
            sa.Column("on_list", Word(WorkList), nullable=False),
            sa.Column("listed_at", Instant, nullable=False),
            sa.Column("params", TEXT, nullable=False),
            sa.Column("params_version", sa.BigInteger, nullable=False),
            key=("process", "name"),
        )
        self.work.info["fence"] = self.meta
        self._index(self.work, "list", "process", "on_list", "name")
        self._index(self.work, "changed", "process", "params_version")
        self.status = self._table(
            "status",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("name", code_points(), nullable=False),
            sa.Column("params_version", sa.BigInteger, nullable=False),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("state", Word(WorkState), nullable=False),
            sa.Column("stats", STATS, nullable=False),
            sa.Column("errors", ERRORS, nullable=False),
            sa.Column("error_count", sa.BigInteger, nullable=False),
            sa.Column("last_error_at", Instant),
            sa.Column("started_at", Instant),
            sa.Column("finished_at", Instant),
            sa.Column("attempt", sa.Integer, nullable=False),
            sa.Column("token", code_points()),
            key=("process", "name"),
        )

    def _add_run(self) -> None:
        self.run = self._table(
            "run",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("run_uuid", code_points(), nullable=False),
            sa.Column("slot", Instant, nullable=False),
            sa.Column("generation", sa.Integer, nullable=False),
            sa.Column("state", Word(RunState), nullable=False, default=RunState.ACTIVE),
            sa.Column("reason", sa.String(32), nullable=False, default=""),
            sa.Column("defaults", TEXT, nullable=False),
            sa.Column("settings_version", sa.BigInteger, nullable=False),
            sa.Column("work_limit", sa.BigInteger),
            sa.Column("error_limit", sa.BigInteger),
            sa.Column("redrives", EPOCHS, nullable=False, default=()),
            sa.Column("listed_before", Instant, nullable=False),
            sa.Column("cursor_list", Word(WorkList)),
            sa.Column("cursor_name", code_points(), nullable=False, default=""),
            sa.Column("pages_made", sa.Integer, nullable=False, default=0),
            sa.Column("pages_open", sa.Integer, nullable=False, default=0),
            sa.Column("started_at", Instant, nullable=False),
            sa.Column("progress_at", Instant, nullable=False),
            sa.Column("finished_at", Instant),
            sa.Column("notified_at", Instant),
            sa.Column("counts", STATS, nullable=False, default={}),
            sa.Column("stats", STATS, nullable=False, default={}),
            sa.Column("total_errors", sa.BigInteger, nullable=False, default=0),
            sa.Column("errors", ERRORS, nullable=False, default=()),
            sa.Column("last_error_at", Instant),
            sa.Column("limit_broken", LIMIT_BROKEN),
            sa.Column("repairs", REPAIRS),
            sa.Column("items_purged", sa.Boolean, nullable=False, default=False),
            key=("process", "epoch"),
        )
        self._unique(self.run, "slot", "process", "slot", "generation")
        self._unique(self.run, "uuid", "process", "run_uuid")
        self._partial(self.run, "open", "process", where=one_of(self.run.c.state, OPEN_RUNS), unique=True)
        self.page = self._table(
            "page",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("page", sa.Integer, nullable=False),
            sa.Column("token", code_points(), nullable=False),
            sa.Column("on_list", Word(WorkList), nullable=False),
            sa.Column("opened_at", Instant, nullable=False),
            sa.Column("is_open", sa.Boolean, nullable=False, default=True),
            key=("process", "epoch", "page"),
        )
        self._unique(self.page, "token", "process", "epoch", "token")
        self._partial(self.page, "open", "process", "epoch", where=self.page.c.is_open.is_(True))

    def _add_item(self) -> None:
        self.item = self._table(
            "item",
            sa.Column("process", code_points(), nullable=False),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("name", code_points(), nullable=False),
            sa.Column("page_id", sa.BigInteger, nullable=False),
            sa.Column("on_list", Word(WorkList), nullable=False),
            sa.Column("params_version", sa.BigInteger, nullable=False),
            sa.Column("state", Word(ItemState), nullable=False, default=ItemState.PENDING),
            sa.Column("token", code_points(), nullable=False, default=""),
            sa.Column("sequence", sa.BigInteger, nullable=False, default=0),
            sa.Column("attempt", sa.Integer, nullable=False, default=0),
            sa.Column("lease_until", Instant),
            sa.Column("started_at", Instant),
            sa.Column("finished_at", Instant),
            sa.Column("dispatched_at", Instant),
            sa.Column("dispatches", sa.Integer, nullable=False, default=0),
            sa.Column("outcome", Word(WorkState)),
            sa.Column("totals", TOTALS, nullable=False, default=Totals()),
            sa.Column("error_count", sa.BigInteger, nullable=False, default=0),
            sa.Column("errors", ERRORS, nullable=False, default=()),
            sa.Column("last_error_at", Instant),
            key=("process", "epoch", "name"),
        )
        sa.event.listen(self.item, "after_create", BUSY_TABLE.execute_if(dialect="postgresql"))
        self._index(self.item, "page", "page_id")
        self._partial(self.item, "open", "page_id", where=self.item_is_open)
        claimed = one_of(self.item.c.state, (ItemState.CLAIMED,))
        self._partial(self.item, "lease", "process", "epoch", "lease_until", where=claimed)
        self._full(self.item, "open", "page_id", "state")
        self._full(self.item, "lease", "process", "epoch", "state", "lease_until")

    @cached_property
    def item_is_open(self) -> sa.ColumnElement[bool]:
        """The condition of the partial index of open items."""
        return one_of(self.item.c.state, OPEN_ITEMS)

    def _table(self, noun: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> sa.Table:
        name = f"{self.prefix}{noun}"
        constraint = sa.UniqueConstraint(*key, name=f"{name}_key")
        return sa.Table(name, self.metadata, surrogate_id(), *columns, constraint, info={"key": key}, **MYSQL_OPTIONS)

    def _unique(self, table: sa.Table, noun: str, *columns: str) -> None:
        table.append_constraint(sa.UniqueConstraint(*columns, name=f"{table.name}_{noun}_key"))

    def _index(self, table: sa.Table, noun: str, *columns: str) -> None:
        sa.Index(f"{table.name}_{noun}_idx", *(table.c[column] for column in columns))

    def _partial(
        self, table: sa.Table, noun: str, *columns: str, where: sa.ColumnElement[bool], unique: bool = False
    ) -> None:
        sa.Index(
            f"{table.name}_{noun}_idx",
            *(table.c[column] for column in columns),
            unique=unique,
            postgresql_where=where,
            sqlite_where=where,
        ).ddl_if(callable_=lambda *_, dialect, **__: dialect.name in PARTIAL)

    def _full(self, table: sa.Table, noun: str, *columns: str) -> None:
        index = sa.Index(f"{table.name}_{noun}_idx", *(table.c[column] for column in columns))
        index.ddl_if(callable_=lambda *_, dialect, **__: dialect.name not in PARTIAL)
