"""The memory store keeps the contract."""

import pytest

from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

from .cases import *  # noqa: F403


@pytest.fixture
def store(clock: MovableClock) -> MemoryStore:
    """Give a fresh store."""
    return MemoryStore(clock=clock)
