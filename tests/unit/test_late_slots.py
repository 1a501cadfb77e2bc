"""Slots that beat did not bring: the sweep does, and who ends a pause, each once and by the same rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes
from celery_process.engine import late
from celery_process.engine.late import GRACE
from celery_process.protocol.states import By, SlotEnd
from celery_process.schedule.slots import jitter_of
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.background import background
from celery_process.testing.clock import MovableClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Yard:
    """A process whose messages of the scheduling task are written down, and run when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.clock = MovableClock(NOON)
        self.store = MemoryStore(clock=self.clock)
        self.app = Celery("late", broker="memory://", set_as_current=False)
        self.brought: list[dict[str, Any]] = []
        self.processes = Processes(self.app, backend=self.store)
        self.process: Process = self.processes.process("p", **{"schedule": HOUR, **options})(lambda work: None)
        task = self.app.tasks["p.schedule"]
        task.apply_async = lambda *args, **options: self.brought.append(options)  # type: ignore[method-assign]

    def trigger(self, by: str = By.BEAT) -> SlotEnd:
        """Bring the present slot; return how it ended."""
        self.process.dispatch.trigger(by=by)
        return next(self.process.slots()).end

    def sweeps(self, every: timedelta, times: int) -> int:
        """Let time pass in steps, with a sweep after each; return how many triggers were published."""
        before = len(self.brought)
        for _ in range(times):
            self.clock.advance(every)
            self.processes.sweep()
        return len(self.brought) - before


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish in the caller: the thread that does it may still wait for a broker of another test, or for the processor."""
    monkeypatch.setattr(background, "do", lambda call, **_: bool(call()) or True)


@pytest.fixture
def yard() -> Yard:
    return Yard()


class TestTheSweep:
    def test_it_brings_a_slot_that_nobody_did(self, yard: Yard) -> None:
        """After its grace, where it is routed, by the sweep, and valid until the next slot at most."""
        yard.trigger()
        assert yard.sweeps(20 * SECOND, 180) == 0
        assert yard.sweeps(14 * SECOND, 1) == 0
        assert yard.sweeps(SECOND, 1) == 1
        (options,) = yard.brought
        assert options["headers"] == {"cp_late_slot": True}
        assert options["expires"] == (HOUR - GRACE).total_seconds()
        yard.trigger(By.SWEEP)
        assert next((entry.slot, entry.end, entry.by) for entry in yard.process.slots()) == (
            NOON + HOUR,
            SlotEnd.RAN,
            By.SWEEP,
        )
        assert yard.sweeps(20 * SECOND, 100) == 0

    def test_of_many_sweeps_one_does(self, yard: Yard) -> None:
        """Workers that sweep at the same time publish one trigger."""
        yard.trigger()
        yard.clock.advance(HOUR + MINUTE)
        for _ in range(5):
            yard.processes.sweep()
        assert len(yard.brought) == 1

    def test_not_without_end(self, yard: Yard) -> None:
        """Where nobody takes them, an hour has some thirty triggers, not three hundred and sixty."""
        yard.trigger()
        yard.clock.advance(HOUR)
        assert 15 < yard.sweeps(10 * SECOND, 359) < 60

    def test_a_repair_and_a_late_slot_in_one_sweep(self, yard: Yard) -> None:
        """An open run keeps neither from the other: the slot then ends as overlapped."""
        yard.process.register_work("a")
        yard.trigger()
        yard.clock.advance(HOUR + MINUTE)
        assert yard.processes.sweep() == ("p",)
        assert len(yard.brought) == 1
        assert yard.trigger(By.SWEEP) is SlotEnd.OVERLAPPED

    def test_a_repair_after_a_long_outage(self, yard: Yard) -> None:
        """Workers that were all away for most of a slot bring it with their first sweep, though it has a run to repair."""
        yard.process.register_work("a")
        yard.trigger()
        yard.clock.advance(HOUR + 50 * MINUTE)
        yard.processes.sweep()
        assert len(yard.brought) == 1
        assert yard.sweeps(10 * SECOND, 6) == 0

    @pytest.mark.parametrize("by", ["run_now", "ann", ""])
    def test_never_a_process_that_people_run(self, yard: Yard, by: str) -> None:
        """A ledger without any slot of a schedule has none brought, nor has an empty one."""
        assert yard.sweeps(HOUR, 3) == 0
        yard.process.run_now(by=by)
        assert yard.sweeps(MINUTE, 180) == 0

    def test_people_in_between(self, yard: Yard) -> None:
        """A run by hand since does not end the schedule."""
        yard.trigger()
        yard.clock.advance(HOUR)
        yard.process.run_now()
        yard.clock.advance(HOUR)
        assert yard.sweeps(30 * SECOND, 1) == 1

    def test_not_while_paused(self, yard: Yard) -> None:
        """A paused process has no slot brought, and a slot that was declined or overlapped is over."""
        yard.trigger()
        yard.process.pause()
        assert yard.sweeps(MINUTE, 90) == 0
        yard.store.resume("p")
        assert yard.sweeps(MINUTE, 1) == 1

    @pytest.mark.parametrize("end", [SlotEnd.DECLINED, SlotEnd.OVERLAPPED, SlotEnd.LATE])
    def test_not_what_has_ended(self, yard: Yard, end: SlotEnd) -> None:
        """A slot that somebody ended is not brought again."""
        yard.store.skip_slot("p", slot=yard.process.dispatch.slot_of(NOON, yard.process.current()), end=end, by="beat")
        assert yard.sweeps(MINUTE, 50) == 0

    def test_not_without_a_schedule(self) -> None:
        """A process with schedule=None has no slot that could be late; one with a stored schedule has."""
        yard = Yard(schedule=None)
        yard.trigger(By.TASK)
        assert yard.sweeps(HOUR, 3) == 0
        yard.process.update_settings(None, schedule=60)
        assert yard.sweeps(20 * SECOND, 1) == 1

    def test_not_before_its_jitter(self) -> None:
        """A slot with jitter is late by its grace after that."""
        yard = Yard(jitter=20 * MINUTE)
        yard.clock.advance(30 * MINUTE)
        yard.trigger()
        yard.clock.set(NOON + HOUR + jitter_of("p", NOON + HOUR, 20 * MINUTE) + GRACE - SECOND)
        yard.processes.sweep()
        assert yard.brought == []
        assert yard.sweeps(10 * SECOND, 1) == 1

    def test_not_before_the_initial_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that started a moment ago brings none yet."""
        yard = Yard(initial_wait=600)
        yard.trigger()
        yard.clock.advance(HOUR + MINUTE)
        yard.processes.sweep()
        assert yard.brought == []
        began = late.time.monotonic()
        monkeypatch.setattr(late.time, "monotonic", lambda: began + 601)
        assert yard.sweeps(10 * SECOND, 3) > 0

    def test_a_broker_that_is_away(self, yard: Yard) -> None:
        """A sweep that cannot publish goes on, and the next one tries again."""
        yard.trigger()
        task = yard.app.tasks["p.schedule"]
        kept = task.apply_async

        def away(*_: Any, **__: Any) -> None:
            raise OSError("nobody is there")

        task.apply_async = away
        yard.clock.advance(HOUR + MINUTE)
        assert yard.processes.sweep() == ("p",)
        task.apply_async = kept
        assert yard.sweeps(10 * SECOND, 3) > 0


