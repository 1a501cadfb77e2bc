"""The world of one seed: beats, workers, callers and mishaps around the library's own code, until all is quiet again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery_process.config import Config
from celery_process.definition import define
from celery_process.dispatch import Dispatch
from celery_process.exceptions import ProcessError
from celery_process.frequency import frequency
from celery_process.model import RunStatus
from celery_process.runner import Runner
from celery_process.states import StopReason, WorkList
from celery_process.stores.base import Store
from celery_process.sweep import sweep
from celery_process.testing.invariants import ensure
from celery_process.testing.simulation.baton import Baton, Host, Killed
from celery_process.testing.simulation.broker import Broker
from celery_process.testing.simulation.checks import check_end
from celery_process.testing.simulation.faults import Faults, Network
from celery_process.testing.simulation.leases import VirtualHeartbeat
from celery_process.testing.simulation.plan import Plan
from celery_process.testing.simulation.witness import Witness

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
        self.baton, self.faults = Baton(), Faults(**plan.faults)
        self.skew = timedelta(0)
        self.calm = self.quiet = False
        self.counted: Counter[str] = Counter()
        self.store = make_store(self.clock)
        self.witness = Witness(self.store, PROCESS, self.baton, every)
        self.network = Network(self.store, self.baton, self.random, self.faults, committed=self.witness.committed)
        self.broker = Broker(self.baton, self.random, self.faults)
        self.runners: dict[Host, Runner] = {}
        definition = define(PROCESS, self.witness.recorded(handlers[0]), {**plan.options, **options})
        object.__setattr__(definition, "cleanup", self.witness.recorded(handlers[1]))
        schedule = frequency(definition.schedule, minimum=timedelta(seconds=1))
        self.period: timedelta = schedule.value
        self.witness.rate = definition.rate
        self.dispatch = Dispatch(
            definition=definition,
            store=self.network.store,
            config=Config(**plan.config),
            current=lambda: schedule if self.network.store.overrides(PROCESS) else None,
            send=self.send,
            come_back=self.come_back,
            emit=self.witness.emitted,
            ends_worker=lambda error: isinstance(error, Killed | KeyboardInterrupt),
        )

    def clock(self) -> datetime:
        """Return the store's time."""
        return START + timedelta(microseconds=round(self.baton.now * 1e6)) + self.skew

    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        """Publish items through the broker."""
        size = 1 if single else next(iter(self.runners.values())).batch_size
        self.broker.send_items(names, on=on, run_id=run_id, size=size, run=self.work)

    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        """Send the message that opens the next page of a run, a little early or late by the worker's clock."""
        self.counted["page later"] += 1
        wrong = self.random.choice([-0.7, -0.01, 0.0, 0.0, 0.3])
        again = partial(self.broker.send, "next page", lambda _: self.attempt(lambda: self.dispatch.advance(run_id, token)))
        self.baton.call(max(due_in.total_seconds() + wrong, 0.0), again)

    def work(self, run_id: str, names: tuple[str, ...], host: Host) -> None:
        """Run a message of items on a worker, as its task does."""
        self.witness.step("delivered", (run_id, names), host.name)
        self.attempt(lambda: self.runners[host].run(run_id, names))

    # -- the course of it

    def run(self, steps: int) -> tuple[RunStatus, ...]:
        """Let everything go wrong for so many steps, then nothing, and check what is left; return the runs."""
        try:
            self.begin()
            self.baton.run(lambda: self.witness.steps >= steps or self.baton.now > LONGEST)
            self.recover()
            calm_at = self.baton.now
            self.baton.run(lambda: self.quiet or self.baton.now > calm_at + BOUND)
            opened = [run.id for run in self.store.runs(PROCESS, before=None, limit=9) if run.state.is_open]
            ensure("I14", self.quiet, f"{opened or 'something'} does not end within {BOUND:.0f} s of peace")
            return check_end(self.witness, period=self.period)
        finally:
            self.baton.close()

    def begin(self) -> None:
        """Start the workers, the beats, the callers and the mishaps."""
        for _ in range(self.plan.workers):
            self.hire()
        self.store.register(PROCESS, dict.fromkeys(self.plan.names, "{}"))
        self.witness.committed("register", (PROCESS, dict.fromkeys(self.plan.names, "{}")), {}, ())
        for index in range(self.plan.beats):
            self.baton.call(self.random.random() * 5, partial(self.beat, index))
        self.baton.call(1.0, self.call)
        self.baton.call(self.random.random() * 40, self.mishap)
        self.tick()

    def hire(self) -> None:
        """Let a new worker begin."""
        host = Host(f"w{len(self.runners)}")
        self.runners[host] = Runner(self.dispatch, VirtualHeartbeat(), host=self.baton, stopping=lambda: host.leaving)
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
        told = all(self.witness.told[run.id] for run in runs)
        self.quiet = not busy and told and not any(run.state.is_open for run in runs)
        self.baton.call(5.0, self.look)

    # -- what comes by itself

    def beat(self, index: int) -> None:
        """Trigger the process, now and then twice or late, and again after about a period."""
        if self.calm:
            return
        self.counted["trigger"] += 1
        for _ in range(self.random.choice([1, 1, 1, 2])):
            self.broker.send(f"trigger by beat {index}", lambda _: self.trigger(comes_back=True))
        late = self.random.choice([0.0, 0.0, 0.0, 0.3, 2.5])
        self.baton.call(self.period.total_seconds() * (0.3 + self.random.random() + late), lambda: self.beat(index))

    def trigger(self, *, comes_back: bool) -> None:
        """Do what the scheduling task does."""

        def defer(after: timedelta) -> None:
            self.baton.call(
                after.total_seconds(), lambda: self.broker.send("trigger", lambda _: self.trigger(comes_back=False))
            )

        self.attempt(lambda: self.dispatch.trigger(by="beat", defer=defer if comes_back else None))

    def tick(self) -> None:
        """Publish the sweep, as each worker's timer does."""
        if self.plan.sweeps:
            self.broker.send("sweep", lambda _: self.attempt(lambda: sweep({PROCESS: self.dispatch})))
        every = self.dispatch.config.sweep_interval.total_seconds()
        self.baton.call(every * (0.5 + self.random.random()), self.tick)

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something that may be refused, as a task or a caller would."""
        try:
            act()
        except ProcessError as error:
            self.witness.step("refused", type(error).__name__)

    def call(self) -> None:
        """Let a caller do something."""
        if self.calm:
            return
        name, act = self.plan.verb(self)
        self.counted[name] += 1
        self.baton.spawn(name, lambda: self.attempt(act))
        self.baton.call(self.random.expovariate(1 / self.plan.calls_every), self.call)

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
        self.witness.step("mishap", kind)
        if kind == "crash" and living:
            self.random.choice(living).dead = True
            self.baton.call(self.random.choice([0.1, 5.0, 60.0]), self.hire)
        elif kind == "leave" and living:
            self.random.choice(living).leaving = True
            self.baton.call(self.random.choice([0.1, 5.0, 60.0]), self.hire)
        elif kind == "stop" and living:
            self.random.choice(living).stopped_until = self.baton.now + self.random.choice([5.0, 40.0, 100.0])
        elif kind == "outage":
            self.network.down_until = self.baton.now + self.random.choice([1.0, 10.0, 50.0])
        elif kind == "clock":
            self.witness.allowed = (math.inf, 0.0)  # a page may be early by a watch that is not by the store's clock
            self.skew += timedelta(seconds=self.random.choice([-3.0, -0.5, 0.5, 3.0, 40.0]))
        self.baton.call(self.random.expovariate(1 / self.plan.mishap_every), self.mishap)
