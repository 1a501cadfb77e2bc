"""The SQL store keeps the contract on MySQL and MariaDB."""

from collections.abc import Iterator

import pytest

from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from celery_process.testing.conformance import *  # noqa: F403

pytestmark = pytest.mark.server("mysql")


@pytest.fixture(scope="module")
def migrated(mysql_url: str) -> str:
    """Give a migrated database; the tests share it, each with process names of its own."""
    store = SqlStore(mysql_url)
    store.migrate()
    store.close()
    return mysql_url


@pytest.fixture
def store(clock: MovableClock, migrated: str) -> Iterator[SqlStore]:
    """Give a store with the test's clock."""
    store = SqlStore(migrated, clock=clock)
    yield store
    store.close()
