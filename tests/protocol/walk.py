"""A random walk over all operations, with the invariants after each step and an account kept beside the store."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from celery_process.exceptions import RunPurged
from celery_process.protocol.model import Retention, RunStatus
from celery_process.protocol.reports import ItemReport
from celery_process.protocol.states import Again, ClaimAnswer, Progress, RunAnswer, StopReason, WorkState
from celery_process.testing.invariants import Invariants, ensure

from .driver import HOUR, LEASE, MINUTE, SECOND, Driver, Held, new_id

NAMES = "abcdefgh"
STEPS = 100


class Walk:
    """Steps drawn from a seed. What holders were answered is the account that the store's sums have to match (I5, I15)."""

    def __init__(self, drive: Driver, seed: int) -> None:
        self.drive = drive
        self.random = random.Random(seed)
        self.invariants = Invariants(drive.store, drive.process)
        self.held: list[Held] = []
        self.sent: list[tuple[Held, ItemReport]] = []
        self.ended: Counter[str] = Counter()
        self.stats: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.log: list[str] = []

    def steps(self) -> list[tuple[int, Callable[[], object]]]:
        """Return the kinds of steps with how often they come."""
        return [
            (6, self.register),
            (3, self.unregister),
            (2, self.settings),
            (1, self.pause),
            (4, lambda: self.drive.store.resume(self.drive.process)),
            (8, self.claim_run),
            (12, self.open_page),
            (25, self.claim),
            (12, self.report),
            (20, self.finish),
            (8, self.repeat),
            (4, self.release),
            (2, self.stop),
            (1, self.redrive),
            (6, self.sweep),
            (3, self.ack),
            (1, self.purge),
            (8, self.wait),
        ]

    def step(self) -> None:
        """Take one step, and check the invariants."""
        weights, acts = zip(*self.steps(), strict=True)
        act = self.random.choices(acts, weights)[0]
        self.log.append(getattr(act, "__name__", "resume"))
        act()
        self.invariants.check()

    def names(self) -> list[str]:
        """Return some names, in some order."""
        return self.random.sample(NAMES, self.random.randint(1, 4))

    def open_run(self) -> str | None:
        """Return the open run."""
        run = self.drive.store.process(self.drive.process).run
        return run.id if run and run.state.is_open else None

    def closed(self, run: RunStatus | None) -> None:
        """Note that a call returned a closed run: at most one call does (I4)."""
        if run is not None:
            self.told[run.id] += 1
            ensure("I4", self.told[run.id] == 1, f"two calls closed run {run.id}")
            ensure("I3", not run.state.is_open, f"a call was given run {run.id} as closed: {run.state}")

    def register(self) -> None:
        self.drive.register(*self.names(), params=f'{{"x":{self.random.randint(1, 3)}}}')

    def unregister(self) -> None:
        self.drive.unregister(*self.names())

    def settings(self) -> None:
        settings = f'{{"x":{self.random.randint(1, 3)}}}'
        self.drive.store.update_settings(self.drive.process, settings=settings, schedule=None)

    def pause(self) -> None:
        self.drive.pause()

    def claim_run(self) -> None:
        uuid = new_id()
        again = self.random.choice(list(Again))
        claim = self.drive.claim_run(uuid=uuid, again=again)
        if claim.answer is RunAnswer.CLAIMED:
            ensure("I1", self.drive.claim_run(uuid=uuid, again=again).run == claim.run, "a repeat got another run")

    def open_page(self) -> None:
        if run := self.open_run():
            self.closed(self.drive.page(run, size=self.random.randint(1, 4), window=self.random.choice([4, 1_000])).run)

    def claim(self) -> None:
        if run := self.open_run():
            token = new_id()
            for claim in self.drive.claim(run, *self.names(), token=token):
                if claim.answer is ClaimAnswer.CLAIMED:
                    self.held.append(Held(self.drive, run, token, claim))

    def send(self, held: Held, report: ItemReport) -> None:
        """Send a report for the first time, and keep the account."""
        reported = held.send(report)
        self.sent.append((held, report))
        self.closed(reported.run)
        if report.outcome is not None and reported.items[0].progress is Progress.COMPLETED:
            self.ended[held.run] += 1
            self.stats[held.run] += int(report.totals.stats.get("x", 0))

    def report(self) -> None:
        if self.held:
            held = self.random.choice(self.held)
            self.send(held, held.next(errors=self.random.choice([0, 0, 0, 1, 4]), stats={"x": 1}))

    def finish(self) -> None:
        if self.held:
            held = self.held.pop(self.random.randrange(len(self.held)))
            outcome = self.random.choice([WorkState.COMPLETED, WorkState.COMPLETED, WorkState.INCOMPLETE, WorkState.ABORTED])
            self.send(held, held.next(outcome, stats={"x": 1}))

    def repeat(self) -> None:
        if self.sent:
            held, report = self.random.choice(self.sent)
            self.closed(held.send(report).run)

    def release(self) -> None:
        fresh = [held for held in self.held if not held.sequence]
        if fresh:
            held = self.random.choice(fresh)
            self.held.remove(held)
            self.closed(self.drive.release(held.run, held.claim.name, token=held.token).run)

    def stop(self) -> None:
        if run := self.open_run():
            self.closed(self.drive.stop(run, self.random.choice(list(StopReason))))

    def redrive(self) -> None:
        runs = [run for run in self.drive.store.runs(self.drive.process, before=None, limit=2) if not run.state.is_open]
        if runs:
            with suppress(RunPurged):  # what it redrives itself may be gone
                self.drive.redrive(runs[0].id)

    def sweep(self) -> None:
        if run := self.open_run():
            swept = self.drive.sweep(run)
            self.closed(swept.run)
            for _, names in swept.publish:
                self.drive.store.mark_published(self.drive.process, run, names)

    def ack(self) -> None:
        for run in self.drive.store.runs(self.drive.process, before=None, limit=3):
            self.drive.store.ack_finish(self.drive.process, run.id)

    def purge(self) -> None:
        self.drive.purge(Retention(runs=40, runs_with_items=2, slots=30))

    def wait(self) -> None:
        self.drive.clock.advance(self.random.choice([timedelta(0), SECOND, LEASE, MINUTE, HOUR, 3 * HOUR]))

    def settle(self) -> None:
        """Let all holders die, and end the open run by sweeps and pages alone (I14)."""
        self.drive.store.resume(self.drive.process)
        for _ in range(100):
            run = self.open_run()
            if run is None:
                return
            self.drive.clock.advance(MINUTE)
            self.closed(self.drive.sweep(run).run)
            self.closed(self.drive.page(run).run)
            self.drive.claim(run, *NAMES)
            self.invariants.check()
        raise AssertionError(f"I14: run {self.open_run()} does not end")

    def compare(self) -> None:
        """Compare the stored runs with the answers that their holders got."""
        for run in self.drive.store.runs(self.drive.process, before=None, limit=99):
            done = run.counts.completed + run.counts.incomplete + run.counts.aborted
            ensure("I15", done == self.ended[run.id], f"run {run.id}: {done} items ended, {self.ended[run.id]} were told so")
            counted = run.stats.get("work.x", 0)
            ensure("I5", counted == self.stats[run.id], f"run {run.id} counts {counted}, its holders {self.stats[run.id]}")


class TestWalk:
    """All operations in any order."""

    @pytest.mark.parametrize("seed", range(6))
    def test_walk(self, drive: Driver, seed: int) -> None:
        """Whatever is called in whatever order, the invariants hold after each step and every run comes to its end."""
        walk = Walk(drive, seed)
        try:
            for _ in range(STEPS):
                walk.step()
            walk.settle()
            walk.compare()
        except AssertionError as error:
            error.add_note(f"seed {seed}, steps: {' '.join(walk.log)}")
            raise
