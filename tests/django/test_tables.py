"""The tables that Django's migrations make are the SQL store's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from django.core.management import call_command
from django.db import connections

from celery_process.contrib.django.store import _own_options
from celery_process.exceptions import ConfigurationError, SchemaMismatch
from celery_process.stores import open_store
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.address import parse
from celery_process.stores.sql.migrations import MIGRATIONS, VERSION
from celery_process.stores.sql.options import POOL_SIZE, Options
from celery_process.stores.sql.tables import Tables

NAMES = sorted(Tables("cp_").metadata.tables)


def shape(engine: sa.Engine) -> set[Any]:
    """Return all that can be read back of the tables."""
    with engine.connect() as conn:
        look = sa.inspect(conn)
        found: set[Any] = set()
        for name in NAMES:
            for column in look.get_columns(name):
                kind = column["type"].compile(dialect=conn.dialect)
                facts = (kind, column["nullable"], column.get("default"), bool(column.get("identity")))
                found.add((name, column["name"], *facts, getattr(column["type"], "collation", None)))
            found.add((name, "primary", *look.get_pk_constraint(name)["constrained_columns"]))
            found |= {(name, unique["name"], *unique["column_names"]) for unique in look.get_unique_constraints(name)}
            found |= {(name, check["name"], check["sqltext"]) for check in look.get_check_constraints(name)}
            for index in look.get_indexes(name):
                where = [str(value) for key, value in index.get("dialect_options", {}).items() if key.endswith("_where")]
                found.add((name, index["name"], bool(index["unique"]), *index["column_names"], *where))
        if conn.dialect.name == "postgresql":
            query = sa.text("SELECT relname, reloptions::text FROM pg_class WHERE relname = ANY(:names)")
            found |= {tuple(row) for row in conn.execute(query, {"names": NAMES})}
        return found


@pytest.fixture
def two(alias: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Give an engine to Django's tables, and one to tables that the store made."""
    migrated = open_store(f"django://{alias}")
    theirs = sa.create_engine(migrated._db.address.url)
    if theirs.dialect.name == "sqlite":
        own = SqlStore(f"sqlite:///{tmp_path}/own.db")
        ours = sa.create_engine(own._db.address.url)
        own.migrate()
    else:
        with theirs.begin() as conn:
            conn.execute(sa.text("DROP SCHEMA IF EXISTS own CASCADE"))
            conn.execute(sa.text("CREATE SCHEMA own"))
        ours = sa.create_engine(theirs.url, connect_args={"options": "-c search_path=own"})
        url = theirs.url.update_query_dict({"options": "-c search_path=own"})
        own = SqlStore(url.render_as_string(hide_password=False))
        own.migrate()
    own.close()
    migrated.close()
    yield theirs, ours
    if ours.dialect.name == "postgresql":
        with ours.begin() as conn:
            conn.execute(sa.text("DROP SCHEMA own CASCADE"))
    theirs.dispose()
    ours.dispose()


def test_equal(two: Any) -> None:
    """No column, key, index, condition, collation or storage option differs."""
    theirs, ours = two
    assert shape(theirs) == shape(ours)


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER TABLE cp_work ADD COLUMN more BIGINT",
        "DROP INDEX cp_item_open_idx",
        "CREATE INDEX cp_more_idx ON cp_run (state)",
        "ALTER TABLE cp_slot RENAME COLUMN noted_by TO told_by",
    ],
)
def test_drift(two: Any, drift: str) -> None:
    """The comparison sees what differs."""
    theirs, ours = two
    with ours.begin() as conn:
        conn.execute(sa.text(drift))
    assert shape(theirs) != shape(ours)


def test_models(alias: str) -> None:
    """What the store writes is read by the models, of all tables."""
    from celery_process.contrib.django.models import Process, Run, Work

    store = open_store(f"django://{alias}")
    store.register("models", {"a": '{"n":1}'})
    work = Work.objects.using(alias).get(process="models")
    assert (work.name, work.on_list, work.params, str(work)) == ("a", "active", '{"n":1}', "models: a")
    assert Process.objects.using(alias).filter(name="models").count() <= 1
    assert list(Run.objects.using(alias).filter(process="models")) == []
    store.close()


@pytest.mark.usefixtures("databases")
def test_models_follow_the_tables() -> None:
    """Each model has just the columns of its table."""
    from django.apps import apps

    models = {model._meta.db_table: model for model in apps.get_app_config("celery_process").get_models()}
    tables = Tables("cp_").metadata.tables
    assert sorted(models) == sorted(tables)
    for name, table in tables.items():
        columns = {field.column: field.null for field in models[name]._meta.fields}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}, name


@pytest.mark.usefixtures("databases")
def test_no_migration_is_missing() -> None:
    """The models are as the migrations say."""
    call_command("makemigrations", "celery_process", check=True, dry_run=True, verbosity=0)


