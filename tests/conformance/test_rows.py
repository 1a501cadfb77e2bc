"""Each store's rows are as the protocol needs them."""

from collections.abc import Callable, Collection, Iterator
from typing import Any
from uuid import uuid4

import pytest

from celery_process.protocol.entities import Item, Page, Status
from celery_process.protocol.rows import Row
from celery_process.stores.atomic import Atomic
from celery_process.stores.memory import MemoryStore
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from celery_process.testing.rows import *  # noqa: F403
from tests.protocol.json_folder import JsonFolder

Make = Callable[[Callable[[], Any]], Any]
SERVERS = {"postgresql": "postgresql_url", "mysql": "mysql_url", "redis": "redis_url"}


@pytest.fixture(
    scope="module",
    params=["memory", "json", "sqlite", *(pytest.param(server, marks=pytest.mark.server(server)) for server in SERVERS)],
)
def database(request: pytest.FixtureRequest) -> str:
    """Give the name of a store."""
    return str(request.param)


@pytest.fixture(scope="module")
def make(database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Give what makes a store with a clock, on the same place for all cases."""
    url = str(request.getfixturevalue(SERVERS[database])) if database in SERVERS else ""
    if database == "memory":
        return lambda clock: MemoryStore(clock=clock)
    if database == "json":
        folder = tmp_path_factory.mktemp("rows")
        return lambda clock: JsonFolder(f"json://{folder}", clock=clock)
    if database == "redis":
        prefix = f"cp-{uuid4().hex[:12]}:"
        return lambda clock: RedisStore(url, key_prefix=prefix, clock=clock)
    place = url or f"sqlite:///{tmp_path_factory.mktemp('rows')}/process.db"
    return lambda clock: SqlStore(place, clock=clock, synchronous="NORMAL")


@pytest.fixture(scope="module")
def shared(make: Make) -> Iterator[tuple[Any, list[MovableClock]]]:
    """Give a store, whose statements are built once, and the list that ends with the clock it reads."""
    clocks = [MovableClock()]
    store = make(lambda: clocks[-1]())
    store.migrate()
    yield store, clocks
    store.close()


@pytest.fixture
def store(shared: tuple[Any, list[MovableClock]], clock: MovableClock) -> Atomic:
    """Give the store with the test's clock."""
    store, clocks = shared
    clocks.append(clock)
    assert isinstance(store, Atomic)
    return store


@pytest.fixture
def native(database: str) -> Collection[type[Row]]:
    """Give the kinds of rows that scripts write in place of steps."""
    return (Page, Item, Status) if database == "redis" else ()
