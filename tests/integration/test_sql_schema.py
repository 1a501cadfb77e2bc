"""Migrations, and the check that refuses tables which do not fit."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.exceptions import SchemaMismatch
from celery_process.protocol.states import WorkList
from celery_process.stores.sql import COMMAND, SqlStore
from celery_process.stores.sql.migrations import MIGRATIONS, VERSION, step
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction, utc_now

NOUNS = ("meta", "process", "settings", "settings_version", "work", "status", "run", "page", "item", "slot")
PASTE = "celery -A proj process migrate"


def shape(conn: sa.Connection, metadata: sa.MetaData) -> set[Any]:
    """Return columns, keys, uniques and indexes of the tables, so that two schemas compare as sets."""
    inspector, found = sa.inspect(conn), set()
    for table in metadata.tables:
        for column in inspector.get_columns(table):
            kind, collation = column["type"], getattr(column["type"], "collation", None)
            identity = bool(column.get("identity"))
            kind = str(kind.compile(dialect=conn.dialect))
            found.add(
                (table, "column", column["name"], kind, collation, column["nullable"], column.get("default"), identity)
            )
        found.add((table, "key", *inspector.get_pk_constraint(table)["constrained_columns"]))
        found |= {(table, "unique", each["name"], *each["column_names"]) for each in inspector.get_unique_constraints(table)}
        for index in inspector.get_indexes(table):
            where = [text for option, text in (index.get("dialect_options") or {}).items() if option.endswith("_where")]
            condition = re.sub(r"\s+", " ", str([str(text) for text in where]))
            found.add((table, "index", index["name"], bool(index["unique"]), *index["column_names"], condition))
        if conn.dialect.name == "postgresql":
            catalog = sa.table("pg_class", sa.column("relname"), sa.column("reloptions"))
            options = conn.execute(sa.select(catalog.c.reloptions).where(catalog.c.relname == table)).scalar()
            found.add((table, "options", str(options)))
    return found


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[str, str]]:
    """Give a URL, and a prefix under which there are no tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db", "cp_"
        return
    url, prefix = request.getfixturevalue(f"{request.param}_url"), f"t{uuid4().hex[:8]}_"
    yield url, prefix
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.execute(sa.schema.DropTable(sa.table(f"{prefix}settings_copy"), if_exists=True))
        Tables(prefix).metadata.drop_all(conn)
    engine.dispose()


def opened(database: tuple[str, str]) -> SqlStore:
    return SqlStore(database[0], table_prefix=database[1])


def older(database: tuple[str, str], number: int) -> SqlStore:
    """Make the tables of a version, and return a store on them."""
    engine = sa.create_engine(database[0])
    for each in range(1, number + 1):
        with engine.begin() as conn:
            assert step(Transaction(conn, Tables(database[1]), utc_now), each)
    engine.dispose()
    return opened(database)


def version(database: tuple[str, str], number: int, least: int | None = None) -> None:
    """Write a version into the tables, and that of the oldest code which may use them."""
    engine = sa.create_engine(database[0])
    meta = Tables(database[1]).meta
    with engine.begin() as conn:
        conn.execute(sa.update(meta).values(number=number))
        if least is not None:
            conn.execute(sa.update(meta).where(meta.c.name == "least_version").values(number=least))
    engine.dispose()


