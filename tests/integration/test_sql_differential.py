"""Random sequences of operations get the same answers from the memory store, the reference, and from SQLite."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from celery_process.exceptions import ProcessError
from celery_process.model import ErrorEntry, ItemReport, Retention, RunSpec, SlotRef, Totals
from celery_process.slots import Interval
from celery_process.states import Again, ItemState, SlotEnd, StopReason, WorkList, WorkState
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from celery_process.values import encode

SEEDS = range(24)
STEPS = 120

NAMES = ["a", "A", "b", "é", "z", "Z1", "\U0001f600", "ｚ"]
PROCESSES = ["p", "q"]
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Pair:
    """Two stores that are asked the same; every answer, or error, has to be the same."""

    def __init__(self, reference: MemoryStore, store: Store) -> None:
        self._stores = (reference, store)
        self.log: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            self.log.append(f"{operation}{args}{more}")
            expected, found = (self._ask(store, operation, args, more) for store in self._stores)
            assert found == expected, "\n".join([*self.log, f"memory: {expected}", f"sql:    {found}"])
            return expected

        return call

    @staticmethod
    def _ask(store: Any, operation: str, args: Any, more: Any) -> Any:
        try:
            return getattr(store, operation)(*args, **more)
        except ProcessError as error:
            return type(error), str(error), error.facts


class World:
    """What a sequence has seen so far, and the next random operation."""

    def __init__(self, seed: int, pair: Pair, clock: MovableClock) -> None:
        self.random, self.pair, self.clock = random.Random(seed), pair, clock
        self.runs: list[tuple[str, str]] = []
        self.tokens: list[str] = ["t0"]
        self.pages: list[str] = []
        self.uuids: list[str] = []
        self.sequence = 0

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def some(self, names: list[str], most: int = 4) -> list[str]:
        return self.random.sample(names, self.random.randint(0, min(most, len(names))))

    def run(self) -> tuple[str, str]:
        if self.runs and self.random.random() < 0.9:
            return self.runs[-1] if self.random.random() < 0.7 else self.random.choice(self.runs)
        return self.pick(*PROCESSES), self.pick("9-nothing", "01-u1", "x", "")

    def fresh(self, kind: list[str], prefix: str) -> str:
        if not kind or self.random.random() < 0.7:
            kind.append(f"{prefix}{len(kind)}")
        return kind[-1] if self.random.random() < 0.8 else self.random.choice(kind)

    def slot(self) -> SlotRef:
        slot = Interval(HOUR).latest(self.clock() + self.pick(0, 0, 0, -1, 1) * HOUR)
        return SlotRef(
            slot, slot + self.pick(0, 0, 5) * SECOND, slot - self.pick(1, 1, 3) * HOUR, self.pick("", "60", "60", "90")
        )

    def spec(self) -> RunSpec:
        return RunSpec(encode({"k": 1}), self.pick(None, 0, 2), self.pick(None, 1, 3), self.pick(None, None, 50, 100))

    def step(self) -> None:
        names = ["register", "unregister", "update_settings", "pause", "resume", "claim_run", "redrive", "skip_slot"]
        names += ["stop_run", "ack_finish", "begin_sweep", "purge", "sweep_run", "release", "mark_published", "advance"]
        weights = [3, 2, 1, 0.3, 2, 4, 0.7, 0.5, 0.7, 0.5, 1, 0.5, 2, 1, 1, 3]
        operation = self.random.choices([*names, "open_page", "claim", "report"], [*weights, 5, 8, 9])[0]
        getattr(self, f"do_{operation}")()

    def do_advance(self) -> None:
        self.clock.advance(
            self.pick(0, 1, 1, 5, 20, 40, 3600, 7200) * SECOND + timedelta(microseconds=self.random.randint(0, 9))
        )

    def do_register(self) -> None:
        params = {name: encode({"n": self.pick(1, 2)}) for name in self.some(NAMES, 8)}
        self.pair.register(self.pick(*PROCESSES), params)

    def do_unregister(self) -> None:
        self.pair.unregister(self.pick(*PROCESSES), self.some([*NAMES, "unheard"], 3))

    def do_update_settings(self) -> None:
        self.pair.update_settings(
            self.pick(*PROCESSES),
            settings=self.pick(None, encode({"s": 1}), encode({"k": 2})),
            schedule=self.pick(None, "60", "90"),
            by=self.pick("", "ann"),
            expected_version=self.pick(None, None, 0, 1, 2),
        )

    def do_pause(self) -> None:
        self.pair.pause(self.pick(*PROCESSES), note=self.pick("a", "b"), by="ann")

    def do_resume(self) -> None:
        self.pair.resume(self.pick(*PROCESSES))

    def claimed(self, process: str, answer: Any) -> None:
        if getattr(answer, "run", None) is not None and (process, answer.run.id) not in self.runs:
            self.runs.append((process, answer.run.id))

    def do_claim_run(self) -> None:
        process, uuid, again = self.pick(*PROCESSES), self.fresh(self.uuids, "u"), self.pick(*Again)
        answer = self.pair.claim_run(process, uuid=uuid, slot=self.slot(), spec=self.spec(), again=again, by="b")
        self.claimed(process, answer)

    def do_redrive(self) -> None:
        process, run = self.run()
        answer = self.pair.redrive(process, run, uuid=self.fresh(self.uuids, "u"), spec=self.spec(), by="b")
        self.claimed(process, answer)

    def do_skip_slot(self) -> None:
        self.pair.skip_slot(self.pick(*PROCESSES), slot=self.slot(), end=self.pick(*SlotEnd), by="b")

    def do_stop_run(self) -> None:
        self.pair.stop_run(*self.run(), self.pick(*StopReason))

    def do_ack_finish(self) -> None:
        self.pair.ack_finish(*self.run())

    def do_begin_sweep(self) -> None:
        self.pair.begin_sweep(
            self.pick(["p", "q"], ["q"], ["none", "p", "p"]), interval=5 * SECOND, grace=self.pick(0, 30) * SECOND
        )

    def do_purge(self) -> None:
        keep = self.pick(Retention(), Retention(runs_with_items=1, runs=3, slots=4, dropped=1), Retention(dropped_for=HOUR))
        self.pair.purge(self.pick(*PROCESSES), retention=keep, limit=10_000)

    def do_open_page(self) -> None:
        self.pair.open_page(
            *self.run(), token=self.fresh(self.pages, "g"), size=self.pick(1, 2, 500), window=self.pick(1, 4, 1000)
        )

    def do_mark_published(self) -> None:
        self.pair.mark_published(*self.run(), self.some(NAMES, 8))

    def do_claim(self) -> None:
        self.pair.claim(
            *self.run(),
            self.some(NAMES) or ["a", "a"],
            token=self.fresh(self.tokens, "t"),
            lease=30 * SECOND,
            max_attempts=self.pick(1, 2, 3),
        )

    def do_release(self) -> None:
        self.pair.release(*self.run(), self.some(NAMES), token=self.random.choice(self.tokens[-3:]))

    def do_sweep_run(self) -> None:
        limits = {"redispatch_after": 60 * SECOND, "grace": self.pick(0, 10) * SECOND}
        self.pair.sweep_run(*self.run(), **limits, max_attempts=self.pick(1, 2, 3), limit=self.pick(1, 100))

    def do_report(self) -> None:
        reports = [self.report(name) for name in self.some(NAMES) or ["a", "a"]]
        self.pair.report(*self.run(), reports, token=self.random.choice(self.tokens[-3:]), lease=30 * SECOND)

    def report(self, name: str) -> ItemReport:
        self.sequence += self.pick(0, 1, 1, 1)
        errors = tuple(ErrorEntry(f"error {number}", self.clock(), name) for number in range(self.pick(0, 0, 0, 1, 2)))
        of_run = tuple(ErrorEntry("of the run", self.clock()) for _ in range(self.pick(0, 0, 0, 0, 1)))
        totals = Totals({"x": self.pick(1, 0.5)}, {"y": 2**70}, errors, len(errors), of_run, len(of_run))
        outcome = self.pick(None, None, WorkState.COMPLETED, WorkState.COMPLETED, WorkState.INCOMPLETE, WorkState.ABORTED)
        version = self.pick(0, 1)
        return ItemReport(name, self.sequence, totals, version, self.pick(0, 1), outcome)

    def look(self) -> None:
        """Read all that there is to read."""
        for process in (*PROCESSES, "unheard"):
            self.pair.process(process)
            self.pair.overrides(process)
            self.pair.runs(process, before=None, limit=100)
            self.pair.runs(process, before=3, limit=2)
            self.pair.slots(process, before=None, limit=100)
            self.pair.slots(process, before=self.clock(), limit=2)
            self.pair.work_counts(process)
            for on in WorkList:
                self.pair.works(process, on=on, after="", limit=100)
            self.pair.works(process, on=WorkList.ACTIVE, after="a", limit=2)
            self.pair.work(process, self.pick(*NAMES))
        self.pair.run(*self.run())
        self.pair.now()


@pytest.mark.parametrize("seed", SEEDS)
def test_same_answers(seed: int, tmp_path: Any) -> None:
    """Whatever is done in whatever order, SQLite answers as memory does."""
    clock = MovableClock()
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", clock=clock, synchronous="NORMAL")
    world = World(seed, Pair(MemoryStore(clock=clock), store), clock)
    for _ in range(STEPS):
        world.step()
        if world.random.random() < 0.15:
            world.look()
    world.look()
    store.close()


def test_sequences_reach_every_state() -> None:
    """The sequences are no idle ones: over the seeds, items reach all their states and runs all but none."""
    reached: set[Any] = set()
    for seed in SEEDS:
        clock = MovableClock()
        memory = MemoryStore(clock=clock)
        world = World(seed, Pair(memory, MemoryStore(clock=clock)), clock)
        for _ in range(STEPS):
            world.step()
        for row in memory._processes.values():
            reached |= {run.state for run in row.runs.values()}
            reached |= {item.state for run in row.runs.values() for item in run.items.values()}
    assert set(ItemState) <= reached
    assert len(reached - set(ItemState)) >= 4
