"""A simulation: the library's own code under a virtual clock, where broker, network and workers fail as a seed decides.

    from celery_process.testing.simulation import simulate, sleep

    def test_orders_are_shipped_once():
        for seed in range(200):
            shipped = {}

            def ship(work):
                for parcel in ("a", "b"):
                    sleep(20)  # virtual: it takes no time, but leases run out in it
                    work.progress()
                    refuse_older(shipped, (work.name, parcel), work.fencing_token)

            simulate(seed, handler=ship)

In it, messages are lost, come up to five times, late and in any order; calls to the store fail before the store did
them, after, or are done only later; workers die in the middle of an item, are told to go in the middle of a message, or
stand still for longer than their lease; clocks step; several beats trigger too often, late, or twice; items come and
go; settings change; runs are paused, cancelled and redriven. Then the mishaps end, and `simulate` raises
AssertionError, with the seed and the last events, unless every run comes to its end and is told, every slot is
accounted for, and the runs count exactly what the handlers did. What the handler must stand is what every handler must:
to be called again for an item whose worker died, and to go on after it lost its claim.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery_process.protocol.model import RunStatus
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.testing.simulation.leases import sleep
from celery_process.testing.simulation.plan import Plan
from celery_process.testing.simulation.recorder import Execution
from celery_process.testing.simulation.world import Handler, World

__all__ = ["Execution", "History", "simulate", "sleep"]

LAST = 60
"""Events that the report of a failure shows."""


@dataclass(frozen=True, slots=True)
class History:
    """What happened: each call of a handler, the runs, and the number of events of each kind."""

    seed: int
    steps: int
    seconds: float
    runs: tuple[RunStatus, ...]
    executions: tuple[Execution, ...]
    counted: Mapping[str, int]
    events: tuple[str, ...]


def _memory(clock: Callable[[], datetime]) -> Store:
    return MemoryStore(clock=clock)


def simulate(
    seed: int,
    *,
    handler: Handler | None = None,
    cleanup: Handler | None = None,
    make_store: Callable[[Callable[[], datetime]], Store] = _memory,
    options: Mapping[str, Any] | None = None,
    steps: int = 200,
    every: int = 20,
    sweeps: bool = True,
) -> History:
    """Simulate a process under a seed; raise AssertionError where the library breaks a promise.

    `handler` and `cleanup`: yours, else ones that take time, count, and fail by the seed. `options`: of the process, as
    `Processes.process` takes them; what is missing comes from the seed. `make_store` returns an empty store with the given
    clock. `steps`: how many steps (operations, deliveries, mishaps) the mishaps last at least. `every`: the invariants are
    checked after so many writes, and at the end. Without `sweeps` nothing is repaired, which shows that sweeps are needed.
    """
    plan = Plan(seed, sweeps=sweeps)
    world = World(plan, make_store, (handler or plan.handler, cleanup or plan.handler), options or {}, every=every)
    try:
        with _quiet():
            runs = world.run(steps)
    except BaseException as error:
        told = "\n".join(_events(world)[-LAST:])
        raise AssertionError(f"seed {seed}, after {world.recorder.steps} steps: {error or error!r}\n{told}") from error
    finally:
        world.store.close()
    counted = Counter({"refused stale write": world.recorder.refused, "execution": len(world.recorder.executions)})
    counted += world.counted + world.broker.counted + world.network.counted
    return History(
        seed=seed,
        steps=world.recorder.steps,
        seconds=world.time.now,
        runs=runs,
        executions=tuple(world.recorder.executions.values()),
        counted=counted,
        events=tuple(_events(world)),
    )


def _events(world: World) -> list[str]:
    return [f"{at:9.3f} {who:24.24} {what} {detail} → {answer}" for at, who, what, detail, answer in world.recorder.events]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's log: the failures of a simulation are intended."""
    logger = logging.getLogger("celery_process")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
