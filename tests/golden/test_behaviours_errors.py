"""Errors and stats: B28 to B30."""

from __future__ import annotations

from typing import Any

from celery_process.protocol.states import ErrorAction, RunState, WorkState

CONTINUE, ABORT = ErrorAction.CONTINUE, ErrorAction.ABORT


def test_b28_the_10th_error_of_an_item_is_continue_and_the_11th_abort(bench: Any) -> None:
    """B28: ten errors of an item are tolerated; the 11th and every later one is answered Abort, and all are counted."""
    answers: list[ErrorAction] = []
    process = bench.define(lambda work: answers.extend(work.add_error(f"error {number}") for number in range(1, 14)))
    process.register_work("a")
    bench.trigger(process)
    assert answers == [CONTINUE] * 10 + [ABORT] * 3
    status, run = process.work("a").status, process.state().run
    assert (status.total_errors, run.total_errors) == (13, 13)
    assert [error.text for error in status.errors] == [f"error {number}" for number in range(1, 11)]
    assert status.last_error_at == run.last_error_at == bench.clock()


def test_b28_the_25th_error_of_a_run_is_continue_and_the_26th_abort(bench: Any) -> None:
    """B28: 25 errors of a run are tolerated; the 26th is answered Abort. The texts kept are the first 25."""
    answers: list[ErrorAction] = []
    process = bench.define(lambda work: answers.extend(work.add_error(f"{work.name} {number}") for number in range(9)))
    process.register_works(dict.fromkeys("abc"))
    bench.trigger(process)
    assert answers == [CONTINUE] * 25 + [ABORT] * 2
    run = process.state().run
    assert run.total_errors == 27
    assert [error.text for error in run.errors] == [f"{name} {number}" for name in "abc" for number in range(9)][:25]
    assert run.state is RunState.ABORTED
    assert process.work("c").status.state is WorkState.ABORTED


def test_b28_both_limits_count_side_by_side(bench: Any) -> None:
    """B28: errors of an item count for the run too, and the run's own do not count for the item."""
    answers: list[ErrorAction] = []

    def handler(work: Any) -> None:
        answers.extend(work.run.add_error("of the run") for _ in range(16))
        answers.extend(work.add_error("of the item") for _ in range(10))

    process = bench.define(handler)
    process.register_work("a")
    bench.trigger(process)
    assert answers == [CONTINUE] * 25 + [ABORT]
    assert (process.work("a").status.total_errors, process.state().run.total_errors) == (10, 26)


def test_b29_errors_of_the_run_count_on_the_process_only(bench: Any) -> None:
    """B29: an error that belongs to no item counts on the run, and on no item."""
    process = bench.define(lambda work: work.run.add_error("upstream is down"))
    process.register_work("a")
    bench.trigger(process)
    run, status = process.state().run, process.work("a").status
    assert [(error.work, error.text) for error in run.errors] == [(None, "upstream is down")]
    assert (run.total_errors, status.total_errors, status.state) == (1, 0, WorkState.COMPLETED)


def test_b30_stats_of_an_item_are_the_runs_with_work_before_them(bench: Any) -> None:
    """B30: a stat of an item is summed in the run as work.<name>; a stat of the run stands under its own name."""

    def handler(work: Any) -> None:
        work.add_stats("accounts")
        work.add_stats("keysRemoved", 2.5)
        work.add_stats("keysRemoved", 1.25)
        work.run.add_stats("calls", 7)

    process = bench.define(handler)
    process.register_works(dict.fromkeys("ab"))
    bench.trigger(process)
    assert process.work("a").status.stats == {"accounts": 1, "keysRemoved": 3.75}
    stats = process.state().run.stats
    assert (stats["work.accounts"], stats["work.keysRemoved"], stats["calls"]) == (2, 7.5, 14)
    assert not {"accounts", "keysRemoved", "work.calls"} & set(stats)
