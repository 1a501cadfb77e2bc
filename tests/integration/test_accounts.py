"""The rights that the guide gives to the account of workers are enough for all that they do, and for nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery
from redis import Redis
from redis.exceptions import NoPermissionError

from celery_process import Processes, Work
from celery_process.exceptions import AccessDenied
from celery_process.stores import open_store
from celery_process.stores.base import Store
from celery_process.stores.sql.tables import Tables

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
ACCOUNTS = GUIDE.partition("\n### Accounts\n")[2].partition("\n## ")[0]
POSTGRESQL, MYSQL, REDIS = re.findall(r"```\w+\n(.*?)```", ACCOUNTS, re.DOTALL)
PASSWORD = "s3cr3t"


def works_whole(store: Store) -> None:
    """Do what workers, beat, views and people do with a process: two runs, a redrive, a sweep with its purge."""
    app = Celery("accounts", set_as_current=False)
    app.conf.update(task_always_eager=True, process_retention={"runs": 1, "slots": 1, "dropped": 1})
    processes = Processes(app, backend=store)

    @processes.process(f"p-{uuid4().hex[:8]}", schedule=None)
    def process(work: Work) -> None:
        work.add_stats("n")
        if work.params.get("bad"):
            raise ValueError("bad")

    processes.check()
    assert process.register_works({"a": {"bad": True}, "b": None, "c": None}) == ("a", "b", "c")
    failed = process.run_now()
    assert (failed.counts.completed, failed.counts.incomplete) == (2, 1)
    process.update_settings({"ttl": 1}, schedule=60, by="ann")
    process.update_limits(max_in_flight=5, rate_limit="100/s")
    process.register_work("a", {"bad": False})
    assert process.redrive(failed.id).counts.completed == 1
    process.unregister_works(["b", "c"])
    process.run_now()
    process.pause("why", by="ann")
    process.resume()
    for _ in range(3):
        processes.sweep(force=True)
    assert process.state().settings == {"ttl": 1}
    assert len(process.settings_history()) == 1
    assert len(list(process.runs())) >= 1
    assert len(list(process.slots())) >= 1
    assert process.cancel_run() is None
    assert store.deployment("here", adopt=True) == "here"


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex[:8]}_"


def test_the_guide_names_each_table() -> None:
    """The rights are given table by table."""
    tables = {table.name for table in Tables("cp_").metadata.sorted_tables}
    assert set(re.findall(r"\bcp_\w+", POSTGRESQL)) == tables


class TestPostgresql:
    @pytest.fixture
    def worker(self, postgresql_url: str, prefix: str) -> Iterator[str]:
        """Give the URL of an account with the rights of the guide on migrated tables."""
        owner, role = open_store(postgresql_url, table_prefix=prefix), f"worker_{uuid4().hex[:8]}"
        owner.migrate()
        owner.close()
        engine = sa.create_engine(postgresql_url)
        with engine.begin() as conn:
            conn.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
            for statement in POSTGRESQL.replace("cp_", prefix).replace("worker", role).split(";"):
                if statement.strip():
                    conn.exec_driver_sql(statement)
        yield sa.make_url(postgresql_url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)
        with engine.begin() as conn:
            conn.exec_driver_sql(f"DROP OWNED BY {role}")
            conn.exec_driver_sql(f"DROP ROLE {role}")
            Tables(prefix).metadata.drop_all(conn)
        engine.dispose()

    def test_they_are_enough(self, worker: str, prefix: str) -> None:
        """A whole life of a process, as that account."""
        store = open_store(worker, table_prefix=prefix)
        works_whole(store)
        store.close()

    @pytest.mark.parametrize("statement", ["DROP TABLE {}item", "ALTER TABLE {}item ADD x int", "TRUNCATE {}item"])
    def test_they_are_no_more(self, worker: str, prefix: str, statement: str) -> None:
        """The account changes no table."""
        engine = sa.create_engine(worker)
        with engine.connect() as conn, pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            conn.exec_driver_sql(statement.format(prefix))
        engine.dispose()

    def test_migrations_are_the_owner_s(self, worker: str) -> None:
        """Who may not create tables is told so."""
        store = open_store(worker, table_prefix="another_")
        with pytest.raises(AccessDenied) as caught:
            store.migrate()
        assert PASSWORD not in str(caught.value)
        store.close()


@pytest.mark.server("mysql")
def test_mysql(mysql_url: str, prefix: str) -> None:
    """The rights on the rows of the database are enough, and none to change a table is among them."""
    url, user = sa.make_url(mysql_url), f"worker_{uuid4().hex[:8]}"
    owner, engine = open_store(mysql_url, table_prefix=prefix), sa.create_engine(mysql_url)
    owner.migrate()
    account = f"'{user}'@'127.0.0.1'"
    try:
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
            conn.exec_driver_sql(MYSQL.replace("shop", url.database or "").replace("worker", account).rstrip().rstrip(";"))
        as_worker = url.set(username=user, password=PASSWORD).render_as_string(hide_password=False)
        store = open_store(as_worker, table_prefix=prefix)
        works_whole(store)
        store.close()
        other = sa.create_engine(as_worker)
        with other.connect() as conn, pytest.raises(sa.exc.OperationalError, match="denied"):
            conn.exec_driver_sql(f"DROP TABLE {prefix}item")
        other.dispose()
    finally:
        with engine.begin() as conn:
            conn.exec_driver_sql(f"DROP USER IF EXISTS {account}")
            Tables(prefix).metadata.drop_all(conn)
        owner.close()
        engine.dispose()


class TestRedis:
    @pytest.fixture(params=["valkey", "redis"])
    def url(self, request: pytest.FixtureRequest) -> str:
        if request.param == "valkey":
            return str(request.getfixturevalue("start_valkey")())
        return str(request.getfixturevalue("machine_redis_url"))

    @pytest.fixture
    def worker(self, url: str) -> Iterator[str]:
        user = f"worker-{uuid4().hex[:8]}"
        with Redis.from_url(url) as client:
            client.execute_command(*REDIS.replace("worker", user).replace("password", PASSWORD).split())
            yield url.replace("://", f"://{user}:{PASSWORD}@")
            client.acl_deluser(user)

    def test_they_are_enough(self, worker: str) -> None:
        """A whole life of a process, as that account."""
        store = open_store(worker)
        works_whole(store)
        store.close()

    @pytest.mark.parametrize(
        "command",
        ["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "SCRIPT FLUSH", "GET other", "DEL celery", "ACL LIST", "SAVE"],
    )
    def test_they_are_no_more(self, worker: str, command: str) -> None:
        """Neither keys of others nor the server itself."""
        with Redis.from_url(worker) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command.split())
