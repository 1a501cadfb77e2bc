"""The tables that Django's migrations make are the SQL store's own."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from django.apps import apps
from django.core.management import call_command
from django.db import connections, migrations
from django.db.migrations.state import ProjectState
from django.test.utils import override_settings

from celery_process.contrib.django.store import _store_options
from celery_process.contrib.django.tables import upgrade
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
    assert shape(theirs) == shape(ours)
    with ours.begin() as conn:
        conn.execute(sa.text(drift))
    assert shape(theirs) != shape(ours)


def test_dumpdata(alias: str) -> None:
    """`dumpdata` writes nothing of the store, so that `loaddata` meets no half of a row."""
    store = open_store(f"django://{alias}")
    store.pause("dumped", note="", by="ann")
    assert counts(alias)["cp_process"] >= 1
    store.close()
    for every in (False, True):
        out = StringIO()
        call_command("dumpdata", "celery_process", database=alias, use_base_manager=every, stdout=out)
        assert out.getvalue().strip() == "[]"


@pytest.mark.usefixtures("databases")
def test_permissions() -> None:
    """One model has the permissions of all pages, under the names that they have always had."""
    from django.contrib.auth.models import Permission

    own = Permission.objects.filter(content_type__app_label="celery_process")
    assert {permission.codename: permission.content_type.model for permission in own} == dict.fromkeys(
        (
            *(f"view_{noun}" for noun in ("process", "run", "settings", "slot", "work")),
            *(f"change_{noun}" for noun in ("process", "run", "settings", "work")),
        ),
        "process",
    )


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
def test_without_migrations() -> None:
    """Where Django makes the tables of models without migrations, those of the store are made, where a router has them."""
    call_command("migrate", "celery_process", "zero", database="second", verbosity=0)
    with override_settings(MIGRATION_MODULES={"celery_process": None}):
        with override_settings(DATABASE_ROUTERS=[Elsewhere()]):
            call_command("migrate", database="second", run_syncdb=True, verbosity=0)
        assert not set(NAMES) & set(connections["second"].introspection.table_names())
        for _ in range(2):
            call_command("migrate", database="second", run_syncdb=True, verbosity=0)
    store = open_store("django://second")
    assert store.migrate() == ()
    assert store.register("unmigrated", {"a": "{}"}) == ("a",)
    store.close()
    call_command("migrate", database="second", verbosity=0)


def counts(alias: str) -> dict[str, int]:
    """Return how many rows each table of the store has."""
    found = {}
    with connections[alias].cursor() as cursor:
        for name in NAMES:
            cursor.execute(f"SELECT count(*) FROM {name}")
            found[name] = cursor.fetchone()[0]
    return found


class Elsewhere:
    """A router that has the app on no database."""

    def allow_migrate(self, _db: str, app_label: str, **_: Any) -> bool | None:
        return False if app_label == "celery_process" else None


class TestFlush:
    """What `flush` does to the store's tables."""

    @pytest.fixture
    def flushed(self, alias: str) -> Iterator[str]:
        """Give an alias whose rows no other test needs, with an item and settings; make its tables anew behind the test."""
        alias = "second" if alias == "default" else alias
        store = open_store(f"django://{alias}")
        store.update_settings("flushed", settings="{}", schedule=None)
        store.register("flushed", {"a": "{}"})
        store.close()
        assert counts(alias)["cp_work"] >= 1
        yield alias
        for version in (("zero",), ()):
            call_command("migrate", "celery_process", *version, database=alias, verbosity=0)

    def test_empties(self, flushed: str) -> None:
        """It deletes all rows, that of the tables' version too, and leaves the introspection of the connection as it was."""
        call_command("flush", database=flushed, interactive=False, verbosity=0)
        assert counts(flushed) == dict.fromkeys(NAMES, 0)
        assert not set(NAMES) & set(connections[flushed].introspection.django_table_names())

    def test_refused(self, flushed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who does not confirm it loses nothing."""
        before = counts(flushed)
        monkeypatch.setattr("builtins.input", lambda _: "no")
        call_command("flush", database=flushed, verbosity=0, stdout=StringIO())
        assert counts(flushed) == before

    def test_of_a_router(self, flushed: str) -> None:
        """On a database where a router does not have the app, tables of its names are left alone."""
        before = counts(flushed)
        with override_settings(DATABASE_ROUTERS=[Elsewhere()]):
            call_command("flush", database=flushed, interactive=False, verbosity=0)
        assert counts(flushed) == before

    def test_without_the_app(self, flushed: str) -> None:
        """Where a test goes without the app, as Django's `available_apps` lets it, its tables are left alone."""
        before = counts(flushed)
        apps.set_available_apps(["django.contrib.contenttypes", "django.contrib.auth"])
        try:
            call_command(
                "flush", database=flushed, interactive=False, verbosity=0, allow_cascade=True, inhibit_post_migrate=True
            )
        finally:
            apps.unset_available_apps()
        assert counts(flushed) == before

    @pytest.mark.usefixtures("databases")
    def test_without_tables(self) -> None:
        """A database that has none of them is flushed as any other."""
        call_command("migrate", "celery_process", "zero", database="second", verbosity=0)
        call_command("flush", database="second", interactive=False, verbosity=0)
        call_command("migrate", "celery_process", database="second", verbosity=0)

    def test_goes_on(self, flushed: str) -> None:
        """Stores of before and of after it go on."""
        store = open_store(f"django://{flushed}")
        assert store.register("flushed", {"b": "{}"}) == ("b",)
        call_command("flush", database=flushed, interactive=False, verbosity=0)
        assert store.register("flushed", {"a": "{}"}) == ("a",)
        later = open_store(f"django://{flushed}")
        assert later.migrate() == ()
        assert later.work("flushed", "a").name == "a"
        store.close()
        later.close()

    def test_then_migrated(self, flushed: str, later: Any) -> None:
        """Later versions of the tables begin where flushed ones stand, by migrations that step from one to the next."""
        call_command("flush", database=flushed, interactive=False, verbosity=0)
        store = open_store(f"django://{flushed}")
        try:
            with pytest.raises(SchemaMismatch, match=r"of version 1, older.*manage\.py migrate celery_process"):
                store.check()
            for number in (2, 3):
                operation = migrations.RunPython(upgrade(number))
                with connections[flushed].schema_editor() as editor:
                    operation.database_forwards("celery_process", editor, ProjectState(), ProjectState())
            assert store.check() == ()
            assert store._schema._versions()[0] == later.NEWEST
        finally:
            store.close()
            with connections[flushed].cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS cp_{later.TABLE}")


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
        assert _store_options(options) == query
        url = sa.make_url("postgresql+psycopg://h/d").update_query_dict(query)
        assert parse(url.render_as_string()).options.pool_size == int(query.get("pool_size", POOL_SIZE))

    def test_of_the_url(self) -> None:
        """The store's own options may stand behind the alias; others belong into DATABASES."""
        store = open_store("django://second?pool_size=1&max_overflow=0")
        assert store._db.address.options.pool == {**Options().pool, "pool_size": 1, "max_overflow": 0}
        with pytest.raises(ConfigurationError, match="no other options than"):
            open_store("django://second?sslmode=require")
