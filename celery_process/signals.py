"""The signals of the library, each a `celery.utils.dispatch.Signal`, sent in the operating-system process where it happens.

The sender is the `Process`. Receivers take `**kwargs`, as Celery's do. What each carries, beside `signal` and `sender`:

    run_started      run (RunStatus)
    run_finished     run (RunStatus): at least once for every run, with its stable id
    run_aborted      run (RunStatus): before run_finished, when the tolerance was used up
    run_repaired     run_id, expired, published: a sweep let leases run out, or published items again
    slot_skipped     slot (datetime), end (SlotEnd)
    work_finished    work, run_id, slot, outcome (WorkState), stats, errors, error (what its handler raised, or None)
    work_lost        work, run_id: given up after the last attempt
    ownership_lost   work, run_id, attempt: another worker claimed it; nothing of this attempt is kept
"""

from __future__ import annotations

from celery.utils.dispatch import Signal

from celery_process.protocol.states import Event

__all__ = [
    "ownership_lost",
    "run_aborted",
    "run_finished",
    "run_repaired",
    "run_started",
    "slot_skipped",
    "work_finished",
    "work_lost",
]

run_started = Signal(name="run_started", providing_args={"run"})
run_finished = Signal(name="run_finished", providing_args={"run"})
run_aborted = Signal(name="run_aborted", providing_args={"run"})
run_repaired = Signal(name="run_repaired", providing_args={"run_id", "expired", "published"})
slot_skipped = Signal(name="slot_skipped", providing_args={"slot", "end"})
work_finished = Signal(
    name="work_finished", providing_args={"work", "run_id", "slot", "outcome", "stats", "errors", "error"}
)
work_lost = Signal(name="work_lost", providing_args={"work", "run_id"})
ownership_lost = Signal(name="ownership_lost", providing_args={"work", "run_id", "attempt"})

BY_EVENT: dict[Event, Signal] = {
    Event.RUN_STARTED: run_started,
    Event.RUN_FINISHED: run_finished,
    Event.RUN_ABORTED: run_aborted,
    Event.RUN_REPAIRED: run_repaired,
    Event.SLOT_SKIPPED: slot_skipped,
    Event.WORK_FINISHED: work_finished,
    Event.WORK_LOST: work_lost,
    Event.OWNERSHIP_LOST: ownership_lost,
}
