"""The Redis store keeps the contract, on Valkey and on the machine's own Redis."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from celery_process.stores.redis import RedisStore
from celery_process.testing import MovableClock

from .cases import *  # noqa: F403

pytestmark = pytest.mark.server("redis")


@pytest.fixture(scope="module", params=["redis_url", "machine_redis_url"], ids=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> str:
    """Give the URL of a server; the tests share it, each with keys of its own."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(clock: MovableClock, server: str) -> Iterator[RedisStore]:
    """Give a store with the test's clock."""
    store = RedisStore(server, key_prefix=f"cp-{uuid4().hex[:12]}:", clock=clock)
    yield store
    store.close()
