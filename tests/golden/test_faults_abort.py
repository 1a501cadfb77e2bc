"""Faults of tolerance, finish and the shipped workers that must not come back: W17 to W28, W30, W31."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import WorkerTerminate
from celery.signals import task_prerun

from celery_process.exceptions import InvalidValue, StoreUnavailable
from celery_process.protocol.model import RunSpec
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, ErrorAction, RunState, WorkState

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def eleven_errors(work: Any) -> None:
    """Use up the tolerance of an item, and take no notice."""
    for _ in range(11):
        work.add_error("broken")


def test_w17_an_abort_is_not_lost_while_the_store_is_out_of_reach(bench: Any) -> None:
    """W17: errors that the store did not hear are answered Abort all the same, and abort the run once it hears them."""
    answers: list[ErrorAction] = []

    def handler(work: Any) -> None:
        bench.store.broken["report"] = 11
        answers.extend(work.add_error("unheard") for _ in range(11))

    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    assert answers == [ErrorAction.CONTINUE] * 10 + [ErrorAction.ABORT]
    run = process.state().run
    assert (run.state, run.total_errors, bench.worked) == (RunState.ABORTED, 11, ["a"])
    assert process.work("a").status.state is WorkState.ABORTED


def test_w18_swallowed_abort_still_aborts(bench: Any) -> None:
    """W18: a handler that takes no notice of Abort and returns leaves its item and its run ABORTED; 99 items never start."""
    process = bench.define(lambda work: [work.add_error("broken") for _ in range(123)])
    process.register_works(dict.fromkeys(f"account-{number:03}" for number in range(100)))
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.total_errors, len(bench.worked)) == (RunState.ABORTED, 123, 1)
    assert (run.counts.completed, run.counts.aborted, run.counts.cancelled) == (0, 1, 99)


def test_w18_an_abort_swallowed_by_a_bare_except_still_aborts(bench: Any) -> None:
    """W18: catching what progress() raises changes nothing about the end of the run."""

    def handler(work: Any) -> None:
        eleven_errors(work)
        with pytest.raises(Exception, match="ends early"):
            work.progress()

    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    assert (process.state().run.state, bench.worked) == (RunState.ABORTED, ["a"])


def test_w19_an_error_recorded_and_raised_counts_once(bench: Any) -> None:
    """W19: the same exception object is one error, however often it is recorded, and raised on top."""

    def handler(work: Any) -> None:
        error = ValueError("broken")
        work.add_error(error)
        work.add_error(error)
        raise error

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    status, run = process.work("a").status, process.state().run
    assert (status.total_errors, run.total_errors, status.state) == (1, 1, WorkState.INCOMPLETE)


def test_w20_an_abort_counts_its_items_and_its_state(bench: Any) -> None:
    """W20: an aborted run is ABORTED in state and stats, counts the aborted and cancelled items, and shows none as done."""
    process = bench.define(lambda work: eleven_errors(work) if len(bench.worked) > 3 else None)
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    run = bench.next_slot(process)
    assert (run.state, run.stats["state.aborted"], run.stats["workItemsAborted"]) == (RunState.ABORTED, 1, 3)
    assert [work.status.state for work in process.works()] == [WorkState.ABORTED] * 3


def test_w21_what_was_cleaned_before_an_abort_stays_dropped(bench: Any) -> None:
    """W21: items cleaned before the abort are dropped, and are not cleaned again."""
    process = bench.define(cleanup=lambda work: eleven_errors(work) if bench.cleaned == ["a", "b", "c"] else None)
    process.unregister_works(["a", "b", "c", "d"])
    bench.trigger(process)
    assert process.state().run.state is RunState.ABORTED
    assert (bench.names(process, "dropped"), bench.names(process, "cleanup")) == (["a", "b"], ["c", "d"])
    bench.next_slot(process)
    assert bench.cleaned == ["a", "b", "c", "c", "d"]


def test_w22_error_texts_and_stats_are_bounded(bench: Any) -> None:
    """W22: an error text has at most 1,024 characters, a stat name 100, and an item 100 stats."""

    def handler(work: Any) -> None:
        work.add_error("x" * 1_000_000)
        with pytest.raises(InvalidValue):
            work.add_stats("x" * 101)
        for number in range(100):
            work.add_stats(f"stat {number}")
        with pytest.raises(InvalidValue):
            work.add_stats("one more")

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    status = process.work("a").status
    assert (len(status.errors[0].text), len(status.stats)) == (1_024, 100)


def test_w22_the_first_errors_are_kept_and_the_rest_counted(bench: Any) -> None:
    """W22: of 30 errors the first 10 of the item and the first 25 of the run are kept, and all 30 counted."""
    process = bench.define(lambda work: [work.add_error(f"error {number}") for number in range(30)])
    process.register_work("a")
    bench.trigger(process)
    status, run = process.work("a").status, process.state().run
    assert [error.text for error in status.errors] == [f"error {number}" for number in range(10)]
    assert len(run.errors) <= 25
    assert (status.total_errors, run.total_errors) == (30, 30)


def test_w23_a_run_whose_end_was_not_written_is_ended_by_the_sweep(bench: Any) -> None:
    """W23: a store that is out of reach at the end of a run delays the end; its stats are not lost."""

    def handler(work: Any) -> None:
        work.add_stats("keys", 7)
        if work.name == "b":
            bench.store.broken["open_page"] = 1

    bench.app.conf.process_page_size = 1
    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    with pytest.raises(StoreUnavailable):
        bench.trigger(process)
    assert process.state().run.state is RunState.ACTIVE
    bench.processes.sweep(force=True)
    run = process.state().run
    assert (run.state, run.stats["work.keys"], bench.worked) == (RunState.COMPLETED, 14, ["a", "b"])
    assert process.state().aggregate_stats["work.keys"] == 14


def test_w24_a_crash_loses_no_item_that_ended(bench: Any) -> None:
    """W24: what ended before a worker died is kept, and only the item in its hands is worked on again."""

    def handler(work: Any) -> None:
        work.add_stats("keys", 1)
        if bench.worked == ["a", "b"]:
            raise WorkerTerminate

    process = bench.define(handler)
    process.register_works(dict.fromkeys("abc"))
    with pytest.raises(WorkerTerminate):
        bench.trigger(process)
    assert process.work("a").status.state is WorkState.COMPLETED
    for _ in range(3):
        bench.clock.advance(MINUTE)
        bench.processes.sweep(force=True)
    run = process.state().run
    assert bench.worked[:2] == ["a", "b"]
    assert sorted(bench.worked[2:]) == ["b", "c"]
    assert (run.state, run.stats["workItems"], run.stats["work.keys"]) == (RunState.COMPLETED, 3, 3)


def test_w25_each_item_is_a_task_of_its_own_with_a_time_limit(bench: Any) -> None:
    """W25: a run fans out one Celery task an item; the process's time limit is the task's."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def note(sender: Any, kwargs: dict[str, Any], **_: Any) -> None:
        sent.append((sender.name, kwargs))

    process = bench.define(time_limit=90)
    process.register_works(dict.fromkeys("ab"))
    process.unregister_work("c")
    task_prerun.connect(note)
    try:
        bench.trigger(process)
    finally:
        task_prerun.disconnect(note)
    assert [(name, kwargs.get("work")) for name, kwargs in sent] == [
        ("key-gc.schedule", None),
        ("key-gc.work", "a"),
        ("key-gc.work", "b"),
        ("key-gc.cleanup", "c"),
    ]
    assert bench.app.tasks["key-gc.work"].time_limit == 90


