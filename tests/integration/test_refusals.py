"""What is refused while a run is open costs the same, however many items the run has out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from uuid import uuid4

import pytest

from celery_process.protocol.model import StoredProcess
from celery_process.protocol.states import Again, RunAnswer
from celery_process.stores.base import Store
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from tests.protocol.driver import Driver

WINDOW = int(os.environ.get("CP_WINDOW", "3000"))


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=["redis", "postgresql"])
def store(request: pytest.FixtureRequest, clock: MovableClock) -> Iterator[Store]:
    url = request.getfixturevalue(f"{request.param}_url")
    store: Store
    if request.param == "redis":
        store = RedisStore(url, key_prefix=f"refused-{uuid4().hex[:12]}:", clock=clock)
    else:
        store = SqlStore(url, table_prefix="refused_", clock=clock)
        store.migrate()
    yield store
    store.close()


def opened(store: Store, clock: MovableClock, size: int) -> Driver:
    """Return the driver of a process whose open run has so many items out."""
    drive = Driver(store, f"p-{uuid4().hex}", clock)
    run = drive.start(*(f"{number:05}" for number in range(size)))
    while drive.page(run, window=size).names:
        pass
    return drive


def takes(act: Callable[[], Any]) -> float:
    """Return how many seconds an act takes, at its best."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return median(sorted(times)[:7])


def test_overlapped(store: Store, clock: MovableClock, say: Callable[[str], None]) -> None:
    """A trigger that finds a run open, and a read that leaves out its items, do not look at them."""
    small, large = opened(store, clock, 10), opened(store, clock, WINDOW)

    def refused(drive: Driver) -> Callable[[], None]:
        def claim() -> None:
            assert drive.claim_run(again=Again.ALWAYS).answer is RunAnswer.OVERLAPPED

        return claim

    def read(drive: Driver) -> Callable[[], StoredProcess]:
        return lambda: store.process(drive.process, live=False)

    ratios = {
        "refused": takes(refused(large)) / takes(refused(small)),
        "not live": takes(read(large)) / takes(read(small)),
    }
    said = ", ".join(f"{what} {ratio:.2f}" for what, ratio in ratios.items())
    say(f"{type(store).__name__}, the time of a window of {WINDOW:,} over that of 10: {said}")
    assert all(ratio < 3 for ratio in ratios.values())
