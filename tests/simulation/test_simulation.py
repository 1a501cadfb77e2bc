"""The library keeps its promises in simulated histories, and the simulation finds what breaks them.

`CP_T4_SEEDS` is how many seeds the memory store sees, from `CP_T4_FROM` on; SQLite sees a fifteenth of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celery_process.protocol.states import RunState
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.stores.sql import SqlStore
from celery_process.testing.simulation import History, simulate, sleep

SEEDS = int(os.environ.get("CP_T4_SEEDS", "1500"))
FROM = int(os.environ.get("CP_T4_FROM", "0"))


def histories(seeds: int, say: Callable[[str], None], store: str, **more: Any) -> Counter[str]:
    """Simulate seeds, print the figures of all, and return them."""
    started, counted, steps, runs, shortest = time.monotonic(), Counter(), 0, 0, 10**9
    for seed in range(FROM, FROM + seeds):
        history = simulate(seed, **more)
        counted.update(history.counted)
        steps, runs, shortest = steps + history.steps, runs + len(history.runs), min(shortest, history.steps)
    say(
        f"T4: {store} · {seeds:,} seeds from {FROM:,}, {steps:,} steps (at least {shortest}), 0 violations · {runs:,} runs finished once · "
        f"executions {counted['execution']:,} · deliveries {counted['delivery']:,} · "
        f"duplicates {counted['message repeated']:,} · refused stale writes {counted['refused stale write']:,} · "
        f"{time.monotonic() - started:.0f} s"
    )
    assert shortest >= 200
    return counted


def test_memory(say: Callable[[str], None]) -> None:
    """Every run ends, is told and counts what its handlers did, whatever went wrong; and everything does go wrong."""
    counted = histories(SEEDS, say, "memory")
    faults = ["error before commit", "error after commit", "commit after the error", "store down", "broker down", "clock"]
    faults += [
        "message lost",
        "message repeated",
        "message delayed",
        "message redelivered",
        "crash",
        "leave",
        "stop",
        "cancel",
    ]
    if SEEDS >= 1000:
        assert not [
            kind
            for kind in [*faults, "refused stale write", "redrive", "run now", "pause", "limits", "page later"]
            if not counted[kind]
        ]


def test_sqlite(say: Callable[[str], None], tmp_path: Path) -> None:
    """The same holds on SQLite."""
    empty = tmp_path / "empty.db"
    store = SqlStore(f"sqlite:///{empty}")
    store.migrate()
    store.close()

    def make_store(clock: Any) -> SqlStore:
        shutil.copy(empty, tmp_path / "process.db")
        for rest in tmp_path.glob("process.db-*"):
            rest.unlink()
        return SqlStore(f"sqlite:///{tmp_path}/process.db", clock=clock, synchronous="NORMAL")

    histories(SEEDS // 15, say, "SQLite", make_store=make_store, every=100)


def test_replay() -> None:
    """One seed is one history, event by event, in another interpreter too."""
    code = "from celery_process.testing.simulation import simulate; print([simulate(seed) for seed in range(6)])"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True
        ).stdout
        for salt in ("1", "2")
    }
    assert told == {f"{[simulate(seed) for seed in range(6)]}\n".encode()}
    assert simulate(0).events != simulate(1).events


def test_own_handler() -> None:
    """A handler of the user's is simulated instead of the one of the seed, with options of the user's."""
    done: Counter[str] = Counter()

    def ship(work: Any) -> None:
        sleep(20)
        work.progress()
        work.add_stats("parcels")
        done[work.run.id] += 1

    history = simulate(9, handler=ship, cleanup=lambda work: None, options={"schedule": 60, "lease": 30, "time_limit": None})
    assert isinstance(history, History)
    shipped = [run.stats.get("work.parcels", 0) for run in history.runs if run.state is RunState.COMPLETED]
    assert any(shipped)
    assert sum(done.values()) >= sum(shipped)


def test_own_handler_that_fails() -> None:
    """What a handler asserts of the outside world ends the simulation with the seed, and does not pass for its own error."""

    def ship(work: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(AssertionError, match=r"^seed 3, after \d+ steps: KeyboardInterrupt"):
        simulate(3, handler=ship)


def test_sleep_outside() -> None:
    """Outside of a simulation there is no virtual time to take."""
    with pytest.raises(RuntimeError, match="no simulation"):
        sleep(1)


def test_no_sweep() -> None:
    """Without the sweep, runs do not end."""
    found(r"I14", 20, sweeps=False)


def found(invariant: str, seeds: int, **more: Any) -> None:
    """Assert that one of the first seeds breaks an invariant, and that its report names seed and events."""
    for seed in range(FROM, FROM + seeds):
        try:
            simulate(seed, **more)
        except AssertionError as error:
            first, *events = str(error).splitlines()
            assert first.startswith(f"seed {seed}, after ")
            assert invariant in first
            assert len(events) > 10
            return
    raise AssertionError(f"{seeds} seeds find nothing")


def made(store: type[MemoryStore]) -> Callable[[Any], Store]:
    return lambda clock: store(clock=clock)