@pytest.mark.parametrize("error", [ValueError("broken"), RecursionError("deep"), OSError("no"), MemoryError()])
def test_w25_whatever_a_handler_raises_ends_its_item_only(bench: Any, error: Exception) -> None:
    """W25: an exception of one item is its error; the next item runs."""

    def handler(work: Any) -> None:
        if work.name == "a":
            raise error

    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    assert (bench.worked, process.work("a").status.state) == (["a", "b"], WorkState.INCOMPLETE)
    bench.next_slot(process)
    assert bench.worked == ["a", "b", "a", "b"]


def test_w25_a_cancelled_run_begins_no_further_item(bench: Any) -> None:
    """W25: between items it is asked whether the run still goes on."""
    process = bench.define(lambda work: process.cancel_run())
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert bench.worked == ["a"]


def test_w26_what_is_over_is_kept_within_bounds(bench: Any) -> None:
    """W26: dropped items, runs, their items and the ledger are purged to what process_retention says."""
    bench.app.conf.process_retention = {"dropped": 2, "runs": 3, "runs_with_items": 1, "slots": 4}
    process = bench.define()
    for number in range(8):
        process.unregister_work(f"gone-{number}")
        bench.next_slot(process)
        bench.processes.sweep(force=True)
    assert bench.names(process, "dropped") == ["gone-6", "gone-7"]
    assert len(list(process.runs())) == 3
    assert len(list(process.slots())) == 4
    assert sum(not run.items_purged for run in bench.store.kept["key-gc"].runs.values()) == 1
    assert process.state().aggregate_stats["runs"] == 8