@pytest.mark.usefixtures("databases")
def test_there_and_back() -> None:
    """Without the tables the store names Django's command; it makes none itself, and takes up those that come."""
    call_command("migrate", "celery_process", "zero", database="second", verbosity=0)
    store = open_store("django://second")
    try:
        with pytest.raises(SchemaMismatch, match=r"manage\.py migrate celery_process --database second"):
            store.register("p", {"a": "{}"})
        assert not set(NAMES) & set(connections["second"].introspection.table_names())
        call_command("migrate", "celery_process", database="second", verbosity=0)
        assert store.register("p", {"a": "{}"}) == ("a",)
        assert store.migrate() == ()
    finally:
        store.close()


@pytest.mark.usefixtures("databases")
def test_back_a_version_and_forth() -> None:
    """The way back from version 2 leaves version 1, which this code refuses; on the way forth the history begins anew."""
    store = open_store("django://second")
    store.update_settings("back", settings='{"a":1}', schedule=None, by="ann")
    store.update_settings("back", settings='{"a":2}', schedule=None, by="bob")
    call_command("migrate", "celery_process", "0001", database="second", verbosity=0)
    try:
        with pytest.raises(SchemaMismatch, match="of version 1, older"):
            store.check()
        call_command("migrate", "celery_process", database="second", verbosity=0)
        assert [(old.version, old.by) for old in store.settings_history("back", limit=9)] == [(2, "bob")]
    finally:
        store.close()


def test_flushed(alias: str) -> None:
    """`flush` deletes the row of the tables' version too; stores of before and of after it go on, and can be migrated."""
    if alias == "default":
        alias = "second"
    store = open_store(f"django://{alias}")
    store.register("flushed", {"a": "{}"})
    call_command("flush", database=alias, interactive=False, verbosity=0)
    assert store.register("flushed", {"a": "{}"}) == ("a",)
    later = open_store(f"django://{alias}")
    assert later.migrate() == ()
    assert later.work("flushed", "a").name == "a"
    call_command("flush", database=alias, interactive=False, verbosity=0)
    call_command("migrate", "celery_process", "0002", database=alias, verbosity=0)
    with pytest.raises(SchemaMismatch, match="of version 2, older"):
        later.check()
    call_command("migrate", "celery_process", database=alias, verbosity=0)
    assert later.check() == ()
    store.close()
    later.close()


def test_taken_over(tmp_path: Path, databases: Path) -> None:
    """Tables that the SQL store had made itself are taken over with what is in them."""
    call_command("migrate", "celery_process", "zero", database="second", verbosity=0)
    own = SqlStore(f"sqlite:///{databases}/second.sqlite3")
    own.register("kept", {"a": "{}"})
    own.close()
    call_command("migrate", "celery_process", database="second", verbosity=0)
    store = open_store("django://second")
    assert store.work("kept", "a").name == "a"
    store.close()


@pytest.mark.usefixtures("databases")
def test_a_version_ahead() -> None:
    """In a rolling deploy the store goes on over newer tables that name its code, and refuses those that do not."""
    store = open_store("django://second")
    meta = sa.table("cp_meta", sa.column("name"), sa.column("number"))

    def write(name: str, number: int) -> None:
        changed = sa.update(meta).where(meta.c.name == name).values(number=number)
        assert store._db.write("write", lambda tx: tx.conn.execute(changed).rowcount) == 1

    store.check()
    try:
        write("schema_version", VERSION + 1)
        ahead = open_store("django://second")
        assert ahead.register("ahead", {"a": "{}"}) == ("a",)
        assert "newer than" in ahead.check()[0].text
        ahead.close()
        write("least_version", VERSION + 1)
        with pytest.raises(SchemaMismatch, match=r"newer.*manage\.py migrate celery_process"):
            open_store("django://second").work("ahead", "a")
    finally:
        write("least_version", MIGRATIONS[-1].least)
        write("schema_version", VERSION)
        store.close()


class TestOptions:
    """What Django's settings and the URL say of connections."""

    @pytest.mark.parametrize(
        ("options", "query"),
        [
            ({"prepare_threshold": 5}, {"prepare_threshold": "5"}),
            ({"prepare_threshold": None}, {"prepare_threshold": "None"}),
            ({"pool": True}, {}),
            (
                {"pool": {"min_size": 1, "max_size": 3, "timeout": 2.0}},
                {"pool_size": "3", "max_overflow": "0", "pool_timeout": "2"},
            ),
        ],
    )
    def test_of_django(self, options: dict[str, Any], query: dict[str, str]) -> None:
        """`prepare_threshold` and the size of Django's pool hold for the store's connections too."""
        assert _own_options(options) == query
        url = sa.make_url("postgresql+psycopg://h/d").update_query_dict(query)
        assert parse(url.render_as_string()).options.pool_size == int(query.get("pool_size", POOL_SIZE))

    def test_of_the_url(self) -> None:
        """The store's own options may stand behind the alias; others belong into DATABASES."""
        store = open_store("django://second?pool_size=1&max_overflow=0")
        assert store._db.address.options.pool == {**Options().pool, "pool_size": 1, "max_overflow": 0}
        with pytest.raises(ConfigurationError, match="no other options than"):
            open_store("django://second?sslmode=require")
