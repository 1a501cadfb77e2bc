"""The world of one seed: beats, workers, callers and mishaps around the library's own code, until all is quiet again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.runner import Runner
from celery_process.engine.sweep import sweep
from celery_process.exceptions import ProcessError
from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import StopReason
from celery_process.schedule.frequency import frequency
from celery_process.stores.base import Store
from celery_process.testing.invariants import ensure
from celery_process.testing.simulation.broker import Broker
from celery_process.testing.simulation.checks import check_end
from celery_process.testing.simulation.faults import Faults, Network
from celery_process.testing.simulation.leases import VirtualHeartbeat
from celery_process.testing.simulation.plan import Plan
from celery_process.testing.simulation.port import SimulatedPort
from celery_process.testing.simulation.recorder import Recorder
from celery_process.testing.simulation.virtual_time import Host, VirtualTime

PROCESS = "simulated"
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONGEST = 4 * 3600.0
"""Virtual seconds after which the mishaps end even where few steps were made."""
BOUND = 2 * 3600.0
"""Virtual seconds within which all runs must have ended after the last mishap (I14)."""

Handler = Callable[[Any], object]


class World:
    """Everything in it hangs on `plan`, which is drawn from the seed, and on the answers of the store."""

    def __init__(
        self,
        plan: Plan,
        make_store: Callable[[Callable[[], datetime]], Store],
        handlers: tuple[Handler, Handler],
        options: Mapping[str, Any],
        *,
        every: int,
    ) -> None:
        self.plan, self.random = plan, plan.random
        self.time, self.faults = VirtualTime(), Faults(**plan.faults)
        self.skew = timedelta(0)
        self.calm = self.quiet = False
        self.counted: Counter[str] = Counter()
        self.store = make_store(self.clock)
        self.recorder = Recorder(self.store, PROCESS, self.time, every)
        self.network = Network(self.store, self.time, self.random, self.faults, committed=self.recorder.committed)
        self.broker = Broker(self.time, self.random, self.faults)
        self.runners: dict[Host, Runner] = {}
        definition = define(PROCESS, self.recorder.recorded(handlers[0]), {**plan.options, **options})
        object.__setattr__(definition, "cleanup", self.recorder.recorded(handlers[1]))
        schedule = frequency(definition.schedule, minimum=timedelta(seconds=1))
        self.period: timedelta = schedule.value
        self.recorder.rate = definition.rate
        self.dispatch = Dispatch(
            definition=definition,
            store=self.network.store,
            config=Config(**plan.config),
            port=SimulatedPort(self, PROCESS, schedule),
        )

    def clock(self) -> datetime:
        """Return the store's time."""
        return START + timedelta(microseconds=round(self.time.now * 1e6)) + self.skew

    def work(self, run_id: str, names: tuple[str, ...], host: Host) -> None:
        """Run a message of items on a worker, as its task does."""
        self.recorder.step("delivered", (run_id, names), host.name)
        self.attempt(lambda: self.runners[host].run(run_id, names))

    # -- the course of it

    def run(self, steps: int) -> tuple[RunStatus, ...]:
        """Run so many steps with mishaps, then without until all is quiet, and check the outcome; return the runs."""
        try:
            self.begin()
            self.time.run(lambda: self.recorder.steps >= steps or self.time.now > LONGEST)
            self.recover()
            calm_at = self.time.now
            self.time.run(lambda: self.quiet or self.time.now > calm_at + BOUND)
            opened = [run.id for run in self.store.runs(PROCESS, before=None, limit=9) if run.state.is_open]
            ensure("I14", self.quiet, f"{opened or 'something'} does not end within {BOUND:.0f} s of peace")
            return check_end(self.recorder, period=self.period)
        finally:
            self.time.close()

    def begin(self) -> None:
        """Start the workers, the beats, the callers and the mishaps."""
        for _ in range(self.plan.workers):
            self.hire()
        self.store.register(PROCESS, dict.fromkeys(self.plan.names, "{}"))
        self.recorder.committed("register", (PROCESS, dict.fromkeys(self.plan.names, "{}")), {}, ())
        for index in range(self.plan.beats):
            self.time.call(self.random.random() * 5, partial(self.beat, index))
        self.time.call(1.0, self.call)
        self.time.call(self.random.random() * 40, self.mishap)
        self.tick()

    def hire(self) -> None:
        """Let a new worker begin."""
        host = Host(f"w{len(self.runners)}")
        self.runners[host] = Runner(self.dispatch, VirtualHeartbeat(), host=self.time)
        self.broker.hosts.append(host)

    def recover(self) -> None:
        """End the mishaps: the store answers, the broker delivers, the pause is over, two workers live."""
        self.calm = True
        self.faults.calm()
        self.network.down_until = 0.0
        for host in self.broker.hosts:
            host.stopped_until = 0.0
        while sum(not host.dead and not host.leaving for host in self.broker.hosts) < 2:
            self.hire()
        self.look()

    def look(self) -> None:
        """Note whether all is quiet, and end a pause that landed late."""
        self.store.resume(PROCESS)
        runs = self.store.runs(PROCESS, before=None, limit=10_000)
        busy = self.broker.waiting or any(host.busy for host in self.broker.hosts if not host.dead)
        told = all(self.recorder.told[run.id] for run in runs)
        self.quiet = not busy and told and not any(run.state.is_open for run in runs)
        self.time.call(5.0, self.look)

    # -- what comes by itself

    def beat(self, index: int) -> None:
        """Trigger the process, now and then twice or late, and again after about a period."""
        if self.calm:
            return
        self.counted["trigger"] += 1
        for _ in range(self.random.choice([1, 1, 1, 2])):
            self.broker.send(f"trigger by beat {index}", lambda _: self.trigger(comes_back=True))
        late = self.random.choice([0.0, 0.0, 0.0, 0.3, 2.5])
        self.time.call(self.period.total_seconds() * (0.3 + self.random.random() + late), lambda: self.beat(index))

    def trigger(self, *, comes_back: bool) -> None:
        """Do what the scheduling task does."""

        def defer(after: timedelta) -> None:
            self.time.call(
                after.total_seconds(), lambda: self.broker.send("trigger", lambda _: self.trigger(comes_back=False))
            )

        self.attempt(lambda: self.dispatch.trigger(by="beat", defer=defer if comes_back else None))

    def tick(self) -> None:
        """Publish the sweep, as each worker's timer does."""
        if self.plan.sweeps:
            self.broker.send("sweep", lambda _: self.attempt(lambda: sweep({PROCESS: self.dispatch})))
        every = self.dispatch.config.sweep_interval.total_seconds()
        self.time.call(every * (0.5 + self.random.random()), self.tick)

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something that may be refused, as a task or a caller would."""
        try:
            act()
        except ProcessError as error:
            self.recorder.step("refused", type(error).__name__)

    def call(self) -> None:
        """Let a caller do something."""
        if self.calm:
            return
        name, act = self.plan.verb(self)
        self.counted[name] += 1
        self.time.spawn(name, lambda: self.attempt(act))
        self.time.call(self.random.expovariate(1 / self.plan.calls_every), self.call)

    def stop(self, *, now: bool) -> None:
        """Cancel the open run."""
        run = self.network.store.process(PROCESS).run
        if run is not None and run.state.is_open:
            self.dispatch.stop(run.id, StopReason.SUPERSEDED if now else StopReason.CANCELLED)

    def redrive(self) -> None:
        """Redrive the last run."""
        run = self.network.store.process(PROCESS).run
        if run is not None:
            self.dispatch.redrive(run.id, by="caller")

    def mishap(self) -> None:
        """Let something happen to a worker, the store, or the clock."""
        if self.calm:
            return
        living = [host for host in self.broker.hosts if not host.dead]
        kind = self.random.choice(["crash", "leave", "stop", "stop", "outage", "clock"])
        self.counted[kind] += 1
        self.recorder.step("mishap", kind)
        if kind == "crash" and living:
            self.random.choice(living).dead = True
            self.time.call(self.random.choice([0.1, 5.0, 60.0]), self.hire)
        elif kind == "leave" and living:
            self.random.choice(living).leaving = True
            self.time.call(self.random.choice([0.1, 5.0, 60.0]), self.hire)
        elif kind == "stop" and living:
            self.random.choice(living).stopped_until = self.time.now + self.random.choice([5.0, 40.0, 100.0])
        elif kind == "outage":
            self.network.down_until = self.time.now + self.random.choice([1.0, 10.0, 50.0])
        elif kind == "clock":
            self.recorder.allowed = (math.inf, 0.0)  # a page may be early by a watch that is not by the store's clock
            self.skew += timedelta(seconds=self.random.choice([-3.0, -0.5, 0.5, 3.0, 40.0]))
        self.time.call(self.random.expovariate(1 / self.plan.mishap_every), self.mishap)
