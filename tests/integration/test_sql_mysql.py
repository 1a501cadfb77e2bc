"""What is MySQL's and MariaDB's own: two names of one family, collations, old servers, the order of assignments."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from celery_process.exceptions import ConfigurationError
from celery_process.jsontext import MAX_PARAMS
from celery_process.protocol.states import WorkList
from celery_process.stores import open_store
from celery_process.stores.sql import SqlStore, mysql
from celery_process.stores.sql.tables import Tables


@pytest.fixture
def database() -> str:
    """Give the one database that these tests are about."""
    return "mysql"


@pytest.mark.server("mysql")
class TestServer:
    def test_names(self, store: SqlStore, process: str) -> None:
        """What most collations take for one name are several, in the order of code points, under any default charset."""
        names = ["a", "A", "a ", "a  ", "\u00e9", "e\u0301", "\uff5a", "\U0001f600", "ss", "ß"]
        assert store.register(process, dict.fromkeys(names, "{}")) == tuple(sorted(names))
        assert [work.name for work in store.works(process, on=WorkList.ACTIVE, after="", limit=99)] == sorted(names)
        assert store.unregister(process, ["a "]) == ("a ",)
        assert store.work(process, "a").on is WorkList.ACTIVE

    def test_params(self, store: SqlStore, process: str) -> None:
        """Params as long as they may be are kept whole, and differ by case and by trailing spaces."""
        longest = '{"x":"' + "a" * (MAX_PARAMS - 8) + '"}'
        for params in (longest, '{"x":"a"}', '{"x":"A"}', '{"x":"A"} '):
            assert store.register(process, {"w": params}) == ("w",)
            assert store.register(process, {"w": params}) == ()

    def test_both_schemes(self, mysql_url: str, process: str) -> None:
        """`mysql://` and `mariadb://` lead to one store, and either joins a transaction of the other."""
        url = sa.make_url(mysql_url)
        engine = sa.create_engine(url)
        with engine.connect() as conn:
            other = "mariadb" if conn.dialect.is_mariadb else "mysql"
        store = open_store(url.set(drivername=other).render_as_string(hide_password=False), table_prefix="own_")
        store.migrate()
        with engine.begin() as conn:
            assert store.register(process, {"a": "{}"}, using=conn) == ("a",)
        assert store.work(process, "a").on is WorkList.ACTIVE
        store.close()
        engine.dispose()

    def test_caller_with_an_older_view(self, store: SqlStore, mysql_url: str, process: str) -> None:
        """A caller whose transaction began before another registered the name changes the row that is there."""
        engine = sa.create_engine(mysql_url)
        with engine.begin() as conn:
            conn.execute(sa.select(store._db.tables.work.c.id)).all()  # REPEATABLE READ sees this moment from now on
            store.register(process, {"a": '{"first":1}'})
            assert store.register(process, {"a": '{"second":1}', "b": "{}"}, using=conn) == ("a", "b")
        assert store.work(process, "a").params == {"second": 1}
        engine.dispose()

    def test_callers_who_bring_the_same_names(self, store: SqlStore, mysql_url: str) -> None:
        """Callers with new names in common wait for each other, and none is the victim of a deadlock."""
        engine, failed = sa.create_engine(mysql_url), []
        names = [f"{number:03}" for number in range(40)]
        barrier = threading.Barrier(4)

        def write() -> None:
            try:
                for turn in range(8):
                    barrier.wait()
                    with engine.begin() as conn:
                        store.register(f"turn-{turn}", dict.fromkeys(names, "{}"), using=conn)
            except BaseException as error:
                failed.append(error)
                barrier.abort()

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        engine.dispose()

    def test_clock(self, store: SqlStore) -> None:
        """The clock is the server's, in UTC whatever the session's time zone is, to the microsecond."""
        with store._db.engine.connect() as conn:
            before = conn.execute(sa.select(mysql.CLOCK)).scalar_one()
            conn.execute(sa.text("SET SESSION time_zone = '+09:00'"))
            after = conn.execute(sa.select(mysql.CLOCK)).scalar_one()
        assert 0 <= (after - before).total_seconds() < 60


class TestOldServers:
    @pytest.mark.parametrize(
        ("mariadb", "version"), [(True, (10, 5, 29)), (True, (5, 5)), (False, (8, 0, 16)), (False, (5, 7, 44))]
    )
    def test_refused(self, mariadb: bool, version: tuple[int, ...]) -> None:
        """A server without SKIP LOCKED or without the collation is refused with the version that has them."""
        conn: Any = SimpleNamespace(dialect=SimpleNamespace(is_mariadb=mariadb, server_version_info=version))
        with pytest.raises(ConfigurationError, match=r"update it to (10\.6|8\.0\.17) or later"):
            mysql.refuse_old(conn, "mysql://ann:***@h/d")

    @pytest.mark.parametrize(("mariadb", "version"), [(True, (10, 6)), (True, (11, 4, 2)), (False, (8, 0, 17))])
    def test_taken(self, mariadb: bool, version: tuple[int, ...]) -> None:
        """The oldest that have them are taken."""
        conn: Any = SimpleNamespace(dialect=SimpleNamespace(is_mariadb=mariadb, server_version_info=version))
        mysql.refuse_old(conn, "mysql://h/d")


class TestStatements:
    def test_order_of_assignments(self) -> None:
        """A column that another's new value is made from is assigned after it."""
        work = Tables("cp_").work
        values = {"on_list": "cleanup", "listed_at": sa.case((work.c.on_list == "x", work.c.listed_at), else_=None)}
        assert [column.name for column, _ in mysql._in_order(work, values)] == ["listed_at", "on_list"]
