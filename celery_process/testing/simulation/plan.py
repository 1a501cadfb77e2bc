"""What a seed stands for: the options of a process, its items, how much goes wrong, and what a handler does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from celery_process.protocol.model import Retention
from celery_process.protocol.states import ErrorAction
from celery_process.protocol.tolerance import Tolerance
from celery_process.testing.simulation.leases import sleep

if TYPE_CHECKING:
    from celery_process.testing.simulation.world import World

LEAST = {"before": 0.0, "after": 0.0, "late": 0.0, "slow": 0.0, "drop": 0.0, "duplicate": 0.0, "delay": 0.0, "unsent": 0.0}
MOST = {
    "before": 0.06,
    "after": 0.06,
    "late": 0.12,
    "slow": 0.03,
    "drop": 0.3,
    "duplicate": 0.4,
    "delay": 0.3,
    "unsent": 0.1,
}


class Broken(Exception):
    """What a simulated handler raises."""


class Ignored(Exception):
    """What a simulated handler raises, and the tolerance ignores."""


class Plan:
    """Drawn from a seed; `random` then goes on to decide everything else."""

    def __init__(self, seed: int, *, sweeps: bool = True) -> None:
        self.random = random = Random(seed)
        pick = random.choice
        self.sweeps = sweeps
        self.workers, self.beats = pick([1, 2, 3]), pick([1, 2, 3])
        self.calls_every, self.mishap_every = pick([2.0, 6.0, 30.0]), pick([5.0, 20.0, 100.0])
        self.names = [f"n{index:02}" for index in range(pick([1, 4, 10, 25]))]
        self.faults = {name: pick([LEAST[name], MOST[name] / 3, MOST[name]]) for name in LEAST}
        self.failing, self.units = pick([0.0, 0.03, 0.12]), pick([1, 6, 12])
        self.options: dict[str, Any] = {
            "schedule": pick([20, 60, 300]),
            "tolerance": Tolerance(pick([0, 2, 10]), pick([3, 25, None]), ignore=(Ignored,)),
            "overlap": pick(["skip", "replace"]),
            "batch_size": pick([1, 3, 8, "auto"]),
            "max_in_flight": pick([2, 4, 1000]),
            "rate_limit": pick([None, None, "30/m", "2/s"]),
            "lease": pick([5, 10, 30]),
            "time_limit": pick([None, 20]),
            "progress_frequency": pick([0.001, 1, 5]),
            "jitter": pick([0, 0, 5]),
            "rerun_on_change": pick([False, False, True]),
        }
        self.config: dict[str, Any] = {
            "sweep_interval": timedelta(seconds=10),
            "redispatch_after": timedelta(seconds=pick([15, 60])),
            "max_attempts": pick([1, 2, 3]),
            "page_size": pick([1, 4, 500]),
            "retention": Retention(runs_with_items=pick([0, 2])),
        }

    def verb(self, world: World) -> tuple[str, Callable[[], object]]:
        """Return the next thing that a caller does."""
        random, store, process = self.random, world.network.store, world.dispatch.name
        names = random.sample(self.names, random.randint(1, min(3, len(self.names))))
        value, pace = random.randint(1, 3), random.choice([None, "1/s", "20/m"])
        limits: dict[str, Any] = {"max_in_flight": 2 * value, "rate_limit": pace, "reset": value == 3}
        verbs: list[tuple[int, str, Callable[[], object]]] = [
            (6, "register", lambda: store.register(process, dict.fromkeys(names, f'{{"n":{value}}}'))),
            (4, "unregister", lambda: store.unregister(process, names)),
            (2, "settings", lambda: store.update_settings(process, settings=f'{{"s":{value}}}', schedule=None)),
            (1, "limits", lambda: store.update_limits(process, **limits, by="caller")),
            (1, "pause", lambda: store.pause(process, note="", by="caller")),
            (4, "resume", lambda: store.resume(process)),
            (1, "cancel", lambda: world.stop(now=value == 1)),
            (2, "run now", lambda: world.dispatch.run_now(slot=None, by="caller")),
            (2, "redrive", world.redrive),
        ]
        _, name, act = random.choices(verbs, [weight for weight, _, _ in verbs])[0]
        return name, act

    def handler(self, work: Any) -> None:
        """Take virtual time, count, report, fail, and hang, as the seed will have it."""
        roll = self.random.random
        for _ in range(self.random.randint(0, self.units)):
            sleep(self.random.choice([0.0, 0.01, 0.2, 1.0, 4.0]))
            kind = roll()
            if kind < 0.4:
                work.add_stats(self.random.choice(["x", "z"]), self.random.choice([1, 2, 0.5]))
            elif kind < 0.5:
                work.run.add_stats("y")
            elif kind < 0.5 + 2 * self.failing:
                if work.add_error("simulated") is ErrorAction.ABORT and roll() < 0.7:
                    return
            elif kind < 0.52 + 2 * self.failing:
                work.run.add_error("simulated, of the run")
            else:
                work.progress(stop=roll() < 0.8)
        end = roll()
        if end < self.failing / 2:
            sleep(self.random.choice([12.0, 70.0, 400.0]))
        elif end < self.failing:
            raise Broken("simulated")
        elif end < self.failing * 1.2:
            raise Ignored("simulated")
