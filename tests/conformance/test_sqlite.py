"""The SQL store keeps the contract on SQLite."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from celery_process.testing.conformance import *  # noqa: F403


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated, empty database, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    store = SqlStore(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def store(clock: MovableClock, migrated: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """Give a fresh store."""
    path = tmp_path / "process.db"
    shutil.copy(migrated, path)
    store = SqlStore(f"sqlite:///{path}", clock=clock)
    yield store
    store.close()
