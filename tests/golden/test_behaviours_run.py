"""A run over its items: B18 to B27."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celery_process.protocol.states import ErrorAction, RunState, WorkList, WorkState

MINUTE = timedelta(minutes=1)


class NotThere(Exception):
    """What an account's API raises for an account that is gone."""


def test_b18_active_items_first_in_name_order(bench: Any) -> None:
    """B18: a run works the active items in name order, then the cleanup items in name order."""
    order: list[str] = []
    process = bench.define(lambda work: order.append(work.name), cleanup=lambda work: order.append(work.name))
    process.register_works(dict.fromkeys(["zebra", "ape", "Bee"]))
    process.unregister_works(["cow", "ant"])
    bench.trigger(process)
    assert order == ["Bee", "ape", "zebra", "ant", "cow"]


def test_b18_the_lists_are_frozen_when_the_run_starts(bench: Any) -> None:
    """B18: what comes onto a list while the run is going on is not part of it."""

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        process.register_work("later")
        process.unregister_work("also-later")

    process = bench.define(handler)
    process.register_work("first")
    bench.trigger(process)
    assert (bench.worked, bench.cleaned) == (["first"], [])
    assert process.state().run.counts.enlisted == 1


@pytest.mark.parametrize("page_size", [500, 1])
def test_b19_items_merged_away_before_their_turn_are_skipped(bench: Any, page_size: int) -> None:
    """B19: an item unregistered before its turn is not worked on; the next run cleans it up."""
    bench.app.conf.process_page_size = page_size

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        process.unregister_work("b")

    process = bench.define(handler)
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert (bench.worked, bench.cleaned) == (["a", "c"], [])
    run = process.state().run
    assert (run.state, run.counts.completed, run.stats["workItems"]) == (RunState.COMPLETED, 2, 2)
    bench.next_slot(process)
    assert (bench.worked, bench.cleaned) == (["a", "c", "a", "c"], ["b"])


def test_b19_items_merged_in_wait_for_the_next_run(bench: Any) -> None:
    """B19: an item registered while a run is going on is worked on by the next one."""

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        process.register_work("new_work")

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert bench.worked == ["a"]
    bench.next_slot(process)
    assert bench.worked == ["a", "a", "new_work"]


def test_b20_new_params_of_an_item_not_yet_reached_are_used(bench: Any) -> None:
    """B20: an item that gets new params before its turn runs with those, within the same run."""
    seen: dict[str, object] = {}

    def handler(work: Any) -> None:
        seen[work.name] = work.params
        if work.name == "a":
            process.register_work("b", {"ttl": 2})

    process = bench.define(handler)
    process.register_works({"a": {"ttl": 1}, "b": {"ttl": 1}})
    bench.trigger(process)
    assert seen == {"a": {"ttl": 1}, "b": {"ttl": 2}}
    assert process.work("b").status.state is WorkState.COMPLETED


