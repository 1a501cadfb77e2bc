"""A batch on a store: what waits and for how long, what goes at once, what is given back."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from celery_process import RunState, Tolerance, WorkState
from celery_process.definition.options import define
from celery_process.engine.batch import HOLD, Batch
from celery_process.engine.heartbeat import Heartbeat
from celery_process.exceptions import OwnershipLost, StoreUnavailable
from celery_process.instants import from_us
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.states import Again, ClaimAnswer, Progress, StopReason, WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

NAMES = [f"n{number:02}" for number in range(8)]
QUICK = HOLD / 50
SECOND = timedelta(seconds=1)
COMPLETED = WorkState.COMPLETED


class Line(MemoryStore):
    """The memory store at the end of a line that can be cut; notes how many reports each call brings."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.calls: list[int] = []
        self.cut = False

    def report(self, process, run, reports, **named):
        if self.cut:
            raise StoreUnavailable("report did not answer; try again later.", operation="report")
        self.calls.append(len(reports))
        return super().report(process, run, reports, **named)


class Table:
    """A run of some items of which a batch holds all, and a clock that stands still."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.now = MovableClock(), 1000.0
        self.store = Line(clock=self.clock)
        self.store.register("p", dict.fromkeys(NAMES, "{}"))
        self.clock.advance(SECOND)
        slot = SlotRef(from_us(0), from_us(0))
        limits = options.get("tolerance", Tolerance())
        spec = RunSpec("{}", limits.per_work, limits.per_run)
        claim = self.store.claim_run("p", uuid="u", slot=slot, spec=spec, again=Again.ALWAYS, by="")
        assert claim.run is not None
        self.run_id = claim.run.id
        self.store.open_page("p", self.run_id, token="page", size=100, window=1000)
        self.definition = define("p", lambda work: None, {"schedule": 60, **options})
        self.batch = self.claim(NAMES)

    def claim(self, names: list[str], token: str = "t") -> Batch:
        claims = self.store.claim("p", self.run_id, names, token=token, lease=30 * SECOND, max_attempts=3)
        return Batch(
            self.definition,
            self.store,
            self.run_id,
            token,
            [claim for claim in claims if claim.answer is ClaimAnswer.CLAIMED],
            progress_frequency=timedelta(0),
            monotonic=lambda: self.now,
        )

    def work(self, *, takes: float = QUICK, outcome: WorkState = COMPLETED, stats: int = 1) -> Any:
        """Start the next item, let it take its time, and end it."""
        work = self.batch.next()
        assert work is not None
        self.now += takes
        work.add_stats("x", stats)
        self.batch.end(work, outcome, None)
        return work

    def stored(self) -> list[str]:
        """Return the names whose outcome the store has."""
        return [name for name in NAMES if self.store.work("p", name).status.state in (COMPLETED, WorkState.INCOMPLETE)]

    def status(self, name: str) -> Any:
        return self.store.work("p", name).status


def test_quick_items_are_reported_in_one_call() -> None:
    """The last item of a message takes along all that wait; each keeps its outcome and its stats."""
    table = Table()
    for number in range(len(NAMES)):
        table.work(outcome=WorkState.INCOMPLETE if number == 3 else COMPLETED, stats=number)
    assert table.store.calls == [8]
    assert [table.status(name).stats["x"] for name in NAMES] == list(range(8))
    assert [name for name in NAMES if table.status(name).state is not COMPLETED] == [NAMES[3]]
    assert [done.work.name for done in table.batch.take_outcomes()] == NAMES
    (told,) = table.batch.take_answers()
    assert told.run is None
    assert told.page_closed


def test_an_item_that_took_long_is_reported_when_it_ends() -> None:
    """An item of `HOLD` seconds does not wait, and takes along those that do."""
    table = Table()
    table.work()
    table.work()
    assert table.stored() == []
    table.work(takes=HOLD)
    assert table.stored() == NAMES[:3]


def test_an_outcome_waits_no_longer_than_it_may() -> None:
    """Items of half of `HOLD` are reported by every second one."""
    table = Table()
    for _ in range(5):
        table.work(takes=HOLD * 0.6)
    assert table.store.calls == [3]
    assert table.stored() == NAMES[:3]


def test_the_heartbeat_reports_what_waits_while_an_item_takes_long() -> None:
    """What waits is due after `HOLD`, not only with the leases, and a beat brings it alone."""
    table = Table()
    table.work()
    assert table.batch.next() is not None
    assert table.batch.due_at == pytest.approx(table.now + HOLD)
    table.now += HOLD
    assert table.batch.beat()
    assert (table.store.calls, table.stored()) == ([1], NAMES[:1])
    assert table.batch.due_at == pytest.approx(1010, abs=0.1)


def test_a_beat_renews_what_is_not_over() -> None:
    """The leases of the present item and of those behind it are renewed in one call, every third of a lease."""
    table = Table(time_limit=60)
    table.work(takes=HOLD)
    table.batch.next()
    for _ in range(4):
        table.now += 10
        table.clock.advance(10 * SECOND)
        assert table.batch.beat()
    assert table.store.calls == [1, 7, 7, 7, 7]
    claims = table.store.claim("p", table.run_id, NAMES[1:], token="other", lease=SECOND, max_attempts=3)
    assert {claim.answer for claim in claims} == {ClaimAnswer.BUSY}


def test_an_error_goes_at_once_and_takes_along_what_waits() -> None:
    """The tolerance is as exact as with one item a message."""
    table = Table(tolerance=Tolerance(0, 0))
    table.work()
    work = table.batch.next()
    work.add_error("one too many")
    assert table.stored() == NAMES[:1]
    assert work.aborted_here
    assert table.batch.aborting
    table.batch.end(work, WorkState.ABORTED, None)
    table.batch.flush()
    table.batch.give_back()
    counts = table.store.run("p", table.run_id).counts
    assert (counts.completed, counts.aborted, counts.cancelled) == (1, 1, 6)


def test_progress_takes_along_what_waits() -> None:
    """Whoever asks the store anyway brings all the news."""
    table = Table()
    table.work()
    work = table.batch.next()
    assert work.progress() is Progress.UPDATED
    assert table.stored() == NAMES[:1]


def test_an_abort_by_another_worker_is_noticed_with_the_next_report() -> None:
    """No more than what fits into `HOLD` is started after a run was aborted elsewhere; the rest is cancelled."""
    table = Table()
    table.work()
    table.store.stop_run("p", table.run_id, StopReason.CANCELLED)
    assert not table.batch.aborting
    table.work(takes=HOLD)
    assert table.batch.aborting
    assert table.batch.give_back() is not None
    run = table.store.run("p", table.run_id)
    assert (run.state, run.counts.completed, run.counts.cancelled) == (RunState.INCOMPLETE, 2, 6)


def test_what_is_given_back_was_not_attempted() -> None:
    """Items given back are pending, as if nobody had had them, and another worker may have them at once."""
    table = Table()
    table.work()
    assert table.batch.give_back() == (WorkList.ACTIVE, tuple(NAMES[1:]))
    assert table.batch.next() is None
    claims = table.store.claim("p", table.run_id, NAMES[1:], token="other", lease=SECOND, max_attempts=1)
    assert {(claim.answer, claim.attempt) for claim in claims} == {(ClaimAnswer.CLAIMED, 1)}
    assert table.batch.give_back() is None


def test_over_the_time_limit_the_rest_is_given_back() -> None:
    """An item that hangs is renewed no more; those behind it go to others without having used up an attempt."""
    table = Table(time_limit=5)
    table.work()
    table.batch.next()
    assert table.batch.due_at <= table.now + 5
    table.now += 5
    assert not table.batch.beat()
    assert table.stored() == NAMES[:1]
    assert [table.status(name).state for name in NAMES[1:3]] == [WorkState.ACTIVE, WorkState.NEW]
    assert table.batch.next() is None


def test_the_time_limit_is_of_each_item() -> None:
    """A batch may take longer than the limit; its clock begins anew with each item."""
    table = Table(time_limit=5)
    for _ in range(4):
        table.work(takes=4)
        assert table.batch.beat()


def test_what_waits_survives_an_outage() -> None:
    """A report that fails is sent again with the next one, and the heartbeat is not due again at once."""
    table = Table()
    table.work()
    table.batch.next()
    table.store.cut = True
    table.now += HOLD
    with pytest.raises(StoreUnavailable):
        table.batch.beat()
    assert table.batch.due_at > table.now + 1
    table.store.cut = False
    table.batch.flush()
    assert table.stored() == NAMES[:1]


def test_the_end_of_an_item_can_be_told_again() -> None:
    """Where the store did not hear of an end, the same call again tells it, and what waits with it."""
    table = Table()
    table.work()
    work = table.batch.next()
    table.now += HOLD
    table.store.cut = True
    with pytest.raises(StoreUnavailable):
        table.batch.end(work, COMPLETED, None)
    assert table.batch.take_outcomes() == []
    table.store.cut = False
    table.batch.end(work, COMPLETED, None)
    assert table.stored() == NAMES[:2]
    assert len(table.batch.take_outcomes()) == 2


def test_items_of_a_run_that_was_replaced_are_lost() -> None:
    """What waits for a run that is over is told to be somebody else's, and nothing of it is kept."""
    table = Table()
    table.work()
    table.store.stop_run("p", table.run_id, StopReason.SUPERSEDED)
    table.work(takes=HOLD)
    assert [done.work.lost for done in table.batch.take_outcomes()] == [True, True]
    assert table.store.run("p", table.run_id).counts.cancelled == 8
    work = table.batch.next()
    with pytest.raises(OwnershipLost):
        work.progress()
    calls = len(table.store.calls)
    table.batch.end(work, COMPLETED, None)
    assert len(table.store.calls) == calls
    assert [done.work for done in table.batch.take_outcomes()] == [work]


def test_an_exception_counts_in_each_item_that_records_it() -> None:
    """One exception object that two items of a batch record is an error of each (W19 is about one item)."""
    table = Table()
    error = ValueError("shared")
    for _ in range(2):
        work = table.batch.next()
        work.add_error(error)
        work.add_error(error)
        table.batch.end(work, WorkState.INCOMPLETE, error)
    assert table.store.run("p", table.run_id).total_errors == 2


def test_a_real_heartbeat_reports_what_waits() -> None:
    """While the second item of a message runs on, the outcome of the first arrives by the heartbeat's thread."""
    table = Table()
    table.batch = Batch(
        table.definition,
        table.store,
        table.run_id,
        "t",
        table.store.claim("p", table.run_id, NAMES, token="t", lease=30 * SECOND, max_attempts=3),
        progress_frequency=timedelta(0),
        monotonic=time.monotonic,
    )
    heartbeat, release = Heartbeat(), threading.Event()
    with heartbeat.holding(table.batch):
        table.batch.end(table.batch.next(), COMPLETED, None)
        assert table.stored() == []
        table.batch.next()
        deadline = time.monotonic() + 20
        while not table.stored() and time.monotonic() < deadline:
            release.wait(0.01)
    assert table.stored() == NAMES[:1]
