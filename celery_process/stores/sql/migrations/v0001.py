"""Version 1: the tables as they were first released. Frozen: what changes later is another migration."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.stores.sql.migrations import kinds

_PARTIAL = ("postgresql", "sqlite")


def upgrade(conn: Connection, prefix: str) -> None:
    """Create all tables but `meta`, which is there already."""
    metadata = sa.MetaData()
    for build in (_process, _settings, _settings_version, _work, _status, _run, _page, _item, _slot):
        build(metadata, prefix)
    for table in metadata.sorted_tables:
        kinds.create(conn, table)


def meta(prefix: str) -> sa.Table:
    """Return the table that holds the version."""
    columns = (sa.Column("name", kinds.NAME, nullable=False), _required("number"))
    return _table(sa.MetaData(), f"{prefix}meta", *columns, key=("name",))


def _names(*columns: str) -> list[sa.Column[Any]]:
    return [sa.Column(column, kinds.NAME, nullable=False) for column in columns]


def _required(column: str, kind: Any = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(column, kind, nullable=False)


def _optional(column: str, kind: Any = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(column, kind)


def _table(metadata: sa.MetaData, name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> sa.Table:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    identity = sa.Column("id", number, sa.Identity(always=False), primary_key=True)
    return sa.Table(name, metadata, identity, *columns, sa.UniqueConstraint(*key, name=f"{name}_key"), **kinds.OPTIONS)


def _unique(table: sa.Table, noun: str, *columns: str) -> None:
    table.append_constraint(sa.UniqueConstraint(*columns, name=f"{table.name}_{noun}_key"))


def _index(table: sa.Table, noun: str, *columns: str, **options: Any) -> sa.Index:
    return sa.Index(f"{table.name}_{noun}_idx", *(table.c[column] for column in columns), **options)


def _partial(table: sa.Table, noun: str, *columns: str, where: sa.ColumnElement[bool], unique: bool = False) -> None:
    index = _index(table, noun, *columns, unique=unique, postgresql_where=where, sqlite_where=where)
    index.ddl_if(callable_=lambda *_, dialect, **__: dialect.name in _PARTIAL)


def _full(table: sa.Table, noun: str, *columns: str) -> None:
    _index(table, noun, *columns).ddl_if(callable_=lambda *_, dialect, **__: dialect.name not in _PARTIAL)


def _process(metadata: sa.MetaData, prefix: str) -> None:
    _table(
        metadata,
        f"{prefix}process",
        *_names("name"),
        _required("epoch"),
        _optional("last_slot"),
        _required("schedule_rule", kinds.TEXT),
        _optional("paused_at"),
        _required("pause_note", kinds.TEXT),
        _required("paused_by", kinds.TEXT),
        _required("aggregate_stats", kinds.TEXT),
        _optional("swept_at"),
        _required("purge_due", sa.Boolean),
        _optional("limits", kinds.TEXT),
        _optional("pace", kinds.TEXT),
        key=("name",),
    )


def _settings(metadata: sa.MetaData, prefix: str) -> None:
    _table(metadata, f"{prefix}settings", *_overrides(), key=("process",))


def _settings_version(metadata: sa.MetaData, prefix: str) -> None:
    _table(metadata, f"{prefix}settings_version", *_overrides(), key=("process", "version"))


def _overrides() -> list[sa.Column[Any]]:
    return [
        *_names("process"),
        _optional("settings", kinds.TEXT),
        _optional("schedule", kinds.TEXT),
        _required("version"),
        _required("changed_at"),
        _required("changed_by", kinds.TEXT),
    ]


def _work(metadata: sa.MetaData, prefix: str) -> None:
    table = _table(
        metadata,
        f"{prefix}work",
        *_names("process", "name"),
        _required("on_list", sa.String(16)),
        _required("listed_at"),
        _required("params", kinds.TEXT),
        _required("params_version"),
        key=("process", "name"),
    )
    _index(table, "list", "process", "on_list", "name")
    _index(table, "changed", "process", "params_version")


def _status(metadata: sa.MetaData, prefix: str) -> None:
    _table(
        metadata,
        f"{prefix}status",
        *_names("process", "name"),
        _required("params_version"),
        _required("epoch"),
        _required("state", sa.String(16)),
        _required("stats", kinds.TEXT),
        _required("errors", kinds.TEXT),
        _required("error_count"),
        _optional("last_error_at"),
        _optional("started_at"),
        _optional("finished_at"),
        _required("attempt", sa.Integer),
        _optional("token", kinds.NAME),
        key=("process", "name"),
    )


def _run(metadata: sa.MetaData, prefix: str) -> None:
    table = _table(
        metadata,
        f"{prefix}run",
        *_names("process"),
        _required("epoch"),
        *_names("run_uuid"),
        _required("slot"),
        _required("generation", sa.Integer),
        _required("state", sa.String(16)),
        _required("reason", sa.String(32)),
        _required("defaults", kinds.TEXT),
        _required("settings_version"),
        _optional("work_limit"),
        _optional("error_limit"),
        _required("redrives", kinds.TEXT),
        _required("listed_before"),
        _optional("cursor_list", sa.String(16)),
        *_names("cursor_name"),
        _required("pages_made", sa.Integer),
        _required("pages_open", sa.Integer),
        _required("started_at"),
        _required("progress_at"),
        _optional("finished_at"),
        _optional("notified_at"),
        _required("counts", kinds.TEXT),
        _required("stats", kinds.TEXT),
        _required("total_errors"),
        _required("errors", kinds.TEXT),
        _optional("last_error_at"),
        _optional("limit_broken", kinds.TEXT),
        _optional("repairs", kinds.TEXT),
        _required("items_purged", sa.Boolean),
        key=("process", "epoch"),
    )
    _unique(table, "slot", "process", "slot", "generation")
    _unique(table, "uuid", "process", "run_uuid")
    _partial(table, "open", "process", where=table.c.state.in_(["ACTIVE", "ABORTING"]), unique=True)


def _page(metadata: sa.MetaData, prefix: str) -> None:
    table = _table(
        metadata,
        f"{prefix}page",
        *_names("process"),
        _required("epoch"),
        _required("page", sa.Integer),
        *_names("token"),
        _required("on_list", sa.String(16)),
        _required("opened_at"),
        _required("is_open", sa.Boolean),
        key=("process", "epoch", "page"),
    )
    _unique(table, "token", "process", "epoch", "token")
    _partial(table, "open", "process", "epoch", where=table.c.is_open.is_(True))


def _item(metadata: sa.MetaData, prefix: str) -> None:
    table = _table(
        metadata,
        f"{prefix}item",
        *_names("process"),
        _required("epoch"),
        *_names("name"),
        _required("page_id"),
        _required("on_list", sa.String(16)),
        _required("params_version"),
        _required("state", sa.String(16)),
        *_names("token"),
        _required("sequence"),
        _required("attempt", sa.Integer),
        _optional("lease_until"),
        _optional("started_at"),
        _optional("finished_at"),
        _optional("dispatched_at"),
        _required("dispatches", sa.Integer),
        _optional("outcome", sa.String(16)),
        _required("totals", kinds.TEXT),
        _required("error_count"),
        _required("errors", kinds.TEXT),
        _optional("last_error_at"),
        key=("process", "epoch", "name"),
    )
    busy = sa.DDL("ALTER TABLE %(fullname)s SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)")  # type: ignore[no-untyped-call]
    sa.event.listen(table, "after_create", busy.execute_if(dialect="postgresql"))
    _index(table, "page", "page_id")
    _partial(table, "open", "page_id", where=table.c.state.in_(["pending", "claimed"]))
    _partial(table, "lease", "process", "epoch", "lease_until", where=table.c.state.in_(["claimed"]))
    _full(table, "open", "page_id", "state")
    _full(table, "lease", "process", "epoch", "state", "lease_until")


def _slot(metadata: sa.MetaData, prefix: str) -> None:
    _table(
        metadata,
        f"{prefix}slot",
        *_names("process"),
        _required("slot"),
        _optional("after_slot"),
        _required("slot_end", sa.String(16)),
        _required("noted_at"),
        _required("noted_by", kinds.TEXT),
        _optional("run", kinds.NAME),
        key=("process", "slot"),
    )
