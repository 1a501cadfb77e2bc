"""Progress and the end of a run: B31 to B37."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celery_process.exceptions import OwnershipLost, RunAborted
from celery_process.protocol.states import ErrorAction, Progress, RunState, WorkState

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
CONTINUE, ABORT = ErrorAction.CONTINUE, ErrorAction.ABORT


def test_b31_progress_is_none_until_the_progress_frequency_has_passed(bench: Any) -> None:
    """B31: the first progress is written at once; until more than the frequency has passed, the others are None."""
    answers: list[Progress] = []
    process = bench.define(lambda work: answers.extend(work.progress() for _ in range(3)), progress_frequency=HOUR)
    process.register_work("a")
    bench.trigger(process)
    assert answers == [Progress.UPDATED, Progress.NONE, Progress.NONE]


def test_b31_progress_is_written_again_after_the_frequency(bench: Any) -> None:
    """B31: with a frequency that has passed each time, each progress is written."""
    answers: list[Progress] = []
    process = bench.define(lambda work: answers.extend(work.progress() for _ in range(3)), progress_frequency=0.000001)
    process.register_work("a")
    bench.trigger(process)
    assert answers == [Progress.UPDATED] * 3


@pytest.mark.parametrize("change", ["settings", "params"])
def test_b32_merged_brings_what_changed(bench: Any, change: str) -> None:
    """B32: after a change of settings or params the word is Merged, once, and the params are fresh."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        if change == "settings":
            process.update_settings({"ttl": 2})
        else:
            process.register_work("a", {"ttl": 2})
        seen.extend((work.progress(), work.params, work.progress()))

    process = bench.define(handler, settings={"ttl": 1}, progress_frequency=0.000001)
    process.register_work("a")
    bench.trigger(process)
    assert seen == [Progress.MERGED, {"ttl": 2}, Progress.UPDATED]


def test_b32_aborted_stops_the_handler(bench: Any) -> None:
    """B32: beyond the tolerance the word is Aborted; progress() raises it, progress(stop=False) returns it."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        for _ in range(11):
            work.add_error("broken")
        seen.append(work.progress(stop=False))
        with pytest.raises(RunAborted) as caught:
            work.progress()
        seen.append(caught.value.progress)

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert seen == [Progress.ABORTED, Progress.ABORTED]


def test_b32_conflict_stops_the_handler_and_writes_nothing_further(bench: Any) -> None:
    """B32: once another run took over, the word is Conflict, and nothing that the old holder says is kept."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        if bench.worked != ["a"]:
            return
        bench.clock.advance(HOUR)
        bench.trigger(process)
        before = list(process.runs())
        work.add_stats("keys", 100)
        seen.append(work.progress(stop=False))
        seen.append(work.add_error("too late"))
        with pytest.raises(OwnershipLost) as caught:
            work.progress()
        seen.append(caught.value.progress)
        seen.append(list(process.runs()) == before)

    process = bench.define(handler, overlap="replace")
    process.register_work("a")
    bench.trigger(process)
    assert seen == [Progress.CONFLICT, ABORT, Progress.CONFLICT, True]
    assert process.work("a").status.total_errors == 0
    assert "work.keys" not in process.state().aggregate_stats


def test_b32_completed_is_the_word_once_the_work_is_done(bench: Any) -> None:
    """B32: a handler that asks after its item ended hears Completed."""
    kept: list[Any] = []
    process = bench.define(kept.append)
    process.register_work("a")
    bench.trigger(process)
    assert kept[0].progress() is Progress.COMPLETED


def test_b33_out_of_reach_is_none_and_what_was_counted_comes_later(bench: Any) -> None:
    """B33: a progress that the store did not answer is None; errors recorded meanwhile reach it with the next one."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        bench.store.broken["report"] = 2
        seen.append(work.add_error("unheard"))
        seen.append(work.progress())
        seen.append(process.work("a").status.total_errors)
        seen.append(work.progress())
        seen.append(process.work("a").status.total_errors)

    process = bench.define(handler, progress_frequency=HOUR)
    process.register_work("a")
    bench.trigger(process)
    assert seen == [CONTINUE, Progress.NONE, 0, Progress.UPDATED, 1]


def test_b33_an_outage_is_an_error_of_the_run_once(bench: Any) -> None:
    """B33: a store out of reach counts as one error of the run for each outage, however often progress is asked for."""

    def handler(work: Any) -> None:
        for outage in (3, 2):
            bench.store.broken["report"] = outage
            assert [work.progress() for _ in range(outage)] == [Progress.NONE] * outage
            assert work.progress() is Progress.UPDATED

    process = bench.define(handler, progress_frequency=1e-6)
    process.register_work("a")
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.total_errors, process.work("a").status.total_errors) == (RunState.COMPLETED, 2, 0)


def test_b33_another_owner_is_conflict_and_newer_settings_are_merged(bench: Any) -> None:
    """B33: an update of what somebody else holds is Conflict and writes nothing; after a change of settings it is Merged."""
    words: list[Progress] = []

    def handler(work: Any) -> None:
        if bench.worked == ["a"]:
            bench.clock.advance(MINUTE)
            process.update_settings({"ttl": 2})
            words.append(work.progress())
            bench.clock.advance(HOUR)
            bench.trigger(process)
            before = process.state()
            words.append(work.progress(stop=False))
            assert process.state() == before

    process = bench.define(handler, overlap="replace", progress_frequency=0.000001)
    process.register_work("a")
    bench.trigger(process)
    assert words == [Progress.MERGED, Progress.CONFLICT]


def test_b34_a_merge_keeps_the_run_and_takes_the_definitions(bench: Any) -> None:
    """B34: after a merge the run has its id, stats, errors and aggregate as before, and schedule and settings are new."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        work.add_stats("keys", 3)
        work.add_error("broken")
        before = process.state()
        bench.clock.advance(MINUTE)
        process.update_settings({"ttl": 2}, schedule=2 * HOUR)
        assert work.progress() is Progress.MERGED
        after = process.state()
        seen.append((before, after, work.settings))

    process = bench.define(handler, settings={"ttl": 1})
    process.register_work("a")
    bench.trigger(process)
    bench.clock.advance(HOUR)
    ((before, after, settings),) = seen
    assert (after.name, after.run.id, after.run.started_at) == (before.name, before.run.id, before.run.started_at)
    assert (after.run.total_errors, after.run.errors) == (before.run.total_errors, before.run.errors)
    assert after.aggregate_stats == before.aggregate_stats
    assert (after.schedule_frequency, after.settings, settings) == (2 * HOUR, {"ttl": 2}, {"ttl": 2})
    assert process.state().run.stats["work.keys"] == 3


