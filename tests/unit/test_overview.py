"""How far a process is: fraction, rate, time left, errors against what is tolerated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from celery_process import Processes, RunState, Tolerance
from celery_process.monitor.overview import FADES, overview, read_overview
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import ItemCounts, Pause, ProcessState, RunStatus
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock
from celery_process.text.durations import exact, humanize

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
COUNTS = ItemCounts(pending=30, claimed=20, completed=40, incomplete=10)
RUN = RunStatus(
    process="p",
    id="2-a",
    epoch=2,
    slot=START,
    generation=1,
    state=RunState.ACTIVE,
    reason="",
    settings_version=0,
    started_at=START,
    progress_at=START,
    finished_at=None,
    counts=COUNTS,
    stats={},
    total_errors=10,
    errors=(),
)
STATE = ProcessState("p", timedelta(hours=1), {}, 0, None, RUN, {}, Limits(1000))
TOLERANT = Tolerance()


def seconds(number):
    return timedelta(seconds=number)


def test_a_process_that_never_ran_has_no_numbers():
    """Without a run there is no state, no fraction and no rate."""
    seen = overview(replace(STATE, run=None), START, tolerance=TOLERANT)
    assert (seen.state, seen.fraction, seen.rate, seen.remaining, seen.done, seen.total) == (None, None, None, None, 0, 0)
    assert not seen.is_open


def test_an_open_run_is_measured_against_what_is_listed():
    """50 of 200 are a quarter; at 5 items a second the other 150 take 30 seconds."""
    seen = overview(STATE, START + seconds(10), tolerance=TOLERANT, listed=200)
    assert (seen.done, seen.total, seen.fraction) == (50, 200, 0.25)
    assert (seen.rate, seen.remaining) == (5.0, seconds(30))


def test_what_is_enlisted_counts_where_less_is_listed():
    """Items that left the lists in mid-run stay in the total of the run."""
    assert overview(STATE, START, tolerance=TOLERANT, listed=3).total == COUNTS.enlisted


def test_a_closed_run_is_whole():
    """A run that has ended is measured by its own items, its rate over the time it took."""
    run = replace(
        RUN, state=RunState.COMPLETED, finished_at=START + seconds(20), counts=ItemCounts(completed=40, incomplete=10)
    )
    seen = overview(replace(STATE, run=run), START + seconds(3600), tolerance=TOLERANT, listed=999)
    assert (seen.fraction, seen.total, seen.rate, seen.remaining) == (1.0, 50, 2.5, None)
    assert seen.last_outcome is RunState.COMPLETED


def test_a_closed_run_without_items_is_whole():
    """Nothing to do, done."""
    run = replace(RUN, state=RunState.COMPLETED, finished_at=START, counts=ItemCounts())
    assert overview(replace(STATE, run=run), START, tolerance=TOLERANT).fraction == 1.0


def test_a_paused_process_has_no_time_left_and_no_next_slot():
    """A pause has no known end."""
    paused = replace(STATE, paused=Pause("why", "ann", START))
    seen = overview(paused, START + seconds(10), tolerance=TOLERANT, listed=200, next_slot=START + seconds(3600))
    assert (seen.remaining, seen.next_slot, seen.rate) == (None, None, 5.0)


@pytest.mark.parametrize(
    ("tolerance", "limit"),
    [
        (Tolerance(), 25),
        (Tolerance(per_run=None), None),
        (Tolerance(per_run=None, percent=10), 20),
        (Tolerance(percent=1), 2),
    ],
)
def test_the_limit_is_the_stricter_one(tolerance, limit):
    """A share counts of the items of the run."""
    assert overview(STATE, START, tolerance=tolerance, listed=200).limit == limit


def test_the_rate_follows_what_happens_now():
    """A rate of 5 becomes nearly 100 when 100 items a second end for long, and nearly 0 when none does."""
    first = overview(STATE, START + seconds(10), tolerance=TOLERANT, listed=10**6)
    fast, slow = first, first
    for step in range(1, 1 + 10 * int(FADES.total_seconds())):
        now = START + seconds(10 + step)
        counts = replace(COUNTS, completed=40 + 100 * step)
        fast = overview(replace(STATE, run=replace(RUN, counts=counts)), now, tolerance=TOLERANT, earlier=fast)
        slow = overview(STATE, now, tolerance=TOLERANT, earlier=slow)
    assert fast.rate == pytest.approx(100, rel=0.01)
    assert slow.rate == pytest.approx(0, abs=0.01)
    assert slow.remaining is None
    assert fast.total == 10**6


def test_the_rate_of_another_run_says_nothing():
    """An earlier overview of the run before is not gone on with."""
    first = overview(STATE, START + seconds(10), tolerance=TOLERANT, listed=200)
    run = replace(RUN, id="3-b", epoch=3, started_at=START + seconds(20))
    seen = overview(replace(STATE, run=run), START + seconds(30), tolerance=TOLERANT, listed=100, earlier=first)
    assert (seen.rate, seen.total) == (5.0, 100)


@given(
    st.builds(ItemCounts, *[st.integers(0, 10**7)] * 8),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)),
    st.integers(0, 10**7),
    st.timedeltas(min_value=timedelta(seconds=-10), max_value=timedelta(days=30)),
)
def test_numbers_are_always_sane(counts, since, listed, later):
    """Whatever is counted and whatever a clock does, a fraction is in 0 … 1, and rate and time left are not negative."""
    state = replace(STATE, run=replace(RUN, counts=counts))
    first = overview(state, START + since, tolerance=TOLERANT, listed=listed)
    for seen in (first, overview(state, START + since + later, tolerance=TOLERANT, earlier=first)):
        assert seen.fraction is None or 0 <= seen.fraction <= 1
        assert seen.rate is None or seen.rate >= 0
        assert seen.remaining is None or seen.remaining >= timedelta(0)
        assert seen.done <= seen.total


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def process(clock):
    processes = Processes(Celery("overview", set_as_current=False), backend=MemoryStore(clock=clock))
    processes.app.conf.task_always_eager = True

    @processes.process("p", schedule=3600)
    def p(work):
        if work.name == "bad":
            raise ValueError("no")

    return p


def test_reading_gives_the_store_s_numbers(process, clock):
    """The overview agrees with the state, and the next slot is after the store's now."""
    process.register_works({"good": None, "bad": None, "gone": None})
    process.unregister_work("gone")
    assert read_overview(process).state is None
    run = process.run_now()
    seen = read_overview(process)
    assert (seen.done, seen.total, seen.errors, seen.fraction) == (3, 3, 1, 1.0)
    assert seen.run_id == run.id
    assert seen.last_error.text == run.errors[0].text
    assert clock() < seen.next_slot <= clock() + timedelta(hours=1)


