"""What the SQL store does when something is wrong: addresses, drivers, lost connections, contention, forks."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa

from celery_process.exceptions import ConfigurationError, MissingDriver, SchemaMismatch, StoreUnavailable
from celery_process.protocol.states import WorkList
from celery_process.stores import open_store, retry
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.retry import StaleRead
from celery_process.stores.sql.transaction import Transaction


@pytest.fixture
def store(tmp_path: Any) -> Any:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    store.check()
    yield store
    store.close()


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///file::memory:?cache=shared&uri=true",
            "sqlite:///file:x?mode=memory&uri=true",
            "sqlite+aiosqlite:///x.db",
            "postgresql+psycopg2://u:secret@h/d",
            "mysql+mysqldb://u:secret@h/d",
            "postgresql://u:secret@h:port/d",
            "nonsense",
        ],
    )
    def test_refused(self, url: str) -> None:
        """An address that cannot be a store shared by all workers is refused at once, without its password."""
        with pytest.raises(ConfigurationError) as refused:
            SqlStore(url)
        assert "secret" not in str(refused.value)
        assert "secret" not in repr(refused.value.facts)

    def test_password_is_hidden(self) -> None:
        """The address that a store shows has no password, wherever the URL has it."""
        store = SqlStore("postgresql://ann:secret@h/d?sslpassword=hidden")
        assert store.url == "postgresql://ann:***@h/d?sslpassword=%2A%2A%2A"
        assert "secret" not in repr(store._db.address)

    def test_driver_by_default(self) -> None:
        """`postgresql://` is psycopg 3, not SQLAlchemy's default driver."""
        assert SqlStore("postgresql://h/d")._db.engine.dialect.driver == "psycopg"

    @pytest.mark.parametrize("prefix", ["", "1x", "Cp_", 'x"', "a" * 32, "é_", "a-b", "a\n"])
    def test_prefix(self, prefix: str) -> None:
        """A prefix that could be anything but the beginning of a plain name is refused."""
        with pytest.raises(ConfigurationError, match="process_table_prefix"):
            SqlStore("sqlite:///x.db", table_prefix=prefix)

    def test_two_prefixes(self, tmp_path: Any) -> None:
        """Two prefixes are two stores in one database."""
        one, other = (SqlStore(f"sqlite:///{tmp_path}/s.db", table_prefix=prefix) for prefix in ("a_", "a" * 31))
        one.register("p", {"x": "{}"})
        assert [one.work_counts("p")[WorkList.ACTIVE], other.work_counts("p")[WorkList.ACTIVE]] == [1, 0]
        one.close()
        other.close()

    def test_missing_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without psycopg the error names the command that installs it."""

        def absent() -> Any:
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

        monkeypatch.setattr(sa.make_url("postgresql+psycopg://").get_dialect(), "import_dbapi", absent)
        with pytest.raises(MissingDriver) as refused:
            SqlStore("postgresql://u:secret@h/d")
        assert refused.value.command == "pip install 'celery-process[postgresql]'"
        assert str(refused.value).endswith(refused.value.command)
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        "address",
        ["sqlite:///{}/x.db", "postgresql://u@127.0.0.1:1/d", "mysql://u@127.0.0.1:1/d", "mariadb://u@127.0.0.1:1/d"],
    )
    def test_entry_points(self, tmp_path: Any, address: str) -> None:
        """Every scheme of a database leads to the SQL store, and to no server before it is used."""
        store = open_store(address.format(tmp_path), table_prefix="cp_", key_prefix="cp:")
        assert isinstance(store, SqlStore)
        assert store.shared
        store.close()


class TestUnavailable:
    def test_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server out of reach is tried five times, and the error has neither password nor parameters."""
        waits: list[float] = []
        monkeypatch.setattr(retry.time, "sleep", waits.append)
        store = SqlStore("postgresql://ann:secret@127.0.0.1:1/d")
        with pytest.raises(StoreUnavailable) as failed:
            store.register("p", {"private-name": '{"private":1}'})
        assert failed.value.operation == "check"
        assert len(waits) == retry.TRIES - 1
        assert all(0 <= wait <= retry.LONGEST_WAIT for wait in waits)
        error: BaseException | None = failed.value
        while error is not None:
            assert "secret" not in str(error)
            assert "private" not in str(error)
            error = error.__cause__

    def test_no_directory(self, tmp_path: Any) -> None:
        """What no repeat can mend is not repeated."""
        store = SqlStore(f"sqlite:///{tmp_path}/absent/x.db")
        with pytest.raises(StoreUnavailable, match="SQLITE_CANTOPEN, 1 of 5"):
            store.overrides("p")

    def test_parameters_are_hidden(self, store: SqlStore) -> None:
        """The text of a failed statement has no names and no params, nor has its cause."""
        store._db.write("drop", lambda tx: tx.t.work.drop(tx.conn))
        with pytest.raises(SchemaMismatch) as failed:
            store.register("p", {"private-name": '{"private":1}'})
        assert "private" not in f"{failed.value}{failed.value.__cause__}"

    def test_busy_is_tried_again(self, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A write that meets another writer's lock waits, and is done once the other is."""
        monkeypatch.setattr("celery_process.stores.sql.connecting.BUSY_TIMEOUT", "PRAGMA busy_timeout = 1")
        store.close()
        other = sqlite3.connect(store._db.address.database, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                other.execute("COMMIT")

        monkeypatch.setattr(retry.time, "sleep", wait)
        assert store.register("p", {"a": "{}"}) == ("a",)
        assert len(waits) == 3
        other.close()

    def test_late_is_decided_again(self, store: SqlStore) -> None:
        """A compare-and-set that comes too late undoes its transaction and reads again."""
        tries: list[int] = []

        def step(tx: Transaction) -> int:
            tries.append(len(tries))
            tx.add_missing(tx.t.process, {"name": f"p{len(tries)}"})
            if len(tries) < 3:
                raise StaleRead
            return len(tx.column(sa.select(tx.t.process.c.name)))

        assert store._db.write("step", step) == 1
        assert tries == [0, 1, 2]


@pytest.mark.server("postgresql")
class TestPostgresql:
    def test_lost_connection(self, postgresql_url: str) -> None:
        """An operation whose connection the server ended is done over a new one."""
        store = SqlStore(postgresql_url, table_prefix="lost_")
        store.migrate()
        backend = store._db.peek("pid", lambda tx: tx.value(sa.select(sa.func.pg_backend_pid())))
        killer = sa.create_engine(postgresql_url)
        with killer.begin() as conn:
            conn.execute(sa.select(sa.func.pg_terminate_backend(backend)))
        killer.dispose()
        assert store.register("p", {"a": "{}"}) == ("a",)
        assert store._db.peek("pid", lambda tx: tx.value(sa.select(sa.func.pg_backend_pid()))) != backend
        store.close()

    def test_isolation_levels(self, postgresql_url: str) -> None:
        """Writes are READ COMMITTED even where the database's default is another level."""
        own = sa.make_url(postgresql_url).update_query_dict({"options": "-c default_transaction_isolation=serializable"})
        store = SqlStore(own.render_as_string(hide_password=False))
        with store._db.engine.connect() as plain:
            assert plain.execute(sa.text("SHOW default_transaction_isolation")).scalar() == "serializable"
        level = lambda tx: tx.conn.execute(sa.text("SHOW transaction_isolation")).scalar()  # noqa: E731
        assert store._db.write("level", level) == "read committed"
        assert store._db.read("level", level) == "repeatable read"
        assert store._db.write("level", level) == "read committed"
        store.close()

    def test_server_clock(self, postgresql_url: str) -> None:
        """Without a clock of its own the store's time is the server's, at that moment and not at its transaction's start."""
        store = SqlStore(postgresql_url, table_prefix="lost_")
        store.migrate()
        theirs = sa.create_engine(postgresql_url)
        with theirs.connect() as conn:
            before = conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            now = store.now()
            after = conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        theirs.dispose()
        store.close()
        assert before <= now <= after

    @pytest.mark.forks
    def test_fork(self, postgresql_url: str) -> None:
        """A child of a fork speaks over connections of its own, and the parent's still work after it."""
        store = SqlStore(postgresql_url, table_prefix="fork_")
        store.migrate()
        pid = lambda tx: (os.getpid(), tx.value(sa.select(sa.func.pg_backend_pid())))  # noqa: E731
        mine = store._db.peek("pid", pid)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()

        def child() -> None:
            answers.put((store._db.peek("pid", pid), store.register("p", {"child": "{}"})))
            store.close()

        process = context.Process(target=child)
        process.start()
        theirs, changed = answers.get(timeout=30)
        process.join(30)
        assert process.exitcode == 0
        assert changed == ("child",)
        assert mine[0] != theirs[0]
        assert mine[1] != theirs[1]
        assert store._db.peek("pid", pid) == mine
        store.close()


@pytest.mark.forks
def test_sqlite_fork(store: SqlStore) -> None:
    """On SQLite a child of a fork opens the file anew."""
    store.register("p", {"parent": "{}"})
    engine = store._db.engine
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def child() -> None:
        answers.put((store._db.engine is engine, store.register("p", {"child": "{}"})))
        store.close()

    process = context.Process(target=child)
    process.start()
    assert answers.get(timeout=30) == (False, ("child",))
    process.join(30)
    assert process.exitcode == 0
    assert store._db.engine is engine
    assert store.register("p", {"child": "{}", "parent": "{}"}) == ()


def test_sqlite_pragmas(store: SqlStore) -> None:
    """Each connection keeps a write-ahead log and loses no commit at a power loss."""

    def pragmas(tx: Transaction) -> list[Any]:
        return [
            tx.conn.execute(sa.text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "busy_timeout")
        ]

    assert store._db.read("pragmas", pragmas) == ["wal", 2, 5000]


def test_close_and_go_on(store: SqlStore) -> None:
    """The next operation after close opens connections again."""
    store.register("p", {"a": "{}"})
    store.close()
    store.close()
    assert store.work("p", "a").name == "a"
