"""Connections that the server ended while they were idle: every kind of operation goes on over a fresh one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.protocol.states import WorkList
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "write": lambda store: store.register("p", {uuid4().hex: "{}"}),
    "read": lambda store: store.works("p", on=WorkList.ACTIVE, after="", limit=1),
    "peek": lambda store: store.overrides("p"),
    "check": lambda store: store.check(),
}


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    store = SqlStore(request.getfixturevalue(f"{request.param}_url"), table_prefix="killed_")
    store.migrate()
    yield store
    store.close()


def own_sessions(engine: sa.Engine) -> list[int]:
    """Return the sessions of two connections of an engine, which are idle then."""
    asked = "SELECT " + ("pg_backend_pid()" if engine.dialect.name == "postgresql" else "connection_id()")
    with engine.connect() as one, engine.connect() as other:
        return [conn.exec_driver_sql(asked).scalar_one() for conn in (one, other)]


def kill(engine: sa.Engine, sessions: list[int]) -> None:
    """End sessions, from another one."""
    killer = sa.create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with killer.connect() as conn:
        for session in sessions:
            postgresql = engine.dialect.name == "postgresql"
            conn.exec_driver_sql(f"SELECT pg_terminate_backend({session})" if postgresql else f"KILL {session}")
    killer.dispose()


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_sql(store: SqlStore, operation: str) -> None:
    """An operation over a connection that was killed while idle is done, and the other killed one is not kept."""
    killed = own_sessions(store._db.engine)
    kill(store._db.engine, killed)
    assert OPERATIONS[operation](store) is not None
    assert not set(killed) & set(own_sessions(store._db.engine))


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
def test_joined(store: SqlStore) -> None:
    """A caller's connection is the caller's: its error comes as the driver's, and their next transaction is joined."""
    engine = sa.create_engine(store._db.address.url)
    kill(store._db.engine, own_sessions(store._db.engine))
    kill(engine, own_sessions(engine))
    name = uuid4().hex
    with pytest.raises(sa.exc.DBAPIError) as failed, engine.begin() as conn:
        store.register("p", {name: "{}"}, using=conn)
    assert failed.value.connection_invalidated
    with engine.begin() as conn:
        assert store.register("p", {name: "{}"}, using=conn) == (name,)
    assert store.work("p", name).name == name
    engine.dispose()


@pytest.mark.server("mysql")
def test_levels(mysql_url: str) -> None:
    """A read of several statements sees one moment, and what follows it is READ COMMITTED again."""
    store, seen = SqlStore(mysql_url, table_prefix="killed_"), []
    store.migrate()

    def count(tx: Any) -> int:
        return int(tx.value(sa.select(sa.func.count()).select_from(tx.t.work)))

    def twice(tx: Any) -> None:
        seen.append(count(tx))
        other.register("p", {uuid4().hex: "{}"})
        seen.append(count(tx))

    other = SqlStore(mysql_url, table_prefix="killed_")
    store._db.read("twice", twice)
    assert seen[0] == seen[1]
    store._db.write("twice", twice)
    assert seen[2] + 1 == seen[3]
    store.close()
    other.close()


@pytest.mark.server("redis")
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("server", ["redis", "redis_cluster"])
def test_redis(request: pytest.FixtureRequest, server: str, operation: str) -> None:
    """The same on Redis, where the driver tells a dead socket at the first answer, or before it sends."""
    store = RedisStore(request.getfixturevalue(f"{server}_url"), key_prefix=f"killed-{uuid4().hex[:8]}:")
    store.register("p", {"a": "{}"})
    for node in store._client._redis.get_nodes() if server == "redis_cluster" else [None]:
        client = store._client._redis if node is None else node.redis_connection
        pool = client.connection_pool
        used = [pool.get_connection() for _ in range(8)]
        for connection in used:
            connection.send_command("CLIENT", "ID")
        sessions = [connection.read_response() for connection in used]
        for connection in used:
            pool.release(connection)
        killer = type(client)(host=pool.connection_kwargs["host"], port=pool.connection_kwargs["port"])
        for session in sessions:
            killer.execute_command("CLIENT", "KILL", "ID", session)
        killer.close()
    assert OPERATIONS[operation](store) is not None
    store.close()