def test_an_open_run_is_counted_once(process, clock, monkeypatch):
    """Asked again and again, the lists are counted once a run; the run before tells the last outcome."""
    process.register_works({"good": None})
    process.run_now()
    store = process.dispatch.store
    counted = []
    counts = store.work_counts
    monkeypatch.setattr(store, "work_counts", lambda name: counted.append(name) or counts(name))
    monkeypatch.setattr(type(process.dispatch), "advance", lambda self, run_id: None)
    clock.advance(timedelta(hours=1))
    run = process.run_now()
    assert run.state is RunState.ACTIVE
    seen = read_overview(process)
    again = read_overview(process, earlier=seen)
    assert (seen.total, again.total, seen.last_outcome) == (1, 1, RunState.COMPLETED)
    assert counted == ["p"]


@pytest.mark.parametrize(
    ("span", "text"), [(0.4, "0s"), (59, "59s"), (200, "3m 20s"), (3_725, "1h 02m"), (90_000 * 2, "2d 2h")]
)
def test_humanized(span: float, text: str) -> None:
    """A duration has at most two units."""
    assert humanize(timedelta(seconds=span)) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0.25, "0.25s"),
        (1, "1s"),
        (60, "1m"),
        (90, "1m 30s"),
        (3_600, "1h"),
        (90_061.5, "1d 1h 1m 1.5s"),
        (86_400 * 400, "400d"),
    ],
)
def test_exact(span: float, text: str) -> None:
    """A schedule is written in all of its units, so that no two read the same."""
    assert exact(timedelta(seconds=span)) == text
