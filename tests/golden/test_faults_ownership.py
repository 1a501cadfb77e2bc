"""Faults of ownership and slots that must not come back: W1 to W7."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from celery.exceptions import WorkerTerminate

from celery_process.engine.heartbeat import Heartbeat
from celery_process.protocol.states import ErrorAction, Progress, RunAnswer, RunState, SlotEnd, WorkState

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_w1_two_runs_of_one_interpreter_are_told_apart(bench: Any) -> None:
    """W1: a run that replaced another within one operating-system process is not overwritten by it."""
    words: list[Progress] = []

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            bench.clock.advance(HOUR)
            bench.trigger(process)
            work.add_stats("keys", 1_000)
            words.append(work.progress(stop=False))
        else:
            work.add_stats("keys", 1)

    process = bench.define(handler, overlap="replace")
    process.register_work("a")
    bench.trigger(process)
    newer, older = process.runs()
    assert words == [Progress.CONFLICT]
    assert (newer.state, newer.stats["work.keys"]) == (RunState.COMPLETED, 1)
    assert "work.keys" not in older.stats
    assert process.work("a").status.stats == {"keys": 1}


def test_w2_a_live_run_is_not_stolen_at_a_slot_boundary(bench: Any) -> None:
    """W2: a run that spans slots keeps its items; triggers of the later slots start nothing."""

    def handler(work: Any) -> None:
        for _ in range(3 if bench.worked == ["a"] else 0):
            bench.clock.advance(HOUR)
            bench.trigger(process)
            assert work.progress() is Progress.UPDATED

    process = bench.define(handler, progress_frequency=0.000001)
    process.register_work("a")
    bench.trigger(process)
    (run,) = process.runs()
    assert (run.state, run.slot, bench.worked) == (RunState.COMPLETED, NOON, ["a"])
    assert [entry.end for entry in process.slots()] == [SlotEnd.OVERLAPPED] * 3 + [SlotEnd.RAN]


def test_w2_a_run_that_went_quiet_is_revived_and_not_stolen(bench: Any) -> None:
    """W2: an item whose worker died long ago is worked on again by the same run, which then completes."""

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            raise WorkerTerminate

    process = bench.define(handler)
    process.register_work("a")
    with pytest.raises(WorkerTerminate):
        bench.trigger(process)
    bench.clock.advance(HOUR)
    bench.trigger(process)
    assert bench.worked == ["a"]
    bench.processes.sweep(force=True)
    (run,) = process.runs()
    assert (bench.worked, run.state, run.slot) == (["a", "a"], RunState.COMPLETED, NOON)


def test_w3_a_conflict_is_seen_at_the_next_word_whatever_the_throttle(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """W3: the heartbeat and each error bring the news of a conflict; progress() tells it though it is throttled."""
    seen: list[Any] = []
    batches: list[Any] = []
    # Without the heartbeat's own thread, which may be early or late.
    monkeypatch.setattr(Heartbeat, "holding", lambda _, batch: nullcontext(batches.append(batch)))

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            assert work.progress() is Progress.UPDATED
            bench.clock.advance(HOUR)
            bench.trigger(process)
            seen.append(work.progress(stop=False))
            deadline = time.monotonic() + 20
            while not work.lost and time.monotonic() < deadline:
                batches[0].beat()  # as the heartbeat does, once the lease is a third over
            seen.extend((work.progress(stop=False), work.add_error("late")))

    process = bench.define(handler, overlap="replace", progress_frequency=24 * HOUR, lease=0.3)
    process.register_work("a")
    bench.trigger(process)
    assert seen == [Progress.NONE, Progress.CONFLICT, ErrorAction.ABORT]


def test_w3_a_fencing_token_rises_with_each_claim(bench: Any) -> None:
    """W3: a handler has a token for the outside that rises with each attempt and each run of its item."""
    tokens: list[int] = []

    def handler(work: Any) -> None:
        tokens.append(work.fencing_token)
        if len(tokens) == 1:
            raise WorkerTerminate

    process = bench.define(handler)
    process.register_work("a")
    with pytest.raises(WorkerTerminate):
        bench.trigger(process)
    bench.clock.advance(MINUTE)
    bench.processes.sweep(force=True)
    bench.next_slot(process)
    assert len(tokens) == 3
    assert tokens == sorted(set(tokens))


def test_w4_many_triggers_at_once_make_one_run(bench: Any) -> None:
    """W4: of 16 triggers of one slot at the same moment exactly one claims it; no lock outside the store is needed."""
    process = bench.define()
    process.register_work("a")
    start = Barrier(16)

    def trigger(number: int) -> RunAnswer:
        start.wait()
        return process.dispatch.trigger(by=f"beat {number}").answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(trigger, range(16)))
    assert answers.count(RunAnswer.CLAIMED) == 1
    assert (len(list(process.runs())), bench.worked) == (1, ["a"])


@pytest.mark.parametrize("years", [-30, 30])
def test_w5_only_the_clock_of_the_store_counts(bench: Any, years: int) -> None:
    """W5: a host whose clock is decades from the store's loses no registration and gets the store's slots and times."""
    bench.clock.set(NOON + timedelta(days=365 * years))
    process = bench.define(lambda work: process.register_work("new", {"x": 1}), rerun_on_change=True)
    process.register_work("a")
    bench.trigger(process)
    run = process.state().run
    assert run.slot <= bench.clock() < run.slot + HOUR
    assert run.started_at == run.finished_at == bench.clock()
    assert process.work("new").changed_at == bench.clock()
    bench.trigger(process)
    assert "new" in bench.worked


def test_w5_a_slot_claimed_by_a_clock_far_ahead_holds_up_nothing(bench: Any) -> None:
    """W5: after the store's clock was a day ahead for a while, the slots of the right time run."""
    process = bench.define()
    bench.clock.advance(24 * HOUR)
    bench.trigger(process)
    bench.clock.advance(-24 * HOUR)
    bench.trigger(process)
    assert process.state().run.slot == NOON


@pytest.mark.parametrize("again", [False, True])
def test_w6_five_triggers_without_settings_are_one_run(bench: Any, again: bool) -> None:
    """W6: reading a process that has no settings changes nothing, so five wake-ups in a slot give one run."""
    process = bench.define(settings=None, rerun_on_change=again)
    for _ in range(5):
        bench.trigger(process)
        process.state()
        bench.clock.advance(MINUTE)
    assert len(list(process.runs())) == 1


def test_w7_a_replaced_run_keeps_its_record_and_its_stats(bench: Any) -> None:
    """W7: the run that was replaced is kept, says why it ended, and its finished items reach the aggregate."""

    def handler(work: Any) -> None:
        work.add_stats("keys", 5)
        if bench.worked == ["a", "b"]:
            bench.clock.advance(HOUR)
            bench.trigger(process)

    process = bench.define(handler, overlap="replace")
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    newer, older = process.runs()
    assert (older.state, older.reason, older.counts.completed) == (RunState.INCOMPLETE, "superseded", 1)
    assert (older.stats["workItems"], older.stats["work.keys"], older.stats["state.incomplete"]) == (1, 5, 1)
    assert newer.stats["workItems"] == 3
    total = process.state().aggregate_stats
    assert (total["runs"], total["workItems"], total["work.keys"]) == (2, 4, 20)
    assert {work.status.state for work in process.works()} == {WorkState.COMPLETED}
