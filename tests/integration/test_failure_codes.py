"""What each code of a server means, raised by the server itself and read by the driver as pip installs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.exceptions import (
    AccessDenied,
    CorruptData,
    RefusedValue,
    SchemaMismatch,
    StoreError,
    StoreUnavailable,
)
from celery_process.stores import retry
from celery_process.stores.redis import RedisStore
from celery_process.stores.redis.retry import _MEANINGS, _WRONG_SERVER
from celery_process.stores.retry import Failure
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.retry import _MYSQL, _POSTGRESQL, Codes
from celery_process.stores.sql.transaction import Transaction

ERRORS = {
    Failure.PASSES: StoreUnavailable,
    Failure.OUTAGE: StoreUnavailable,
    Failure.DENIED: AccessDenied,
    Failure.VALUE: RefusedValue,
    Failure.CORRUPT: CorruptData,
    Failure.SCHEMA: SchemaMismatch,
    Failure.UNKNOWN: StoreError,
}


def listed(codes: Codes, **more: Failure) -> list[tuple[Any, Failure]]:
    """Return every code of a list with what it means."""
    found = {code: failure for failure, all_of_it in codes.meanings.items() for code in all_of_it}
    return sorted({**found, **dict.fromkeys(codes.wrong_server, Failure.PASSES), **more}.items(), key=str)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.time, "sleep", lambda _: None)


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> Iterator[tuple[SqlStore, Codes]]:
    store = SqlStore(request.getfixturevalue(f"{request.param}_url"), table_prefix="codes_")
    store.migrate()
    yield store, {"postgresql": _POSTGRESQL, "mysql": _MYSQL}[request.param]
    store.close()


def raised(tx: Transaction, code: Any) -> None:
    """Have the server raise a code."""
    if tx.is_postgresql:
        tx.conn.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
    else:
        tx.conn.exec_driver_sql(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'no'")


def session(conn: sa.Connection) -> int:
    return int(
        conn.scalar(sa.text("SELECT pg_backend_pid()" if conn.dialect.name == "postgresql" else "SELECT connection_id()"))
    )


def two_sessions(store: SqlStore) -> set[int]:
    """Return the sessions of two connections of a store, which are idle then."""
    with store._db.engine.connect() as one, store._db.engine.connect() as other:
        return {session(one), session(other)}


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
def test_each_code(database: tuple[SqlStore, Codes]) -> None:
    """What may be over is tried five times, the rest once, and only an outage is `StoreUnavailable`."""
    store, codes = database
    prefixed = {"08006": Failure.PASSES, "22003": Failure.VALUE, "28P01": Failure.DENIED, "53100": Failure.OUTAGE}
    others = {**(prefixed if codes is _POSTGRESQL else {})}
    found, wanted = {}, {}
    unknown: Any = "42601" if codes is _POSTGRESQL else 1064
    for code, failure in [*listed(codes, **others), (unknown, Failure.UNKNOWN)]:
        wanted[code] = (retry.TRIES if failure is Failure.PASSES else 1, ERRORS[failure])
        tried, error = 0, None

        def step(tx: Transaction, code: Any = code) -> None:
            nonlocal tried
            tried += 1
            raised(tx, code)

        try:
            store._db.write("step", step)
        except StoreError as failed:
            error = type(failed)
        found[code] = (tried, error)
    assert found == wanted


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
def test_wrong_server(database: tuple[SqlStore, Codes]) -> None:
    """A server that may not be written to any more is asked again over a new connection, and no old one is kept."""
    store, codes = database
    for code in codes.wrong_server:
        before, sessions = two_sessions(store), list[int]()

        def step(tx: Transaction, code: Any = code, sessions: list[int] = sessions) -> None:
            sessions.append(session(tx.conn))
            if len(sessions) == 1:
                raised(tx, code)

        store._db.write("step", step)
        assert len(set(sessions)) == 2, code
        assert not before & two_sessions(store), code


class TestSqlite:
    """What SQLite itself raises."""

    def test_no_database(self, tmp_path: Any) -> None:
        """A file that is something else is corrupt data, not an outage."""
        (tmp_path / "x.db").write_bytes(b"something else altogether " * 400)
        with pytest.raises(CorruptData, match="SQLITE_NOTADB"):
            SqlStore(f"sqlite:///{tmp_path}/x.db").overrides("p")

    def test_missing_table(self, tmp_path: Any) -> None:
        """A table that is gone is said with the command that makes it."""
        store = SqlStore(f"sqlite:///{tmp_path}/x.db")
        store.register("p", {"a": "{}"})
        store._db.write("drop", lambda tx: tx.t.work.drop(tx.conn))
        with pytest.raises(SchemaMismatch, match="process migrate"):
            store.register("p", {"b": "{}"})
        store.close()

    def test_value(self, tmp_path: Any) -> None:
        """A number that a column cannot hold is told from an outage."""
        store = SqlStore(f"sqlite:///{tmp_path}/x.db")
        store.check()
        with pytest.raises(RefusedValue, match="too large"):
            store._db.write("step", lambda tx: tx.conn.execute(sa.select(sa.literal(2**70, sa.BigInteger))))
        with pytest.raises(RefusedValue, match="SQLITE_CONSTRAINT_NOTNULL"):
            store._db.write("step", lambda tx: tx.conn.execute(sa.insert(tx.t.meta).values(name="x", number=None)))
        store.close()

    def test_stored_text(self, tmp_path: Any) -> None:
        """A text that somebody else wrote is corrupt data."""
        store = SqlStore(f"sqlite:///{tmp_path}/x.db")
        store.update_limits("p", max_in_flight=1, rate_limit=None, by="")
        store._db.write("step", lambda tx: tx.conn.exec_driver_sql("UPDATE cp_process SET limits = 'x'"))
        with pytest.raises(CorruptData):
            store.process("p")
        store.close()


@pytest.mark.server("postgresql")
def test_not_let_in(postgresql_url: str) -> None:
    """An account or a database that does not exist is said at once: libpq hands on no code of it, only the text."""
    url = sa.make_url(postgresql_url)
    for strange in (url.set(username="nobody_of_that_name"), url.set(database="nothing_of_that_name")):
        with pytest.raises(AccessDenied):
            SqlStore(strange.render_as_string(hide_password=False)).overrides("p")


@pytest.mark.server("mysql")
def test_not_let_in_mysql(mysql_url: str) -> None:
    """The same holds for MySQL's numbers."""
    url = sa.make_url(mysql_url)
    for strange in (url.set(username="nobody", password="x"), url.set(database="nothing_of_that_name")):
        with pytest.raises(AccessDenied):
            SqlStore(strange.render_as_string(hide_password=False)).overrides("p")