class TestTheEndOfAPause:
    def test_it_brings_the_slot_of_the_pause(self, yard: Yard) -> None:
        """Beat came while it was paused: the slot runs when the pause ends, if it is the present one still."""
        yard.trigger()
        yard.clock.advance(59 * MINUTE)
        yard.process.pause()
        yard.clock.advance(MINUTE)
        assert yard.trigger() is SlotEnd.PAUSED
        yard.clock.advance(MINUTE)
        yard.process.resume()
        assert len(yard.brought) == 1
        assert yard.trigger(By.SWEEP) is SlotEnd.RAN

    def test_or_one_that_nobody_brought(self, yard: Yard) -> None:
        """A row that was disabled for the pause brought nothing, and its slot runs just so."""
        yard.trigger()
        yard.process.pause()
        yard.clock.advance(HOUR + SECOND)
        yard.process.resume()
        assert len(yard.brought) == 1

    def test_not_one_that_ran(self, yard: Yard) -> None:
        """A pause between two slots costs nothing and brings nothing."""
        yard.trigger()
        yard.process.pause()
        yard.clock.advance(MINUTE)
        yard.process.resume()
        assert yard.brought == []

    def test_not_where_people_alone_run_it(self, yard: Yard) -> None:
        """The end of a pause is no trigger for a process that no schedule ever brought."""
        yard.process.run_now()
        yard.process.pause()
        yard.clock.advance(2 * HOUR)
        yard.process.resume()
        assert yard.brought == []
