"""The SQL store keeps the contract on MySQL and MariaDB."""

from collections.abc import Iterator

import pytest

from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock

from .cases import *  # noqa: F403
from .kept import Kept

pytestmark = pytest.mark.server("mysql")


@pytest.fixture(scope="module")
def kept(mysql_url: str) -> Iterator[Kept]:
    """Give a store with its tables; the tests share it, each with process names of its own."""
    kept = Kept(lambda clock: SqlStore(mysql_url, clock=clock))
    kept.store.migrate()
    yield kept
    kept.close()


@pytest.fixture
def store(clock: MovableClock, kept: Kept) -> SqlStore:
    """Give the store with the test's clock."""
    return kept.with_clock(clock)
