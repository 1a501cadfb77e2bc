"""The Redis store keeps the contract, whole, on a cluster of three servers."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from celery_process.stores.redis import RedisStore
from celery_process.testing import MovableClock

from .cases import *  # noqa: F403

pytestmark = pytest.mark.server("redis")


@pytest.fixture
def store(clock: MovableClock, redis_cluster_url: str) -> Iterator[RedisStore]:
    """Give a store with the test's clock and keys of its own."""
    store = RedisStore(redis_cluster_url, key_prefix=f"cp-{uuid4().hex[:12]}:", clock=clock)
    yield store
    store.close()
