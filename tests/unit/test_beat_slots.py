"""Which slots beat owes: judged by those that it brought itself, whoever else ran some."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from celery_process import Process, Processes
from celery_process.monitor.health import examine
from celery_process.protocol.states import By
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def clock() -> MovableClock:
    """Give the clock of store and host, at a slot's begin."""
    return MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))


@pytest.fixture
def process(clock: MovableClock) -> Process:
    """Give a process with a slot an hour, in an eager app."""
    app = Celery("owed", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore(clock=clock))
    made: Process = processes.process("p", schedule=HOUR)(lambda work: None)
    made.apps = processes  # type: ignore[attr-defined]
    return made


def judged(process: Process, clock: MovableClock) -> tuple[bool, str]:
    """Return whether beat is well, and what is said of it."""
    processes: Processes = process.apps  # type: ignore[attr-defined]
    findings = {finding.check: finding for finding in examine(processes, clock=clock)}
    return findings["beat:p"].ok, findings["beat:p"].text


def test_nothing_to_do(process: Process, clock: MovableClock) -> None:
    """A process without items owes no slot, however long it is defined."""
    clock.advance(100 * HOUR)
    assert judged(process, clock) == (True, "No slot of p has come yet.")


def test_never_fired(process: Process, clock: MovableClock) -> None:
    """A beat that never fired is a fault one period after the first item was registered."""
    process.register_work("a")
    clock.advance(HOUR + MINUTE)
    assert judged(process, clock)[0]
    clock.advance(10 * MINUTE)
    ok, said = judged(process, clock)
    assert (ok, "since 2026-03-02 12:00:00Z;" in said) == (False, True)


def test_runs_by_hand_hide_nothing(process: Process, clock: MovableClock) -> None:
    """Runs that a person starts, hours after beat died, do not make it well."""
    process.register_work("a")
    process.dispatch.trigger(by=By.BEAT)
    for _ in range(3):
        clock.advance(HOUR + 10 * MINUTE)
        process.run_now(by="ann")
    assert not judged(process, clock)[0]


def test_a_run_by_hand_in_time(process: Process, clock: MovableClock) -> None:
    """A slot that a person took as it began is none that beat owes; the next one is."""
    process.register_work("a")
    process.dispatch.trigger(by=By.BEAT)
    clock.advance(HOUR)
    process.run_now(by="ann")
    clock.advance(50 * MINUTE)
    assert judged(process, clock)[0]
    clock.advance(20 * MINUTE)
    assert not judged(process, clock)[0]


def test_slots_from_the_sweep(process: Process, clock: MovableClock) -> None:
    """One slot that the sweep brought is forgiven, as a broker loses a trigger; two in a row say that no beat runs."""
    process.register_work("a")
    process.dispatch.trigger(by=By.BEAT)
    for expected in (True, False):
        clock.advance(HOUR + MINUTE)
        process.dispatch.trigger(by=By.SWEEP)
        clock.advance(10 * MINUTE)
        ok, said = judged(process, clock)
        assert ok is expected
    assert "from the sweep" in said
