"""A trigger that waited in its queue until a later slot had begun: its own slot ends as late, not as missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import Service
from celery.signals import beat_init

from celery_process import Processes
from celery_process.protocol.states import SlotEnd
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> MovableClock:
    """Give the store's clock, at a slot's begin."""
    clock = MovableClock()
    clock.advance(MINUTE - timedelta(seconds=clock().timestamp() % 60))
    return clock


@pytest.fixture
def processes(clock: MovableClock) -> Processes:
    """Give an app with a process of a slot a minute, which has run its present slot."""
    app = Celery("late", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore(clock=clock))
    processes.process("p", schedule=MINUTE)(lambda work: None)
    processes["p"].dispatch.trigger(by="beat")
    return processes


def trigger(processes: Processes, sent_at: object) -> None:
    """Run the scheduling task, as a worker does that takes a trigger from its queue."""
    headers = {"celery_beat_task": True, "cp_sent_at": sent_at}
    processes.app.tasks["p.schedule"].apply(headers=headers, throw=True)


def ledger(processes: Processes, first: datetime) -> list[tuple[int, SlotEnd, int | None]]:
    """Return the entries since a slot: its minute, its end, and where its range begins."""
    found = list(processes["p"].slots())
    return [
        ((entry.slot - first) // MINUTE, entry.end, None if entry.after is None else (entry.after - first) // MINUTE)
        for entry in reversed(found)
    ]


def test_slots_between_are_late(processes: Processes, clock: MovableClock) -> None:
    """The slots from that of the trigger up to that before the present one end as late, those before it were missed."""
    first = clock()
    clock.advance(5 * MINUTE)
    trigger(processes, (first + 3 * MINUTE).timestamp() + 0.1)
    assert ledger(processes, first) == [
        (0, SlotEnd.RAN, None),
        (2, SlotEnd.MISSED, 0),
        (4, SlotEnd.LATE, 2),
        (5, SlotEnd.RAN, None),
    ]


def test_later_triggers_change_nothing(processes: Processes, clock: MovableClock) -> None:
    """Triggers that waited behind the first one find their slots in the ledger."""
    first = clock()
    clock.advance(3 * MINUTE)
    for minute in (1, 2, 3, 1):
        trigger(processes, (first + minute * MINUTE).timestamp())
    assert ledger(processes, first) == [(0, SlotEnd.RAN, None), (2, SlotEnd.LATE, 0), (3, SlotEnd.RAN, None)]


@pytest.mark.parametrize("behind", [0.0, 30.0])
def test_in_time(processes: Processes, clock: MovableClock, behind: float) -> None:
    """A trigger of the present slot, however old within it, makes nothing late."""
    first = clock()
    clock.advance(MINUTE)
    sent = clock().timestamp()
    clock.advance(timedelta(seconds=behind))
    trigger(processes, sent)
    assert ledger(processes, first) == [(0, SlotEnd.RAN, None), (1, SlotEnd.RAN, None)]


@pytest.mark.parametrize("sent_at", [None, "yesterday", True, float("nan"), 1e300, -1e300, 10**400, [1]])
def test_no_time(processes: Processes, clock: MovableClock, sent_at: object) -> None:
    """What is no time says nothing: the slots before the present one were missed."""
    first = clock()
    clock.advance(3 * MINUTE)
    trigger(processes, sent_at)
    assert [end for _, end, _ in ledger(processes, first)] == [SlotEnd.RAN, SlotEnd.MISSED, SlotEnd.RAN]


def test_beat_writes_the_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beat sends with the trigger of a process, and with no other task, when that is."""
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.5)
    app = Celery("sender", broker="memory://", set_as_current=False)
    app.conf.task_default_queue = "sender"  # all apps of a program share the queues of the memory broker
    processes = Processes(app, backend="memory://")
    processes.process("sent", schedule=MINUTE)(lambda work: None)

    @app.task(name="other")
    def other() -> None: ...

    app.conf.beat_schedule = {**app.conf.beat_schedule, "other": {"task": "other", "schedule": MINUTE}}
    app.finalize()
    service = Service(app, schedule_filename=str(tmp_path / "schedule"))
    beat_init.send(sender=service)
    found: dict[str, Any] = {}
    with app.connection_for_read() as connection, connection.SimpleQueue("sender") as queue:
        for entry in service.scheduler.schedule.values():
            service.scheduler.apply_async(entry, advance=False)
            message = queue.get(timeout=5)
            found[message.headers["task"]] = message.headers.get("cp_sent_at")
            message.ack()
    service.scheduler.close()
    assert (found["sent.schedule"], found["other"]) == (1_900_000_000.5, None)
