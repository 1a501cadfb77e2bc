"""What `health.examine` says of beat where the sweep stands in for it, and of a broker that may fall silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.engine import late
from celery_process.monitor import beat_slots
from celery_process.monitor.health import Finding, examine
from celery_process.protocol.states import By
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

HOUR = timedelta(hours=1)


def shop(store: MemoryStore, *, broker: str = "memory://", **conf: Any) -> Processes:
    """Return an eager app with a process of an hour."""
    app = Celery("shop", broker=broker, set_as_current=False)
    app.conf.update(task_always_eager=True, **conf)
    processes = Processes(app, backend=store)
    processes.process("key-gc", schedule=HOUR)(lambda work: None)
    return processes


def test_slots_of_the_sweep_are_not_those_of_beat() -> None:
    """One slot that the sweep brought may be what the broker lost; two in a row, once no beat may come, are a fault."""
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    clock = MovableClock(noon)
    processes = shop(MemoryStore(clock=clock))
    slots = (noon + number * HOUR for number in range(4))

    def judged(by: By) -> Finding:
        slot = next(slots)
        clock.set(slot if by is By.BEAT else slot + late.GRACE)
        processes["key-gc"].dispatch.trigger(by=by)
        clock.set(slot + beat_slots.LATE_MOST + late.GRACE)
        (finding,) = (one for one in examine(processes, clock=clock) if one.check == "beat:key-gc")
        return finding

    assert judged(By.BEAT).ok
    assert judged(By.SWEEP).ok
    second = judged(By.SWEEP)
    assert not second.ok
    assert "late, from the sweep" in second.text
    assert "celery -A " in second.cure
    assert judged(By.BEAT).ok


@pytest.mark.parametrize(
    ("broker", "conf", "word"),
    [
        ("redis://localhost:1/0", {}, "socket_timeout"),
        ("redis://localhost:1/0", {"broker_transport_options": {"socket_timeout": 30}}, ""),
        ("amqp://localhost:1//", {"broker_heartbeat": 0}, "broker_heartbeat"),
        ("amqp://localhost:1//", {}, ""),
        ("memory://", {}, ""),
    ],
)
def test_a_broker_without_a_timeout(broker: str, conf: dict[str, Any], word: str) -> None:
    """A connection that waits for ever for a silent broker is named with the setting that ends it; no fault by itself."""
    findings = examine(shop(MemoryStore(), broker=broker, **conf), patience=None)
    (finding,) = (one for one in findings if one.check == "timeouts")
    assert finding.ok
    assert word in finding.cure
    assert bool(finding.cure) is bool(word)