def test_b35_tolerated_errors_leave_a_run_completed(bench: Any) -> None:
    """B35: a run whose errors were tolerated ends COMPLETED."""

    def handler(work: Any) -> None:
        raise ValueError("broken")

    process = bench.define(handler)
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.total_errors, run.reason) == (RunState.COMPLETED, 3, "")


def test_b35_a_run_beyond_its_tolerance_is_aborted(bench: Any) -> None:
    """B35 and decision 1: used-up tolerance makes a run ABORTED, not INCOMPLETE."""
    process = bench.define(lambda work: [work.add_error("broken") for _ in range(11)])
    process.register_work("a")
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.reason) == (RunState.ABORTED, "aborted")


def test_b35_cancelled_work_makes_a_run_incomplete(bench: Any) -> None:
    """B35 and decision 1: a run that was cancelled ends INCOMPLETE, with its reason; the item in flight finishes."""
    process = bench.define(lambda work: process.cancel_run())
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.reason, bench.worked) == (RunState.INCOMPLETE, "cancelled", ["a"])
    assert process.work("a").status.state is WorkState.COMPLETED


def test_b36_a_finished_run_has_its_stats(bench: Any) -> None:
    """B36: the original's test: two items worked on and one cleaned give exactly these stats."""

    def handler(work: Any) -> None:
        bench.clock.advance(timedelta(seconds=50))

    process = bench.define(handler, name="gckeys")
    process.register_works({"test_process": {"foo": 1, "bar": 2}, "test-work": None, "sunset": None})
    process.unregister_work("sunset")
    bench.trigger(process)
    run = process.state().run
    assert run.stats == {
        "duration": 100,
        "errors": 0,
        "workItems": 2,
        "workItemsCleaned": 1,
        "runs": 1,
        "state.completed": 1,
    }
    assert run.progress_at == run.finished_at == bench.clock()


def test_b36_a_run_without_items_has_zero_work_items(bench: Any) -> None:
    """B36: workItems is there, as 0, even where there was nothing to do."""
    process = bench.define()
    bench.trigger(process)
    assert process.state().run.stats == {"workItems": 0, "errors": 0, "duration": 0, "runs": 1, "state.completed": 1}


def test_b36_all_stats_are_added_to_the_aggregate(bench: Any) -> None:
    """B36: the original's test data, carried on by one run: 993 runs become 994, and what it did not touch stays."""
    process = bench.define(lambda work: bench.clock.advance(timedelta(seconds=50)), name="gckeys")
    process.register_works({"test_process": {"foo": 1, "bar": 2}, "test-work": None})
    process.unregister_work("sunset")
    bench.store.kept["gckeys"].head.aggregate.update(
        {
            "duration": 4900,
            "errors": 10,
            "work.accounts": 200,
            "work.accountsRemoved": 45,
            "work.keysKept": 113,
            "work.keysRemoved": 2003,
            "workItems": 3,
            "workItemsCleaned": 1,
            "runs": 993,
            "state.aborted": 1,
            "state.completed": 990,
            "state.incomplete": 2,
        }
    )
    bench.trigger(process)
    assert process.state().aggregate_stats == {
        "duration": 5000,
        "errors": 10,
        "work.accounts": 200,
        "work.accountsRemoved": 45,
        "work.keysKept": 113,
        "work.keysRemoved": 2003,
        "workItems": 5,
        "workItemsCleaned": 2,
        "runs": 994,
        "state.aborted": 1,
        "state.completed": 991,
        "state.incomplete": 2,
    }


def test_b37_the_stats_have_the_names_of_the_original(bench: Any) -> None:
    """B37: three runs, of each end one, bring every name of the original, and no other."""

    def handler(work: Any) -> None:
        work.add_stats("accounts")
        number = len(bench.worked)
        if number == 2:
            process.cancel_run()
        if number == 3:
            for _ in range(11):
                work.add_error("broken")

    def cleanup(work: Any) -> None:
        if work.name == "dirty":
            raise PermissionError("no")

    process = bench.define(handler, cleanup=cleanup)
    process.register_work("a")
    process.unregister_works(["clean", "dirty"])
    bench.trigger(process)
    bench.next_slot(process)
    bench.next_slot(process)
    assert [run.state for run in process.runs()] == [RunState.ABORTED, RunState.INCOMPLETE, RunState.COMPLETED]
    assert set(process.state().aggregate_stats) == {
        "workItems",
        "workItemsCleaned",
        "workItemsDirty",
        "workItemsAborted",
        "work.accounts",
        "errors",
        "runs",
        "duration",
        "state.completed",
        "state.incomplete",
        "state.aborted",
    }
