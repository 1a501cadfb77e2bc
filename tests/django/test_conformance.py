"""`django://` keeps the contract; the cases are those of what it has code for, definitions, and of a whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from celery_process.contrib.django.store import DjangoStore
from celery_process.testing import MovableClock
from tests.protocol.cases import (  # noqa: F401 - fixtures, and tests that are collected here
    TestCleanup,
    TestHistory,
    TestMerging,
    TestOverrides,
    TestRegistering,
    TestUnregistering,
    clock,
    drive,
    process,
)


@pytest.fixture
def store(clock: MovableClock, alias: str) -> Iterator[DjangoStore]:  # noqa: F811 - the fixture
    store = DjangoStore(f"django://{alias}", clock=clock)
    yield store
    store.close()