@pytest.mark.server("redis")
class TestRedis:
    @pytest.mark.parametrize(("word", "failure"), [*_MEANINGS.items(), ("ERR", Failure.UNKNOWN)])
    @pytest.mark.parametrize("form", ["{} no", "ERR Error running script (call to f_x): @user_script:1: -{} no"])
    def test_each_word(self, redis_url: str, word: str, failure: Failure, form: str) -> None:
        """What a server answers, or a command inside a script of Redis 6.2, means the same as elsewhere."""
        if word == "ERR" and form != "{} no":
            return
        store, tries = RedisStore(redis_url), 0

        def once(server: Any) -> Any:
            nonlocal tries
            tries += 1
            return server.eval("return redis.error_reply(ARGV[1])", 0, form.format(word))

        with pytest.raises(ERRORS[failure]) as failed:
            store._client.tried("step", once)
        assert type(failed.value) is ERRORS[failure]
        assert tries == (retry.TRIES if failure is Failure.PASSES else 1)
        store.close()

    @pytest.mark.parametrize("word", _WRONG_SERVER)
    def test_wrong_server(self, redis_url: str, word: str) -> None:
        """A server that is not the one to ask is asked again over a new connection, and no idle one is kept."""
        store, clients = RedisStore(redis_url), []

        def once(server: Any) -> None:
            clients.append(server.client_id())
            if len(clients) == 1:
                server.eval("return redis.error_reply(ARGV[1])", 0, f"{word} no")

        store._client.tried("step", once)
        assert len(set(clients)) == 2
        store.close()

    def test_wrong_type(self, redis_url: str) -> None:
        """A key of another's, where the store has its own, is corrupt data."""
        prefix = f"type-{uuid4().hex[:8]}:"
        store = RedisStore(redis_url, key_prefix=prefix)
        store._client.tried("step", lambda server: server.set(f"{prefix}{{p}}:p", "x"))
        with pytest.raises(CorruptData, match="WRONGTYPE"):
            store.process("p")
        store._client.tried("step", lambda server: server.delete(f"{prefix}{{p}}:p"))
        store.close()