def test_w26_dropped_items_go_after_their_time(bench: Any) -> None:
    """W26: by default a dropped item is kept for 30 days."""
    process = bench.define()
    process.unregister_work("gone")
    bench.trigger(process)
    bench.clock.advance(timedelta(days=29))
    bench.trigger(process)
    bench.processes.sweep(force=True)
    assert bench.names(process, "dropped") == ["gone"]
    bench.clock.advance(timedelta(days=2))
    bench.trigger(process)
    bench.processes.sweep(force=True)
    assert bench.names(process, "dropped") == []


def test_w27_settings_reach_the_handler(bench: Any) -> None:
    """W27: effective params are the settings overlaid by the item's own, in active work and in cleanup alike."""
    seen: dict[str, Any] = {}

    def note(work: Any) -> None:
        seen[work.name] = (work.params, work.own_params, work.settings)

    settings = {"keyTtl": 86_400, "keysPerAccount": 8}
    process = bench.define(note, cleanup=note, settings=settings)
    process.register_works({"plain": None, "own": {"keysPerAccount": 4}})
    process.unregister_work("gone")
    bench.trigger(process)
    assert seen == {
        "plain": (settings, {}, settings),
        "own": ({"keyTtl": 86_400, "keysPerAccount": 4}, {"keysPerAccount": 4}, settings),
        "gone": (settings, {}, settings),
    }


def test_w28_a_cleanup_with_errors_is_not_clean(bench: Any) -> None:
    """W28 and decision 8: a cleanup that recorded an error and returned normally leaves its item on the cleanup list."""
    process = bench.define(lambda work: work.add_error("one"), cleanup=lambda work: work.add_error("account remains"))
    process.register_work("active")
    process.unregister_work("gone")
    bench.trigger(process)
    run = process.state().run
    assert (bench.names(process, "cleanup"), bench.names(process, "dropped")) == (["gone"], [])
    assert (run.stats["workItemsDirty"], run.state) == (1, RunState.COMPLETED)
    assert process.work("gone").status.state is WorkState.INCOMPLETE
    assert process.work("active").status.state is WorkState.COMPLETED


def test_w28_the_store_itself_drops_nothing_that_had_errors(bench: Any) -> None:
    """W28: a report of a cleanup that says COMPLETED and counts an error leaves the item on the cleanup list."""
    process, store = bench.define(), bench.store
    process.unregister_works(["clean", "dirty"])
    slot = process.dispatch.slot_of(store.now(), process.current())
    run = store.claim_run("key-gc", uuid="u", slot=slot, spec=RunSpec(), again=Again.NEVER, by="test").run
    store.open_page("key-gc", run.id, token="page", size=10, window=10)
    store.claim("key-gc", run.id, ["clean", "dirty"], token="t", lease=MINUTE, max_attempts=3)
    reports = [
        ItemReport(name, 1, Totals(error_count=errors), params_version=0, settings_version=0, outcome=WorkState.COMPLETED)
        for name, errors in (("clean", 0), ("dirty", 1))
    ]
    store.report("key-gc", run.id, reports, token="t", lease=MINUTE)
    assert (bench.names(process, "cleanup"), bench.names(process, "dropped")) == (["dirty"], ["clean"])


@pytest.mark.parametrize("text", ["Error 404", "Error 403: see Error 404 of yesterday", "googleapi: Error 403"])
def test_w30_a_text_that_mentions_404_is_not_clean(bench: Any, text: str) -> None:
    """W30: what an error's text says decides nothing; only its class does, if it was named."""

    def cleanup(work: Any) -> None:
        raise RuntimeError(text)

    process = bench.define()
    process.cleanup(gone=KeyError)(cleanup)
    process.unregister_work("x")
    bench.trigger(process)
    run = process.state().run
    assert (bench.names(process, "cleanup"), run.stats["workItemsDirty"], run.total_errors) == (["x"], 1, 1)


@pytest.mark.parametrize("name", ["errors", "runs", "duration", "state.completed", "workItems", "workItemsDirty", "work.x"])
def test_w31_the_stats_of_the_library_are_reserved(bench: Any, name: str) -> None:
    """W31: a handler that uses a name of the library gets a clear error at once, and the run's own figure stands."""

    def handler(work: Any) -> None:
        for add in (work.add_stats, work.run.add_stats):
            with pytest.raises(InvalidValue, match="kept by the library"):
                add(name, 1_000)

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert process.state().run.stats == {"workItems": 1, "errors": 0, "duration": 0, "runs": 1, "state.completed": 1}
