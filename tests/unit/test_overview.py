"""The overview of a process, from runs made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from celery_process.model import ItemCounts, RunStatus
from celery_process.overview import overview
from celery_process.states import RunState
from celery_process.tolerance import Tolerance

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_run(state: RunState, counts: ItemCounts, *, finished_at: datetime | None = None, errors: int = 0) -> RunStatus:
    return RunStatus(
        "shop", "r", 1, NOON, 1, state, "", 1, NOON, NOON, finished_at, counts, {}, total_errors=errors, errors=()
    )


def of(*runs: RunStatus, listed: int = 100, **options):
    options = {"now": NOON + timedelta(seconds=10), "tolerance": Tolerance(10, 25), **options}
    return overview("shop", runs, listed=listed, **options)


def test_a_process_that_never_ran():
    """Without a run there is no state, no rate and no outcome, but the items listed and what is tolerated."""
    seen = of()
    assert (seen.state, seen.rate, seen.remaining, seen.last_outcome) == (None, None, None, None)
    assert (seen.fraction, seen.total, seen.tolerated) == (0.0, 100, 25)


def test_an_open_run():
    """Rate and remaining time follow from the items ended since it began; the outcome is that of the run before."""
    before = a_run(RunState.ABORTED, ItemCounts(aborted=1), finished_at=NOON)
    seen = of(a_run(RunState.ACTIVE, ItemCounts(pending=30, completed=20), errors=3), before)
    assert (seen.done, seen.total, seen.fraction) == (20, 100, 0.2)
    assert (seen.rate, seen.remaining) == (2.0, timedelta(seconds=40))
    assert (seen.errors, seen.last_outcome) == (3, RunState.ABORTED)


def test_a_closed_run():
    """It is at 1 with nothing remaining, and its rate is over its own time, not until now."""
    closed = a_run(RunState.COMPLETED, ItemCounts(completed=20), finished_at=NOON + timedelta(seconds=4))
    seen = of(closed, now=NOON + timedelta(days=1))
    assert (seen.fraction, seen.total, seen.rate, seen.remaining) == (1.0, 20, 5.0, None)
    assert seen.last_outcome is RunState.COMPLETED


@pytest.mark.parametrize(("state", "paused"), [(RunState.ACTIVE, True), (RunState.ABORTING, False)])
def test_what_stands_still_has_no_remaining_time(state, paused):
    """A paused run, and one that stops, do not go through the rest of their items."""
    assert of(a_run(state, ItemCounts(pending=1, completed=1)), paused=paused).remaining is None


def test_nothing_to_do():
    """An open run of no items is at 0, without a division by it."""
    seen = of(a_run(RunState.ACTIVE, ItemCounts()), listed=0, now=NOON)
    assert (seen.fraction, seen.rate, seen.remaining) == (0.0, None, None)


def test_a_percentage_is_of_all_items():
    """Of the number and the percentage the stricter counts, over all items."""
    assert of(a_run(RunState.ACTIVE, ItemCounts(completed=1)), tolerance=Tolerance(10, 25, percent=5)).tolerated == 5
