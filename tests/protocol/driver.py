"""The steps of the tests, a line each: a run, a page, a claim. Names follow the operations of the contract."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

from celery_process.protocol.model import (
    ErrorEntry,
    ItemClaim,
    Page,
    Retention,
    RunClaim,
    RunSpec,
    RunStatus,
    SlotRef,
    Stats,
    SweepTarget,
    Swept,
    WorkInfo,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported, Totals
from celery_process.protocol.rules import epoch_of
from celery_process.protocol.states import Again, ClaimAnswer, RunAnswer, StopReason, WorkState
from celery_process.schedule.slots import Interval
from celery_process.stores.base import Store
from celery_process.testing.clock import MovableClock

T = TypeVar("T")

CALLERS = 8
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LEASE = 30 * SECOND


def at_once(act: Callable[[int], T], callers: int = CALLERS) -> list[T]:
    """Return what `act(0)`, `act(1)`, … answer when threads call them at the same moment; an error of one is raised."""
    start = threading.Barrier(callers)

    def call(number: int) -> T:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def new_id() -> str:
    """Return an id as the library makes them: of a run, a page or a claim."""
    return str(uuid4())


@dataclass
class Held:
    """A claim on one item, with the totals that its attempt counted so far."""

    drive: Driver
    run: str
    token: str
    claim: ItemClaim
    sequence: int = 0
    errors: int = 0
    run_errors: int = 0
    stats: dict[str, int | float] = field(default_factory=dict)
    run_stats: dict[str, int | float] = field(default_factory=dict)

    def next(
        self, outcome: WorkState | None = None, *, errors: int = 0, run_errors: int = 0, stats: Stats | None = None
    ) -> ItemReport:
        """Add errors and stats to the totals, and return the report of them."""
        self.sequence += 1
        self.errors += errors
        self.run_errors += run_errors
        for name, count in (stats or {}).items():
            self.stats[name] = self.stats.get(name, 0) + count
        at, name = self.drive.store.now(), self.claim.name
        return ItemReport(
            name=name,
            sequence=self.sequence,
            totals=Totals(
                stats=dict(self.stats),
                run_stats=dict(self.run_stats),
                errors=tuple(ErrorEntry(f"error {index}", at, name) for index in range(min(self.errors, 10))),
                error_count=self.errors,
                run_errors=tuple(ErrorEntry(f"run error {index}", at) for index in range(min(self.run_errors, 25))),
                run_error_count=self.run_errors,
            ),
            params_version=self.claim.params_version,
            settings_version=self.claim.settings_version,
            outcome=outcome,
            attempt=self.claim.attempt,
        )

    def send(self, report: ItemReport, *, token: str | None = None) -> Reported:
        """Report, once more if need be."""
        drive = self.drive
        return drive.store.report(drive.process, self.run, [report], token=token or self.token, lease=LEASE)

    def report(self, *, errors: int = 0, run_errors: int = 0, stats: Stats | None = None) -> Reported:
        """Report what was counted, without an outcome."""
        return self.send(self.next(errors=errors, run_errors=run_errors, stats=stats))

    def answer(self, *, errors: int = 0, run_errors: int = 0, stats: Stats | None = None) -> ItemAnswer:
        """Report what was counted, and return the answer for the item."""
        return self.report(errors=errors, run_errors=run_errors, stats=stats).items[0]

    def finish(
        self,
        outcome: WorkState = WorkState.COMPLETED,
        *,
        errors: int = 0,
        run_errors: int = 0,
        stats: Stats | None = None,
    ) -> Reported:
        """Report the end of the item."""
        return self.send(self.next(outcome, errors=errors, run_errors=run_errors, stats=stats))


@dataclass
class Driver:
    """One process of one store, with the clock that moves it."""

    store: Store
    process: str
    clock: MovableClock

    def slot(self, at: datetime | None = None, *, schedule: str = "3600") -> SlotRef:
        """Return the hour of an instant, now by default, as a slot without jitter."""
        slot = Interval(HOUR).latest(at or self.clock())
        return SlotRef(slot, slot, previous=slot - HOUR, schedule=schedule)

    def register(self, *names: str, params: str = "{}") -> tuple[str, ...]:
        """Register names with one text of params."""
        return self.store.register(self.process, dict.fromkeys(names, params))

    def unregister(self, *names: str) -> tuple[str, ...]:
        """Put names on the cleanup list."""
        return self.store.unregister(self.process, names)

    def claim_run(
        self,
        *,
        uuid: str | None = None,
        slot: SlotRef | None = None,
        spec: RunSpec | None = None,
        again: Again = Again.NEVER,
        by: str = "suite",
    ) -> RunClaim:
        """Claim the present hour, or another slot."""
        return self.store.claim_run(
            self.process, uuid=uuid or new_id(), slot=slot or self.slot(), spec=spec or RunSpec(), again=again, by=by
        )

    def start(self, *names: str, cleanup: tuple[str, ...] = (), spec: RunSpec | None = None) -> str:
        """Register names, go on to the next hour, claim it, and return the id of the run."""
        if names:
            self.register(*names)
        if cleanup:
            self.unregister(*cleanup)
        self.clock.advance(HOUR)
        claim = self.claim_run(spec=spec)
        assert claim.answer is RunAnswer.CLAIMED, claim
        assert claim.run is not None
        return claim.run.id

    def double(self, run: str) -> str:
        """Return the id of a run of the same epoch: one that this store forgot, as it lost its last writes."""
        return f"{epoch_of(run)}-{new_id()}"

    def begin(self, *names: str, cleanup: tuple[str, ...] = (), spec: RunSpec | None = None) -> str:
        """Start a run and open its first page; return the id of the run."""
        run = self.start(*names, cleanup=cleanup, spec=spec)
        self.page(run)
        return run

    def page(
        self, run: str, *, token: str | None = None, size: int = 500, window: int = 1_000, rate: float | None = None
    ) -> Page:
        """Open a page, with room by default and at no rate."""
        return self.store.open_page(self.process, run, token=token or new_id(), size=size, window=window, rate=rate)

    def limit(self, window: int | None = None, rate: str | None = None, *, reset: bool = True) -> None:
        """Store limits of the process, in place of others."""
        self.store.update_limits(self.process, max_in_flight=window, rate_limit=rate, reset=reset, by="suite")

    def claim(self, run: str, *names: str, token: str | None = None, max_attempts: int = 3) -> tuple[ItemClaim, ...]:
        """Claim items under one token."""
        return self.store.claim(self.process, run, names, token=token or new_id(), lease=LEASE, max_attempts=max_attempts)

    def claim_one(self, run: str, name: str, *, token: str | None = None, max_attempts: int = 3) -> ItemClaim:
        """Claim one item."""
        return self.claim(run, name, token=token, max_attempts=max_attempts)[0]

    def take(self, run: str, name: str, *, token: str | None = None) -> Held:
        """Claim an item that is free, and hold it."""
        token = token or new_id()
        claim = self.claim_one(run, name, token=token)
        assert claim.answer is ClaimAnswer.CLAIMED, claim
        return Held(self, run, token, claim)

    def work_off(self, run: str, outcome: WorkState = WorkState.COMPLETED) -> RunStatus:
        """Open pages and finish their items until the run is closed; return it."""
        while names := self.page(run).names:
            for name in names:
                self.take(run, name).finish(outcome)
        return self.status(run)

    def run_through(self, *names: str, cleanup: tuple[str, ...] = (), spec: RunSpec | None = None) -> RunStatus:
        """Start a run and complete all of its items; return the closed run."""
        return self.work_off(self.start(*names, cleanup=cleanup, spec=spec))

    def release(self, run: str, *names: str, token: str) -> Reported:
        """Release claimed items."""
        return self.store.release(self.process, run, names, token=token)

    def stop(self, run: str, reason: StopReason = StopReason.CANCELLED) -> RunStatus | None:
        """Stop a run."""
        return self.store.stop_run(self.process, run, reason)

    def redrive(self, run: str, *, uuid: str | None = None, spec: RunSpec | None = None) -> RunClaim:
        """Redrive a run."""
        return self.store.redrive(self.process, run, uuid=uuid or new_id(), spec=spec or RunSpec(), by="suite")

    def pause(self, note: str = "by hand") -> None:
        """Pause the process."""
        self.store.pause(self.process, note=note, by="suite")

    def sweep(
        self, run: str, *, lease: timedelta = LEASE, max_attempts: int = 3, limit: int = 1_000, told: bool = True
    ) -> Swept:
        """Repair a run: unpublished items after 10 s, unclaimed ones after a minute. `told`: acknowledge the repairs."""
        swept = self.store.sweep_run(
            self.process,
            run,
            lease=lease,
            redispatch_after=MINUTE,
            grace=10 * SECOND,
            max_attempts=max_attempts,
            limit=limit,
        )
        if told:
            self.store.ack_repairs(self.process, run, swept.repairs.number)
        return swept

    def repairs(self, run: str) -> Repairs:
        """Return what sweeps did to a run and no caller acknowledged."""
        return self.store.repairs(self.process, run)

    def targets(self, *processes: str) -> tuple[SweepTarget, ...]:
        """Begin a sweep of this process, or of others: one in 10 s, ends not emitted for 30 s."""
        return self.store.begin_sweep(processes or (self.process,), interval=10 * SECOND, grace=30 * SECOND)

    def purge(self, retention: Retention, *, limit: int = 100) -> int:
        """Purge until there is nothing more to purge; return the number of deleted rows."""
        total = 0
        while (deleted := self.store.purge(self.process, retention=retention, limit=limit)) >= limit:
            total += deleted
        return total + deleted

    def status(self, run: str) -> RunStatus:
        """Return a run."""
        return self.store.run(self.process, run)

    def work(self, name: str) -> WorkInfo:
        """Return an item."""
        return self.store.work(self.process, name)
