"""Joining a caller's transaction with `using=`: part of it in every way, and in no run's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from celery_process.exceptions import CannotJoin, SettingsChanged, WorkNotFound
from celery_process.protocol.model import Retention, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, PageAnswer, Progress, RunAnswer, RunState, WorkList, WorkState
from celery_process.stores.sql import SqlStore

LEASE = timedelta(seconds=30)
HURRY = {"postgresql": "SET lock_timeout = '2s'", "mysql": "SET SESSION innodb_lock_wait_timeout = 2"}


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """Give an engine of the caller's own to the store's database."""
    name = "store" if "store" in request.fixturenames else "server"
    url = request.getfixturevalue(name)._db.address.url
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def begin(store: SqlStore, process: str) -> str:
    now = store.now()
    claim = store.claim_run(process, uuid=uuid4().hex, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
    assert claim.answer is RunAnswer.CLAIMED
    assert claim.run is not None
    return claim.run.id


def page(store: SqlStore, process: str, run: str) -> Any:
    return store.open_page(process, run, token=uuid4().hex, size=500, window=1000)


def finish(store: SqlStore, process: str, run: str, name: str) -> Any:
    (claim,) = store.claim(process, run, [name], token=name, lease=LEASE, max_attempts=3)
    report = ItemReport(name, 1, Totals(), claim.params_version, claim.settings_version, WorkState.COMPLETED)
    return store.report(process, run, [report], token=name, lease=LEASE)


class TestTransaction:
    def test_commit(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """What was written is seen by others with the caller's commit, and not before."""
        with engine.begin() as conn:
            assert store.register(process, {"a": "{}", "b": "{}"}, using=conn) == ("a", "b")
            assert store.unregister(process, ["b"], using=conn) == ("b",)
            assert store.update_settings(process, settings='{"x":1}', schedule=None, using=conn) == 1
            assert store.work_counts(process) == dict.fromkeys(WorkList, 0)
            assert store.overrides(process).version == 0
            assert store.settings_history(process, limit=9) == ()
        assert [old.version for old in store.settings_history(process, limit=9)] == [1]
        assert store.work_counts(process) == {WorkList.ACTIVE: 1, WorkList.CLEANUP: 1, WorkList.DROPPED: 0}
        assert store.overrides(process).settings == '{"x":1}'

    def test_rollback(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """The caller's rollback takes the write along."""
        with engine.connect() as conn:
            store.register(process, {"a": "{}"}, using=conn)
            store.update_settings(process, settings="{}", schedule=None, using=conn)
            conn.rollback()
        with pytest.raises(WorkNotFound):
            store.work(process, "a")
        assert store.settings_history(process, limit=9) == ()

    def test_session(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """A session's transaction is joined, and is still open afterwards."""
        with Session(engine) as session:
            store.register(process, {"a": "{}"}, using=session)
            assert session.in_transaction()
            session.commit()
        assert store.work(process, "a").name == "a"

    def test_savepoint(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """Inside a savepoint the write goes with the savepoint."""
        with engine.begin() as conn:
            store.register(process, {"kept": "{}"}, using=conn)
            savepoint = conn.begin_nested()
            store.register(process, {"gone": "{}"}, using=conn)
            savepoint.rollback()
        assert [work.name for work in store.works(process, on=WorkList.ACTIVE, after="", limit=9)] == ["kept"]

    def test_settings_changed(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """Our refusal leaves the caller's transaction usable."""
        with engine.begin() as conn:
            store.register(process, {"a": "{}"}, using=conn)
            with pytest.raises(SettingsChanged):
                store.update_settings(process, settings="{}", schedule=None, expected_version=7, using=conn)
        assert store.work(process, "a").name == "a"

    def test_many(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """A list of more names than one statement takes is one write all the same."""
        names = [f"{number:05}" for number in range(1234)]
        with engine.begin() as conn:
            assert store.register(process, dict.fromkeys(names, "{}"), using=conn) == tuple(names)
            assert store.register(process, dict.fromkeys(names, "{}"), using=conn) == ()
        assert store.work_counts(process)[WorkList.ACTIVE] == 1234

    def test_failure_is_not_repeated(self, store: SqlStore, engine: sa.Engine, process: str) -> None:
        """A failed statement is raised to the caller as it is, after one try."""
        tried: list[str] = []
        with engine.connect() as conn:

            def fail(*args: Any) -> Any:
                tried.append(args[2])
                raise sa.exc.OperationalError("s", {}, Exception("locked"))

            sa.event.listen(conn, "before_cursor_execute", fail, retval=True)
            with pytest.raises(sa.exc.OperationalError):
                store.register(process, {"a": "{}"}, using=conn)
        assert len(tried) == 1


class TestCannotJoin:
    @pytest.mark.parametrize("using", [object(), "default", 1, False])
    def test_not_a_transaction(self, store: SqlStore, using: Any) -> None:
        """Anything but SQLAlchemy's is refused with a typed error that says what to pass."""
        with pytest.raises(CannotJoin, match="Connection or Session"):
            store.register("p", {"a": "{}"}, using=using)

    def test_engine(self, store: SqlStore, engine: sa.Engine) -> None:
        """An engine is no transaction."""
        with pytest.raises(CannotJoin):
            store.register("p", {"a": "{}"}, using=engine)

    def test_other_dialect(self, server: SqlStore, tmp_path: Any) -> None:
        """A transaction on another kind of database is refused."""
        with sa.create_engine(f"sqlite:///{tmp_path}/x.db").connect() as conn, pytest.raises(CannotJoin, match="sqlite"):
            server.unregister("p", ["a"], using=conn)

    def test_other_database(self, store: SqlStore, tmp_path: Any) -> None:
        """A transaction on another database of the same kind is refused."""
        url = store._db.address.url
        other = {"sqlite": f"{tmp_path}/other.db", "mysql": "mysql"}.get(store._db.address.dialect, "template1")
        engine = sa.create_engine(url.set(database=other))
        with engine.connect() as conn, pytest.raises(CannotJoin, match=r"other\.db|template1|'mysql'"):
            store.update_settings("p", settings="{}", schedule=None, using=conn)
        engine.dispose()


class TestInNobodysWay:
    """What a caller writes and leaves uncommitted holds up nothing that a run does."""

    def test_whole_run(self, server: SqlStore, engine: sa.Engine, process: str) -> None:
        """A run begins, works, folds and closes beside an open transaction that changed all its names and its settings."""
        server.register(process, {"a": "{}", "b": "{}", "c": "{}"})
        server.unregister(process, ["c"])
        with engine.connect() as conn:
            conn.execute(sa.text(HURRY[conn.dialect.name]))
            server.register(process, {"a": '{"x":1}', "new": "{}"}, using=conn)
            server.unregister(process, ["b"], using=conn)
            server.update_settings(process, settings='{"s":1}', schedule=None, using=conn)
            run = begin(server, process)
            assert page(server, process, run).names == ("a", "b")
            assert not finish(server, process, run, "a").page_closed
            assert finish(server, process, run, "b").page_closed
            assert page(server, process, run).names == ("c",)
            assert finish(server, process, run, "c").page_closed
            closed = page(server, process, run)
            assert closed.answer is PageAnswer.CLOSED
            assert closed.run.state is RunState.COMPLETED
            conn.commit()
        assert server.work(process, "b").on is WorkList.CLEANUP
        assert server.work(process, "a").status.state is WorkState.NEW
        assert server.work(process, "c").on is WorkList.DROPPED

    def test_drop_of_a_locked_registration(self, server: SqlStore, engine: sa.Engine, process: str) -> None:
        """A clean cleanup whose registration a caller holds ends at once; the registration stays for the next run."""
        server.unregister(process, ["c"])
        run = begin(server, process)
        assert page(server, process, run).names == ("c",)
        with engine.connect() as conn:
            server.register(process, {"c": "{}"}, using=conn)
            answer = finish(server, process, run, "c")
            assert answer.items[0].progress is Progress.COMPLETED
            conn.rollback()
        assert server.work(process, "c").on is WorkList.CLEANUP
        page(server, process, run)
        again = begin(server, process)
        assert page(server, process, again).names == ("c",)
        finish(server, process, again, "c")
        assert server.work(process, "c").on is WorkList.DROPPED

    def test_purge_passes_by(self, server: SqlStore, engine: sa.Engine, process: str) -> None:
        """A dropped registration that a caller is bringing back is not waited for, nor deleted."""
        server.unregister(process, ["c"])
        run = begin(server, process)
        page(server, process, run)
        finish(server, process, run, "c")
        with engine.connect() as conn:
            server.register(process, {"c": "{}"}, using=conn)
            server.purge(process, retention=Retention(dropped=0), limit=100)
            conn.commit()
        assert server.work(process, "c").on is WorkList.ACTIVE

    def test_crossing_lists(self, server: SqlStore, engine: sa.Engine, process: str) -> None:
        """Callers that write the same names in whatever order wait for each other; on PostgreSQL never in a circle.

        MySQL locks gaps at the callers' own isolation level and may end one of them with 1213: that caller begins anew.
        """
        names = [f"{number:03}" for number in range(200)]
        failed: list[BaseException] = []

        def begin(turn: int, order: list[str]) -> None:
            with engine.begin() as conn:
                server.register(process, dict.fromkeys(order, f'{{"n":{turn}}}'), using=conn)

        def write(order: list[str]) -> None:
            try:
                for turn in range(10):
                    for again in range(20):
                        try:
                            begin(turn, order)
                            break
                        except sa.exc.OperationalError as error:
                            if engine.dialect.name == "postgresql" or error.orig.args[0] != 1213 or again == 19:
                                raise
            except BaseException as error:
                failed.append(error)

        threads = [
            threading.Thread(target=write, args=(order,)) for order in (names, names[::-1], names[100:] + names[:100])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


class TestAnotherSchema:
    """The names of the store's tables mean others on the caller's connection: nothing is written there."""

    def refused(self, server: SqlStore, conn: sa.Connection) -> None:
        with pytest.raises(CannotJoin, match="leads elsewhere"):
            server.register("p", {"a": "{}"}, using=conn)

    @pytest.mark.parametrize("server", ["postgresql"], indirect=True)
    def test_by_search_path(self, server: SqlStore, engine: sa.Engine) -> None:
        """At any moment of a transaction, with tables there or without; set back, the call is taken."""
        name = f"s_{uuid4().hex[:8]}"
        table = server._db.tables.process.name
        with engine.connect() as conn:
            conn.execute(sa.schema.CreateSchema(name))
            assert server.register("p", {"a": "{}"}, using=conn) == ("a",)
            conn.exec_driver_sql(f"SET LOCAL search_path TO {name}")
            self.refused(server, conn)
            conn.exec_driver_sql(f"CREATE TABLE {table} (LIKE public.{table} INCLUDING ALL)")
            self.refused(server, conn)
            conn.exec_driver_sql(f"SET LOCAL search_path TO public, {name}")
            assert server.register("p", {"b": "{}"}, using=conn) == ("b",)
            conn.rollback()

    @pytest.mark.parametrize("server", ["mysql"], indirect=True)
    def test_by_use(self, server: SqlStore, engine: sa.Engine) -> None:
        """USE of another database is refused, and of the store's own is taken."""
        name, own = f"s_{uuid4().hex[:8]}", server._db.address.database
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}")
            try:
                conn.exec_driver_sql(f"USE {name}")
                self.refused(server, conn)
                conn.exec_driver_sql(f"USE {own}")
                assert server.register("p", {"a": "{}"}, using=conn) == ("a",)
            finally:
                conn.rollback()
                conn.exec_driver_sql(f"DROP DATABASE {name}")
                conn.exec_driver_sql(f"USE {own}")

    def test_by_schema_translate_map(self, store: SqlStore, engine: sa.Engine) -> None:
        """SQLAlchemy's map of schemas is refused where it maps the store's tables, on every database."""
        with engine.connect() as conn:
            mapped = conn.execution_options(schema_translate_map={None: "other"})
            self.refused(store, mapped)