class TestMigrate:
    def test_equals_the_tables(self, database: tuple[str, str]) -> None:
        """The migrations, replayed, give exactly the tables that the statements are written for."""
        store = opened(database)
        store.migrate()
        store.close()
        engine, live = sa.create_engine(database[0]), Tables(database[1]).metadata
        with engine.begin() as conn:
            migrated = shape(conn, live)
            live.drop_all(conn)
            live.create_all(conn)
            created = shape(conn, live)
        engine.dispose()
        assert migrated == created
        assert {entry[0] for entry in migrated} == {f"{database[1]}{noun}" for noun in NOUNS}

    def test_says_what_it_did(self, database: tuple[str, str], later: Any) -> None:
        """The first call returns a line for each version, the second has nothing to do."""
        store = opened(database)
        assert store.migrate() == (
            f"{database[1]}*: version 1, create the tables",
            f"{database[1]}*: version 2, copy the settings",
            f"{database[1]}*: version 3, give a process a colour",
        )
        assert store.migrate() == ()
        assert store.check() == ()
        assert store._schema._versions()[0] == later.NEWEST
        store.close()

    @pytest.mark.usefixtures("later")
    def test_several_at_once(self, database: tuple[str, str]) -> None:
        """Of callers at once one brings each version, and none fails."""
        stores = [opened(database) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            done = [line for lines in pool.map(lambda store: store.migrate(), stores) for line in lines]
        assert [line.partition(",")[0] for line in sorted(done)] == [
            f"{database[1]}*: version {number}" for number in (1, 2, 3)
        ]
        for store in stores:
            store.close()

    def test_names_compare_by_code_point(self, database: tuple[str, str]) -> None:
        """Order and equality of names are Python's, whatever the database's locale is."""
        names = ["a", "B", "b", "é", "e\u0301", "Z", "\uff5a", "\U0001f600", "a b", "_"]
        store = opened(database)
        store.migrate()
        assert store.register("p", dict.fromkeys(names, "{}")) == tuple(sorted(names))
        assert [work.name for work in store.works("p", on=WorkList.ACTIVE, after="", limit=99)] == sorted(names)
        store.close()


def emptied(database: tuple[str, str]) -> None:
    """Delete all rows of all tables, as a test suite does between two tests."""
    engine = sa.create_engine(database[0])
    with engine.begin() as conn:
        for table in reversed(Tables(database[1]).metadata.sorted_tables):
            if sa.inspect(conn).has_table(table.name):
                conn.execute(sa.delete(table))
    engine.dispose()


class TestEmptied:
    """Tables without a row, that of their version among those that are gone."""

    def test_goes_on(self, database: tuple[str, str]) -> None:
        """A store that used them goes on, and so does one that comes later; nothing has to be migrated."""
        store = opened(database)
        store.migrate()
        store.register("p", {"a": "{}"})
        emptied(database)
        assert store.register("p", {"a": "{}"}) == ("a",)
        later = opened(database)
        assert later.check() == ()
        assert later.work("p", "a").name == "a"
        assert later.migrate() == ()
        store.close()
        later.close()

    @pytest.mark.parametrize("number", [1, 2])
    def test_of_an_older_version(self, database: tuple[str, str], number: int, later: Any) -> None:
        """They are named by the version that their columns are of, and are brought up to date from there."""
        store = older(database, number)
        emptied(database)
        with pytest.raises(SchemaMismatch, match=f"of version {number}, older"):
            store.check()
        assert len(store.migrate()) == later.NEWEST - number
        assert store.check() == ()
        store.close()


class TestUpgrade:
    """Tables of an older version, with something in them."""

    def older(self, database: tuple[str, str]) -> SqlStore:
        """Make the tables of the first version, with a process that has settings."""
        store = older(database, 1)
        engine, tables = sa.create_engine(database[0]), Tables(database[1])
        with engine.begin() as conn:
            conn.execute(sa.insert(tables.process).values(name="p", epoch=3, aggregate_stats={"runs": 3}))
            row = {"process": "p", "settings": "{}", "version": 7, "changed_at": datetime.now(UTC), "changed_by": "ann"}
            conn.execute(sa.insert(tables.settings).values(row))
        engine.dispose()
        return store

    def rows(self, database: tuple[str, str], later: Any) -> tuple[list[Any], list[Any]]:
        """Return what the later versions made of it: the copies, and the process with its new column."""
        engine, process = (
            sa.create_engine(database[0]),
            sa.table(f"{database[1]}process", sa.column("epoch"), sa.column(later.COLUMN)),
        )
        copied = later.copied(database[1])
        with engine.connect() as conn:
            copies = [tuple(row) for row in conn.execute(sa.select(copied.c.process, copied.c.version))]
            processes = [tuple(row) for row in conn.execute(sa.select(process.c.epoch, process.c[later.COLUMN]))]
        engine.dispose()
        return copies, processes

    def test_keeps_what_is_there(self, database: tuple[str, str], later: Any) -> None:
        """Older tables are refused until they are migrated; each later version finds the rows of the one before."""
        store = self.older(database)
        with pytest.raises(SchemaMismatch, match="of version 1, older"):
            store.overrides("p")
        assert [line.partition(": ")[2] for line in store.migrate()] == [
            "version 2, copy the settings",
            "version 3, give a process a colour",
        ]
        stored = store.process("p")
        assert (stored.epoch, stored.aggregate_stats) == (3, {"runs": 3})
        assert (store.overrides("p").version, store.update_settings("p", settings='{"a":2}', schedule=None)) == (7, 8)
        assert self.rows(database, later) == ([("p", 7)], [(3, None)])
        store.close()

    def test_several_at_once(self, database: tuple[str, str], later: Any) -> None:
        """Of callers at once one upgrades, and each row is copied once."""
        stores = [self.older(database), *(opened(database) for _ in range(5))]
        with ThreadPoolExecutor(6) as pool:
            done = list(pool.map(lambda store: store.migrate(), stores))
        assert len([line for lines in done for line in lines]) == later.NEWEST - 1
        assert self.rows(database, later) == ([("p", 7)], [(3, None)])
        for each in stores:
            each.close()


class TestCheck:
    def test_postgresql_creates_nothing(self, postgresql_url: str) -> None:
        """Without tables PostgreSQL is refused with the command to paste: a worker has no business with DDL."""
        store = SqlStore(postgresql_url, table_prefix="nothing_")
        for call in (store.check, lambda: store.register("p", {"a": "{}"})):
            with pytest.raises(SchemaMismatch, match="do not exist yet") as refused:
                call()
            assert str(refused.value).endswith(PASTE)
            assert (refused.value.found, refused.value.wanted, refused.value.command) == (0, VERSION, COMMAND)
        store.close()

    def test_older(self, database: tuple[str, str], later: Any) -> None:
        """Tables that wait for a migration are refused before the first operation, with the command at the end."""
        store = older(database, 2)
        with pytest.raises(SchemaMismatch) as refused:
            store.overrides("p")
        assert str(refused.value).endswith(PASTE)
        assert (refused.value.found, refused.value.wanted) == (2, later.NEWEST)
        store.close()

    def test_newer(self, database: tuple[str, str]) -> None:
        """Tables of newer code are refused as well."""
        opened(database).migrate()
        version(database, VERSION + 1)
        with pytest.raises(SchemaMismatch, match="newer") as refused:
            opened(database).overrides("p")
        assert str(refused.value).endswith(PASTE)
        assert refused.value.found == VERSION + 1

    def test_newer_that_may_be_used(self, database: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
        """In a rolling deploy code goes on, with a warning, over newer tables which name it among those that may use them."""
        opened(database).migrate()
        version(database, VERSION + 1, least=VERSION)
        store = opened(database)
        assert store.register("p", {"a": "{}"}) == ("a",)
        assert store.overrides("p").version == 0
        assert [record.levelname for record in caplog.records if getattr(record, "action", "") == "schema_newer"] == [
            "WARNING"
        ]
        assert "newer than" in store.check()[0].text
        assert store.migrate() == ()
        assert store._schema._versions()[0] == VERSION + 1
        store.close()

    def test_least_is_written(self, database: tuple[str, str]) -> None:
        """A migration says which code may use what it leaves."""
        store = opened(database)
        store.migrate()
        meta = store._db.tables.meta
        least = store._db.peek("x", lambda tx: tx.value(sa.select(meta.c.number).where(meta.c.name == "least_version")))
        assert least == MIGRATIONS[-1].least <= VERSION
        store.close()

    def test_newer_is_not_migrated(self, database: tuple[str, str]) -> None:
        """Older code takes nothing back."""
        store = opened(database)
        store.migrate()
        version(database, VERSION + 1)
        with pytest.raises(SchemaMismatch, match="newer"):
            store.migrate()
        store.close()

    def test_once(self, database: tuple[str, str]) -> None:
        """After its first operation a store looks at the version no more."""
        store = opened(database)
        store.migrate()
        assert store.overrides("p").version == 0
        version(database, VERSION + 1)
        assert store.overrides("p").version == 0
        with pytest.raises(SchemaMismatch):
            store.check()
        store.close()


def _first_use(url: str, barrier: Any, answers: Any) -> None:
    store = SqlStore(url)
    barrier.wait()
    answers.put(store.register("p", {"a": "{}"}))
    store.close()


@pytest.mark.forks
def test_sqlite_creates_its_tables_once(tmp_path: Any) -> None:
    """Several operating-system processes that use a new file at once all succeed, and one registration is new."""
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    url = f"sqlite:///{tmp_path}/new.db"
    children = [context.Process(target=_first_use, args=(url, barrier, answers)) for _ in range(4)]
    for child in children:
        child.start()
    found = sorted(answers.get(timeout=60) for _ in children)
    for child in children:
        child.join(60)
    assert found == [(), (), (), ("a",)]