def test_b21_an_item_is_active_with_a_fresh_status_while_it_runs(bench: Any) -> None:
    """B21: the item that a handler works on is ACTIVE, with no stats or errors of its last run, and its run counts it."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        seen.append((process.work("a").status, process.state().run.counts))
        work.add_stats("keys")
        work.add_error("broken")

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    bench.next_slot(process)
    for status, counts in seen:
        assert (status.state, status.stats, status.errors, status.total_errors) == (WorkState.ACTIVE, {}, (), 0)
        assert (counts.claimed, counts.enlisted) == (1, 1)
    assert seen[1][0].started_at == bench.clock()


def test_b21_every_item_counts_however_it_ends(bench: Any) -> None:
    """B21: workItems counts the items worked on, those that failed too."""

    def handler(work: Any) -> None:
        if work.name == "bad":
            raise ValueError("broken")

    process = bench.define(handler)
    process.register_works(dict.fromkeys(["good", "bad"]))
    bench.trigger(process)
    assert process.state().run.stats["workItems"] == 2


def test_b22_an_item_that_returns_is_completed(bench: Any) -> None:
    """B22: a handler that returns leaves its item COMPLETED, finished now."""
    process = bench.define(lambda work: bench.clock.advance(MINUTE))
    process.register_work("a")
    bench.trigger(process)
    status = process.work("a").status
    assert (status.state, status.finished_at) == (WorkState.COMPLETED, bench.clock())


def test_b22_a_tolerated_error_leaves_the_item_incomplete(bench: Any) -> None:
    """B22: a handler that raises leaves its item INCOMPLETE, with no finish time, and the run goes on to its end."""

    def handler(work: Any) -> None:
        if work.name == "a":
            raise ValueError("broken")

    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    status = process.work("a").status
    assert (status.state, status.finished_at) == (WorkState.INCOMPLETE, None)
    assert process.work("b").status.state is WorkState.COMPLETED
    assert process.state().run.state is RunState.COMPLETED


def test_b22_an_error_beyond_the_tolerance_stops_the_run(bench: Any) -> None:
    """B22: the item whose error is one too many is ABORTED, and the run stops at once, ABORTED."""

    def handler(work: Any) -> None:
        raise ValueError("broken")

    process = bench.define(handler)
    process.register_works(dict.fromkeys(f"item-{number:02}" for number in range(30)))
    bench.trigger(process)
    states = [work.status.state for work in process.works()]
    assert states == [WorkState.INCOMPLETE] * 25 + [WorkState.ABORTED] * 5
    assert len(bench.worked) == 26
    run = process.state().run
    assert (run.state, run.total_errors, run.counts.aborted, run.counts.cancelled) == (RunState.ABORTED, 26, 1, 4)


def test_b23_a_raised_exception_is_one_error(bench: Any) -> None:
    """B23: what a handler raises counts as one error of its item and of the run."""

    def handler(work: Any) -> None:
        raise ValueError("broken")

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    status, run = process.work("a").status, process.state().run
    assert (status.total_errors, run.total_errors) == (1, 1)
    assert [error.text for error in status.errors] == ["ValueError: broken"]
    assert [(error.work, error.text) for error in run.errors] == [("a", "ValueError: broken")]


def test_b24_the_end_of_an_item_is_written_before_the_next_begins(bench: Any) -> None:
    """B24: whoever looks while an item runs sees how the items before it ended."""
    seen: list[list[WorkState]] = []
    process = bench.define(lambda work: seen.append([item.status.state for item in process.works()]))
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert [states[:index] for index, states in enumerate(seen)] == [
        [],
        [WorkState.COMPLETED],
        [WorkState.COMPLETED, WorkState.COMPLETED],
    ]


@pytest.mark.parametrize("change", ["none", "settings", "registration"])
def test_b24_none_updated_and_merged_go_on(bench: Any, change: str) -> None:
    """B24: a run goes on to its end whether or not settings and registrations change meanwhile."""

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        if change == "settings":
            process.update_settings({work.name: 1})
        elif change == "registration":
            process.register_work(work.name, {"changed": 1})

    process = bench.define(handler)
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert bench.worked == ["a", "b", "c"]
    assert process.state().run.state is RunState.COMPLETED


def test_b24_aborted_and_conflict_end_the_run(bench: Any) -> None:
    """B24: after an item in which the run was aborted or replaced, no further item of the run begins."""
    process = bench.define(lambda work: [work.add_error("broken") for _ in range(11)])
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert bench.worked == ["a"]

    def handler(work: Any) -> None:
        if work.run.id == list(other.runs())[-1].id:
            bench.clock.advance(timedelta(hours=1))
            bench.trigger(other)

    bench.worked.clear()
    other = bench.define(handler, name="other", overlap="replace")
    other.register_works(dict.fromkeys("abc"))
    bench.trigger(other)
    assert bench.worked == ["a", "a", "b", "c"], "the first item of the replaced run, then all of the new one"


def test_b25_errors_that_mean_gone_count_as_clean(bench: Any) -> None:
    """B25 and decision 11: exceptions of the classes `gone` say that nothing is left to clean up."""

    def cleanup(work: Any) -> None:
        raise NotThere(work.name)

    process = bench.define()
    process.cleanup(gone=(NotThere,))(cleanup)
    process.unregister_work("x")
    bench.trigger(process)
    run = process.state().run
    assert bench.names(process, "dropped") == ["x"]
    assert (run.total_errors, run.stats["workItemsCleaned"]) == (0, 1)
    assert "workItemsDirty" not in run.stats


def test_b25_other_errors_of_a_cleanup_name_their_item(bench: Any) -> None:
    """B25: any other error is kept with the run, and says which item it was."""

    def cleanup(work: Any) -> None:
        raise PermissionError("no")

    process = bench.define(cleanup=cleanup)
    process.unregister_work("x")
    bench.trigger(process)
    run = process.state().run
    assert [(error.work, error.text) for error in run.errors] == [("x", "PermissionError: no")]
    assert run.total_errors == 1


def test_b26_a_clean_cleanup_counts_and_drops(bench: Any) -> None:
    """B26: a cleanup that returns counts as workItemsCleaned, and its item is on cleanup no more."""
    process = bench.define()
    process.unregister_work("x")
    bench.trigger(process)
    assert process.state().run.stats["workItemsCleaned"] == 1
    assert (bench.names(process, "cleanup"), bench.names(process, "dropped")) == ([], ["x"])


def test_b26_an_error_leaves_the_item_for_the_next_run(bench: Any) -> None:
    """B26: a cleanup that raises counts as workItemsDirty, and the next run cleans the item again."""

    def cleanup(work: Any) -> None:
        if len(bench.cleaned) == 1:
            raise PermissionError("no")

    process = bench.define(cleanup=cleanup)
    process.unregister_work("x")
    bench.trigger(process)
    run = process.state().run
    assert (run.stats["workItemsDirty"], run.state) == (1, RunState.COMPLETED)
    assert "workItemsCleaned" not in run.stats
    assert bench.names(process, "cleanup") == ["x"]
    run = bench.next_slot(process)
    assert run.stats["workItemsCleaned"] == 1
    assert bench.names(process, "dropped") == ["x"]


def test_b26_an_abort_in_a_cleanup_is_dirty_and_aborted(bench: Any) -> None:
    """B26: the 11th error of a cleanup counts its item as dirty and as aborted, and stops the run."""
    process = bench.define(cleanup=lambda work: [work.add_error("broken") for _ in range(11)])
    process.unregister_work("x")
    bench.trigger(process)
    run = process.state().run
    assert (run.state, run.stats["workItemsDirty"], run.stats["workItemsAborted"]) == (RunState.ABORTED, 1, 1)
    assert bench.names(process, "cleanup") == ["x"]
    assert process.work("x").status.state is WorkState.ABORTED


def test_b26_an_error_within_tolerance_is_answered_continue(bench: Any) -> None:
    """B26: the ten tolerated errors of a cleanup do not stop the run."""
    answers: list[ErrorAction] = []
    process = bench.define(cleanup=lambda work: answers.extend(work.add_error("broken") for _ in range(10)))
    process.unregister_works(["x", "y"])
    bench.trigger(process)
    assert answers == [ErrorAction.CONTINUE] * 20
    assert (bench.cleaned, process.state().run.stats["workItemsDirty"]) == (["x", "y"], 2)


def test_b27_a_cleaned_item_is_dropped_with_its_time(bench: Any) -> None:
    """B27: a dropped item shows when it was dropped: when its cleanup ended."""
    process = bench.define(cleanup=lambda work: bench.clock.advance(MINUTE))
    process.unregister_work("x")
    bench.trigger(process)
    work = process.work("x")
    assert (work.on, work.status.finished_at) == (WorkList.DROPPED, bench.clock())


def test_b27_an_item_registered_again_during_its_cleanup_stays_active(bench: Any) -> None:
    """B27: a cleanup that ends after its item was registered again drops nothing."""
    process = bench.define(cleanup=lambda work: process.register_work(work.name))
    process.unregister_work("x")
    bench.trigger(process)
    assert (bench.names(process, "active"), bench.names(process, "dropped")) == (["x"], [])
    bench.next_slot(process)
    assert (bench.cleaned, bench.worked) == (["x"], ["x"])
