"""The SQL stores of the tests: each kind of database by default; a module that overrides `database` chooses others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from celery_process.stores.sql import SqlStore

PREFIX = "own_"


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> str:
    """Give the kind of the database that `store` is on."""
    return str(request.param)


@contextmanager
def opened(url: str, **options: str) -> Iterator[SqlStore]:
    store = SqlStore(url, **options)
    store.migrate()
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[SqlStore]:
    """Give a migrated store; on a server its tables are those of all these tests, each with a process of its own."""
    if database == "sqlite":
        with opened(f"sqlite:///{tmp_path}/store.db", synchronous="NORMAL") as store:
            yield store
    else:
        with opened(request.getfixturevalue(f"{database}_url"), table_prefix=PREFIX) as store:
            yield store


@pytest.fixture(params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """Give a migrated store on each database that locks rows."""
    with opened(request.getfixturevalue(f"{request.param}_url"), table_prefix=PREFIX) as store:
        yield store


@pytest.fixture
def process() -> str:
    """Give the name of a process that nobody else has."""
    return f"p-{uuid4().hex}"
