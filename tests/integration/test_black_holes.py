"""A path on which packets vanish: an operation fails in a bounded time, and the next is done once the path is back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.exceptions import StoreUnavailable
from celery_process.stores import open_store
from celery_process.stores.retry import ANSWER_TIMEOUT, PATIENCE

KINDS = ("postgresql", "mysql", "redis")
LEASE = 30
PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379}


@pytest.fixture
def behind(request: pytest.FixtureRequest) -> Iterator[list[tuple[Any, Any]]]:
    """Give a store of each server over a proxy, with the default settings, and the proxy."""
    with ExitStack() as stack:
        stores = []
        for kind in KINDS:
            url = sa.make_url(request.getfixturevalue(f"{kind}_url"))
            proxy = stack.enter_context(sys.modules["cp_tests_proxy"].proxy_to(url.host, url.port or PORTS[kind]))
            through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
            store = open_store(through, table_prefix="hole_", key_prefix=f"hole-{uuid4().hex[:8]}:")
            stack.callback(store.close)
            store.migrate()
            store.register("p", {"a": "{}"})
            stores.append((store, proxy))
        yield stores


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
@pytest.mark.server("redis")
def test_swallowed(behind: list[tuple[Any, Any]]) -> None:
    """With the default settings `StoreUnavailable` comes well below the default lease, and the connections are made anew."""

    def failing(store: Any) -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.register("p", {"b": "{}"})
        return time.monotonic() - began

    for _, proxy in behind:
        proxy.swallows = True
    with ThreadPoolExecutor(len(behind)) as pool:
        took = list(pool.map(failing, [store for store, _ in behind]))
    assert max(took) < 2 * LEASE / 3, took
    assert max(took) < 2 * (ANSWER_TIMEOUT + PATIENCE)
    for store, proxy in behind:
        proxy.swallows = False
        assert store.register("p", {"b": "{}"}) == ("b",)


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
@pytest.mark.server("redis")
@pytest.mark.parametrize("kind", KINDS)
def test_option(request: pytest.FixtureRequest, kind: str) -> None:
    """A deadline in the URL wins."""
    url = request.getfixturevalue(f"{kind}_url")
    store = open_store(f"{url}?{'socket_timeout' if kind == 'redis' else 'read_timeout'}=1", table_prefix="hole_")
    slow = {"postgresql": "SELECT pg_sleep(3)", "mysql": "SELECT sleep(3)"}

    def wait() -> None:
        if kind == "redis":
            store._client.tried("slow", lambda server: server.execute_command("BLPOP", "nothing", 3))
        else:
            store._db.peek("slow", lambda tx: tx.conn.exec_driver_sql(slow[kind]))

    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        wait()
    assert time.monotonic() - began > 1
    store.close()
