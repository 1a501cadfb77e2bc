"""Neighbours: processes with the same names, ids and tokens in one store, each of which lives as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pytest

from celery_process.exceptions import RunPurged, SettingsChanged
from celery_process.protocol.model import ErrorEntry, Retention, RunSpec, RunStatus, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, SlotEnd, StopReason, WorkList, WorkState
from celery_process.schedule.slots import Interval
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

from .driver import HOUR, SECOND

SHORT, LONG = timedelta(microseconds=1), 1_000 * HOUR
"""Leases that are over at the next step, and never."""


@dataclass
class Life:
    """One process from its first registration to its last purge; what is done, and how each step is answered."""

    store: Store
    process: str
    begun: datetime
    run: str = ""
    versions: dict[str, int] = field(default_factory=dict)

    def start(self, uuid: str, hour: int, again: Again = Again.NEVER, **spec: Any) -> Any:
        slot = self.begun + hour * HOUR
        claim = self.store.claim_run(
            self.process, uuid=uuid, slot=SlotRef(slot, slot), spec=RunSpec(**spec), again=again, by=""
        )
        self.run = claim.run.id if claim.run is not None else self.run
        return claim.answer, self.seen(claim.run)

    def redrive(self, uuid: str) -> Any:
        claim = self.store.redrive(self.process, self.run, uuid=uuid, spec=RunSpec(), by="")
        self.run = claim.run.id if claim.run is not None else self.run
        return claim.answer, self.seen(claim.run)

    def redrive_purged(self, run: str) -> Any:
        with pytest.raises(RunPurged):
            self.store.redrive(self.process, run, uuid="never", spec=RunSpec(), by="")

    def refused_settings(self) -> Any:
        with pytest.raises(SettingsChanged) as changed:
            self.store.update_settings(self.process, settings="{}", schedule=None, expected_version=7)
        return changed.value.found

    def page(self, token: str, size: int = 2) -> Any:
        page = self.store.open_page(self.process, self.run, token=token, size=size, window=4)
        return page.answer, page.on, page.names, self.seen(page.run)

    def claim(self, token: str, *names: str, lease: timedelta = LONG) -> Any:
        claims = self.store.claim(self.process, self.run, names, token=token, lease=lease, max_attempts=3)
        self.versions.update((claim.name, claim.params_version) for claim in claims)
        return [(claim.name, claim.answer, claim.on, claim.attempt, claim.params, claim.settings) for claim in claims]

    def report(self, token: str, name: str, sequence: int = 1, *, errors: int = 0, outcome: WorkState | None = None) -> Any:
        texts = tuple(ErrorEntry("e", self.begun, name) for _ in range(errors))
        report = ItemReport(name, sequence, Totals({"x": 2}, {"y": 1}, texts, errors), self.versions[name], 1, outcome)
        reported = self.store.report(self.process, self.run, [report], token=token, lease=LONG)
        return [item.progress for item in reported.items], reported.stopping, reported.page_closed, self.seen(reported.run)

    def finish(self, token: str, name: str, outcome: WorkState = WorkState.COMPLETED) -> Any:
        return self.claim(token, name), self.report(token, name, outcome=outcome)

    def release(self, token: str, name: str) -> Any:
        released = self.store.release(self.process, self.run, [name], token=token)
        return released.page_closed, self.seen(released.run)

    def stop(self, reason: StopReason) -> Any:
        return self.seen(self.store.stop_run(self.process, self.run, reason))

    def sweep(self, *, attempts: int = 3) -> Any:
        swept = self.store.sweep_run(
            self.process, self.run, lease=LONG, redispatch_after=LONG, grace=timedelta(0), max_attempts=attempts, limit=99
        )
        return swept.publish, swept.repairs, swept.stopping, self.seen(swept.run)

    def look(self) -> Any:
        targets = self.store.begin_sweep([self.process], interval=timedelta(0), grace=timedelta(0))
        return [(target.open_run == self.run, len(target.unnotified), target.purge_due) for target in targets]

    def purge(self) -> Any:
        kept = Retention(dropped_for=timedelta(0), dropped=0, runs_with_items=0, runs=2, slots=1)
        return self.store.purge(self.process, retention=kept, limit=1_000)

    def seen(self, run: RunStatus | None) -> Any:
        """Return what of a run does not depend on when it was."""
        if run is None:
            return None
        counted = run.counts, run.stats, run.total_errors
        return run.id.partition("-")[2], run.slot, run.generation, run.settings_version, run.state, run.reason, *counted

    def state(self) -> Any:
        """Return what all reads return of the process."""
        store, process = self.store, self.process
        return (
            store.process(process),
            store.runs(process, before=None, limit=99),
            store.slots(process, before=None, limit=99),
            [store.works(process, on=on, after="", limit=99) for on in WorkList],
        )

    @cached_property
    def steps(self) -> tuple[Callable[[], Any], ...]:
        """The steps of the life."""
        return (*self.first_run(), *self.told(), *self.other_runs())

    def step(self, place: int) -> Any:
        """Do a step, and return how it was answered."""
        return self.steps[place]()

    def first_run(self) -> Iterator[Callable[[], Any]]:
        """Return the steps to the end of a run over both lists."""
        store, process = self.store, self.process
        yield lambda: store.register(process, {"a": '{"n":1}', "b": "{}", "c": "{}"})
        yield lambda: store.unregister(process, ["x", "y"])
        yield lambda: store.update_settings(process, settings='{"keep":1}', schedule=None, expected_version=0)
        yield lambda: store.update_settings(process, settings='{"keep":1}', schedule=None)
        yield self.refused_settings
        yield lambda: self.start("one", 1, percent=50)
        yield lambda: self.start("one", 1)
        yield lambda: self.start("two", 2)
        yield lambda: self.page("p1")
        yield lambda: self.page("p1")
        yield lambda: store.mark_published(process, self.run, ["a"])
        yield lambda: self.claim("k1", "a", "b")
        yield lambda: self.report("k1", "a", errors=1)
        yield lambda: self.report("k1", "a", 2, errors=1, outcome=WorkState.COMPLETED)
        yield lambda: self.release("k1", "b")
        yield lambda: self.claim("k2", "b", lease=SHORT)
        yield self.sweep
        yield lambda: self.page("p2")
        yield lambda: self.finish("k3", "b")
        yield lambda: self.finish("k3", "c")
        yield lambda: self.page("p3")
        yield lambda: self.finish("k4", "x")
        yield lambda: self.page("p4")
        yield lambda: self.finish("k4", "y", WorkState.INCOMPLETE)

    def told(self) -> Iterator[Callable[[], Any]]:
        """Return how the end of a run is emitted."""
        store, process = self.store, self.process
        yield self.look
        yield lambda: store.ack_finish(process, self.run)
        yield lambda: store.ack_finish(process, self.run)
        yield self.look
        yield lambda: store.process(process).aggregate_stats

    def other_runs(self) -> Iterator[Callable[[], Any]]:
        """Return the steps of the runs after it, which are paused, stopped and redriven, up to a purge."""
        store, process = self.store, self.process
        yield lambda: self.start("three", 1, Again.IF_CHANGED)
        yield lambda: store.update_settings(process, settings='{"keep":2}', schedule="60", expected_version=1)
        yield lambda: self.start("three", 1, Again.IF_CHANGED, run_limit=0)
        yield lambda: store.pause(process, note="n", by="me")
        yield lambda: self.page("p1")
        yield lambda: store.resume(process)
        yield lambda: self.page("p1")
        yield lambda: self.claim("k1", "a", lease=SHORT)
        yield lambda: self.sweep(attempts=1)
        yield lambda: self.stop(StopReason.CANCELLED)
        yield lambda: self.redrive("four")
        yield lambda: self.page("p1")
        yield lambda: self.claim("k1", "a", "b")
        yield lambda: self.report("k1", "b", errors=1, outcome=WorkState.INCOMPLETE)
        yield lambda: self.stop(StopReason.SUPERSEDED)
        yield lambda: store.register(process, {"c": '{"n":2}'})
        yield lambda: self.start("five", 1, Again.IF_CHANGED, percent=40)
        yield lambda: self.page("p1")
        yield lambda: self.claim("k1", "a")
        yield lambda: self.report("k1", "a", errors=2, outcome=WorkState.ABORTED)
        yield lambda: self.stop(StopReason.CANCELLED)
        yield lambda: store.skip_slot(process, slot=SlotRef(self.begun, self.begun), end=SlotEnd.DECLINED, by="me")
        yield self.purge
        yield lambda: self.redrive_purged(self.run)
        yield lambda: self.start("six", 3)


class TestNeighbours:
    """Two processes with the same names, slots, ids and tokens, the second some steps behind the first."""

    @pytest.mark.parametrize("behind", [0, 6, 40])
    def test_as_if_alone(self, store: Store, process: str, clock: MovableClock, behind: int) -> None:
        """Each step is answered as to a process that is alone in the world, and leaves the other one as it is."""
        begun = Interval(HOUR).latest(clock()) - 10 * HOUR
        first, second = Life(store, f"{process}-1", begun), Life(store, f"{process}-2", begun)
        alone = self.lived_alone(process, clock())
        for number in range(len(alone) + behind):
            clock.advance(SECOND)
            for one, other, place in ((first, second, number), (second, first, number - behind)):
                if 0 <= place < len(alone):
                    before = other.state()
                    assert one.step(place) == alone[place], f"step {place} of {one.process}"
                    assert other.state() == before, f"step {place} of {one.process}"

    def lived_alone(self, process: str, now: datetime) -> list[Any]:
        """Return the answers of the memory store to a process that has it for itself."""
        clock = MovableClock(now)
        life = Life(MemoryStore(clock=clock), process, Interval(HOUR).latest(now) - 10 * HOUR)
        answers = []
        for place in range(len(life.steps)):
            clock.advance(SECOND)
            answers.append(life.step(place))
        return answers
