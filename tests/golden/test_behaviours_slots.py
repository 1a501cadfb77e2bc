"""Slots and ownership: B11 to B17."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celery_process import signals
from celery_process.protocol.states import RunState, SlotEnd, WorkState
from celery_process.schedule.slots import Interval, jitter_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def run_count(process: Any) -> int:
    """Return how many runs the store keeps."""
    return len(list(process.runs()))


@pytest.mark.parametrize(
    ("every", "now", "slot"),
    [
        (HOUR, NOON, NOON),
        (HOUR, NOON + 59 * MINUTE, NOON),
        (7 * MINUTE, NOON + 5 * MINUTE, datetime(2026, 3, 2, 12, 2, tzinfo=UTC)),
        (24 * HOUR, NOON, datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_b11_slot_is_floor_of_now(bench: Any, every: timedelta, now: datetime, slot: datetime) -> None:
    """B11: the slot of a run is floor(now / schedule) · schedule, in whole seconds of Unix time, UTC."""
    process = bench.define(schedule=every)
    bench.clock.set(now)
    bench.trigger(process)
    run = process.state().run
    assert run.slot == slot
    assert run.slot.timestamp() % every.total_seconds() == 0


def test_b11_a_schedule_is_at_least_one_second(bench: Any) -> None:
    """B11: a schedule below a second gives slots of a second."""
    process = bench.define(schedule=0.1)
    bench.clock.set(NOON + timedelta(milliseconds=900))
    bench.trigger(process)
    assert process.state().run.slot == NOON


def test_b11_without_a_schedule_the_minimum_is_the_grain(bench: Any) -> None:
    """B11: with schedule None whoever triggers decides, and one run holds per minimum schedule."""
    process = bench.define(schedule=None, min_schedule_frequency=HOUR)
    bench.clock.set(NOON + 20 * MINUTE)
    bench.trigger(process)
    bench.clock.set(NOON + 59 * MINUTE)
    bench.trigger(process)
    assert [run.slot for run in process.runs()] == [NOON]


def test_b12_a_new_slot_runs(bench: Any) -> None:
    """B12: a slot that nobody took is run, from its first instant on."""
    process = bench.define()
    bench.trigger(process)
    bench.clock.set(NOON + HOUR - MICROSECOND)
    bench.trigger(process)
    assert run_count(process) == 1
    bench.clock.set(NOON + HOUR)
    bench.trigger(process)
    assert [run.slot for run in process.runs()] == [NOON + HOUR, NOON]


def test_b12_a_slot_with_an_open_run_is_skipped(bench: Any) -> None:
    """B12: while the run of the slot is open, a second trigger of the slot starts nothing."""

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            bench.trigger(process)

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert (bench.worked, run_count(process)) == (["a"], 1)


def test_b12_a_slot_that_ran_is_skipped(bench: Any) -> None:
    """B12 and decision 5: one slot has one run, even when settings or registrations changed since."""
    process = bench.define()
    process.register_work("a")
    bench.trigger(process)
    bench.clock.advance(MINUTE)
    process.register_work("b")
    process.update_settings({"x": 1})
    bench.trigger(process)
    assert (bench.worked, run_count(process)) == (["a"], 1)


@pytest.mark.parametrize("change", ["register", "unregister", "settings"])
@pytest.mark.parametrize("after", [timedelta(0), MINUTE])
def test_b12_with_rerun_on_change_a_change_runs_the_slot_again(bench: Any, change: str, after: timedelta) -> None:
    """B12: settings or registrations of the run's start or later make a new generation of the slot, one for each change."""
    process = bench.define(rerun_on_change=True)
    bench.trigger(process)
    bench.clock.advance(after)
    if change == "register":
        process.register_work("a")
    elif change == "unregister":
        process.unregister_work("a")
    else:
        process.update_settings({"x": 1})
    bench.clock.advance(MINUTE)
    bench.trigger(process)
    assert [(run.slot, run.generation) for run in process.runs()] == [(NOON, 1), (NOON, 0)]
    bench.trigger(process)
    assert run_count(process) == 2


def test_b12_with_rerun_on_change_no_change_is_no_run(bench: Any) -> None:
    """B12: what changed before the run started is no reason to run the slot again."""
    process = bench.define(rerun_on_change=True)
    process.register_work("a")
    bench.clock.advance(MINUTE)
    bench.trigger(process)
    bench.clock.advance(MINUTE)
    bench.trigger(process)
    assert (bench.worked, run_count(process)) == (["a"], 1)


def test_b12_an_unfinished_run_is_replaced_where_that_was_chosen(bench: Any) -> None:
    """B12 and decision 2: with overlap="replace" a new slot takes over from the unfinished run of an older one."""

    def handler(work: Any) -> None:
        if len(bench.worked) == 1:
            bench.clock.advance(HOUR)
            bench.trigger(process)

    process = bench.define(handler, overlap="replace")
    process.register_work("a")
    bench.trigger(process)
    newer, older = process.runs()
    assert (older.state, older.reason) == (RunState.INCOMPLETE, "superseded")
    assert (newer.state, newer.slot) == (RunState.COMPLETED, NOON + HOUR)


