"""The SQL store keeps the contract on SQLite."""

from collections.abc import Iterator

import pytest

from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock

from .cases import *  # noqa: F403
from .kept import Kept


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Give a store with its tables; the tests share it, each with process names of its own."""
    path = tmp_path_factory.mktemp("sqlite") / "process.db"
    kept = Kept(lambda clock: SqlStore(f"sqlite:///{path}", clock=clock))
    kept.store.migrate()
    yield kept
    kept.close()


@pytest.fixture
def store(clock: MovableClock, kept: Kept) -> SqlStore:
    """Give the store with the test's clock."""
    return kept.with_clock(clock)
