"""The fixtures that come with the suite; `store` is the author's."""

from __future__ import annotations

from uuid import uuid4

import pytest

from celery_process.stores.base import Store
from celery_process.testing.clock import MovableClock

from .driver import Driver


@pytest.fixture
def clock() -> MovableClock:
    """Give the clock that the store under test is made with."""
    return MovableClock()


@pytest.fixture
def process() -> str:
    """Give a process name that no other test uses."""
    return f"suite-{uuid4().hex[:12]}"


@pytest.fixture
def drive(store: Store, process: str, clock: MovableClock) -> Driver:
    """Give the driver of a process that the store has never heard of."""
    return Driver(store, process, clock)