def test_b13_a_slot_taken_by_somebody_else_is_skipped_silently(bench: Any) -> None:
    """B13: whoever comes second gets neither a run nor an error."""
    process = bench.define()
    _, processes = bench.another_app()
    other = processes.process("key-gc", schedule=HOUR)(lambda work: None)
    other.register_work("a")
    other.dispatch.trigger(by="other host")
    bench.trigger(process)
    assert (bench.worked, run_count(process)) == ([], 1)
    assert [entry.by for entry in process.slots()] == ["other host"]


def test_b13_an_open_run_in_the_way_is_written_down(bench: Any) -> None:
    """B13: a slot that finds an older run open raises nothing; the ledger says that it overlapped."""

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            bench.clock.advance(HOUR)
            bench.trigger(process)

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert [(entry.slot, entry.end) for entry in process.slots()] == [
        (NOON + HOUR, SlotEnd.OVERLAPPED),
        (NOON, SlotEnd.RAN),
    ]


def test_b14_a_run_starts_with_a_clean_status(bench: Any) -> None:
    """B14: a started run is ACTIVE with no stats, errors or totals; the items still show how their last run went."""
    seen: list[Any] = []

    def started(**_: Any) -> None:
        seen.append((process.state().run, [work.status.state for work in process.works()]))

    def handler(work: Any) -> None:
        work.add_stats("keys", 3)
        work.add_error("broken")

    process = bench.define(handler)
    process.register_works({"a": None, "b": None})
    bench.trigger(process)
    first = process.state().run
    signals.run_started.connect(started, weak=False)
    try:
        second = bench.next_slot(process)
    finally:
        signals.run_started.disconnect(started)
    ((run, states),) = seen
    assert (run.id, run.state, run.stats, run.errors, run.total_errors) == (second.id, RunState.ACTIVE, {}, (), 0)
    assert run.started_at == run.progress_at == bench.clock()
    assert run.id != first.id
    assert states == [WorkState.COMPLETED, WorkState.COMPLETED]


def test_b15_missed_slots_are_not_caught_up(bench: Any) -> None:
    """B15: after five slots that nobody took there is one run, of the present slot, and one entry for the missed ones."""
    process = bench.define()
    bench.trigger(process)
    bench.clock.advance(6 * HOUR + MINUTE)
    bench.trigger(process)
    assert [run.slot for run in process.runs()] == [NOON + 6 * HOUR, NOON]
    entries = [(entry.slot, entry.end, entry.after) for entry in process.slots()]
    assert entries == [
        (NOON + 6 * HOUR, SlotEnd.RAN, None),
        (NOON + 5 * HOUR, SlotEnd.MISSED, NOON),
        (NOON, SlotEnd.RAN, None),
    ]


def test_b16_the_next_slot_is_strictly_after_now() -> None:
    """B16: on a multiple of the schedule, the next slot is the next multiple."""
    assert Interval(HOUR).following(NOON) == NOON + HOUR
    assert Interval(HOUR).following(NOON - MICROSECOND) == NOON


def test_b16_there_is_no_jitter_by_default(bench: Any) -> None:
    """B16 and decision 10: without the option a run is due when its slot begins."""
    process = bench.define()
    bench.clock.set(NOON + HOUR)
    bench.trigger(process)
    assert run_count(process) == 1


def test_b16_jitter_makes_a_run_due_later_within_its_bound(bench: Any) -> None:
    """B16: with jitter a slot is due a little later, at the same instant for every beat, and below the bound."""
    process = bench.define(jitter=10 * MINUTE)
    due = NOON + jitter_of("key-gc", NOON, 10 * MINUTE)
    assert NOON < due < NOON + 10 * MINUTE
    bench.clock.set(due - MICROSECOND)
    process.dispatch.trigger(by="test")
    assert run_count(process) == 0
    bench.clock.set(due)
    process.dispatch.trigger(by="test")
    assert [run.slot for run in process.runs()] == [NOON]


def test_b16_jitter_spreads_processes_and_slots() -> None:
    """B16: the jitter of 1,000 slots lies evenly within [0, 30) s."""
    waits = [jitter_of("key-gc", NOON + number * HOUR, 30 * SECOND).total_seconds() for number in range(1_000)]
    assert 0 <= min(waits) < 1
    assert 29 < max(waits) < 30
    assert 14 < sum(waits) / 1_000 < 16


def test_b17_a_trigger_takes_the_stored_schedule(bench: Any) -> None:
    """B17: a schedule stored by somebody else decides about the next slot, without a restart."""
    process = bench.define()
    bench.trigger(process)
    _, processes = bench.another_app()
    other = processes.process("key-gc", schedule=HOUR)(lambda work: None)
    other.update_settings(None, schedule=10 * MINUTE)
    bench.clock.set(NOON + 25 * MINUTE)
    bench.trigger(process)
    assert process.state().run.slot == NOON + 20 * MINUTE
    assert process.schedule_frequency == 10 * MINUTE
