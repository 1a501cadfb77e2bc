"""Limits: what may be said of them, and what dispatching makes of a rate."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from celery import Celery
from celery.utils.time import rate as rate_of_celery

from celery_process import Processes, RunState
from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.protocol.limits import FASTEST, NO_RATE, Limits, Pace, check_rate, page_size, page_time, per_second
from celery_process.protocol.states import StopReason
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock
from tests.ports import LoosePort

NAMES = [f"item-{number:03}" for number in range(100)]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("50/s", "50/s"),
        ("10/m", "10/m"),
        ("5 / h", "5/h"),
        ("7", "7/s"),
        (7, "7/s"),
        (0.5, "0.5/s"),
        ("1.5/m", "1.5/m"),
        (1 / 86_400, "0.000011574074074074073/s"),
    ],
)
def test_rates_are_those_of_celery(given, kept):
    """A rate is read as Celery reads it, and kept with its unit."""
    assert check_rate(given) == kept
    said = given.replace(" ", "") if isinstance(given, str) else given
    assert per_second(kept) == pytest.approx(rate_of_celery(said))
    assert check_rate(kept) == kept


@pytest.mark.parametrize(
    "given", ["", "fast", "10/d", "-1/s", -1, math.nan, math.inf, 10**7, 10**400, "1e3/s", "9" * 40, 1e-9, "\u0665/s"]
)
def test_what_is_no_rate(given):
    """Anything else is refused with what to write."""
    with pytest.raises(InvalidValue, match="rate_limit is"):
        check_rate(given)


@pytest.mark.parametrize("given", [True, b"1/s", ["1/s"], timedelta(1)])
def test_what_cannot_be_a_rate(given):
    with pytest.raises(InvalidType, match="10/m"):
        check_rate(given)


@pytest.mark.parametrize("given", [0, 0.0, "0", "0/m"])
def test_nothing_is_no_limit(given):
    """0 lifts a limit, as it does in Celery."""
    assert check_rate(given) == NO_RATE
    assert Limits(rate_limit=NO_RATE).over(10, 5.0) == (10, None)


def test_stored_wins():
    """Each stored limit wins over the code's; infinity is no rate, whatever is stored."""
    assert Limits().over(100, 2.0) == (100, 2.0)
    assert Limits(5, "1/m").over(100, None) == (5, 1 / 60)
    assert Limits(None, "3/s").over(100, math.inf) == (100, None)


@pytest.mark.parametrize("rate", [1 / 86_400, 0.7, 3.3, 999.0, float(FASTEST)])
@pytest.mark.parametrize("late", [0.0, 0.1, 0.9, 7.0])
def test_the_rate_is_reached_and_never_passed(rate, late):
    """In any time no more goes out than rate × time and two pages; and no less, where pages are less late than a page lasts."""
    now = MovableClock()()
    size, pace, sent = page_size(500, rate), None, []
    for _ in range(200):
        if pace is not None:
            now += pace.due_in(now, rate) + late * page_time(size, rate) * (len(sent) % 3) / 2
        pace = pace.following(now, size, rate) if pace else Pace(now, size)
        sent.append(now)
    for first in (0, 50, 120):
        for last in range(first, 200):
            passed = (sent[last] - sent[first]).total_seconds()
            assert size * (last - first + 1) <= rate * passed + 2 * size + 1e-3
    if late < 1:
        assert size * 200 >= rate * (sent[-1] - sent[0]).total_seconds() * 0.99


def test_a_big_page_does_not_hold_up_a_slow_rate():
    """After a rate that fell, the next page waits for one item's time and not for that of the many before."""
    now = MovableClock()()
    assert Pace(now, 500).due_in(now, 1 / 60) == timedelta(minutes=1)
    assert Pace(now, 500).due_in(now, 500.0) == SECOND


class Paced:
    """A process whose messages lie in a list, under a clock that the test moves."""

    def __init__(self, *, inline: bool = False, **options):
        self.clock, self.sent, self.coming = MovableClock(), [], []
        self.store = MemoryStore(clock=self.clock)
        self.store.register("p", dict.fromkeys(NAMES, "{}"))
        self.dispatch = Dispatch(
            definition=define("p", lambda work: None, {"schedule": None, **options}),
            store=self.store,
            config=Config(page_size=40),
            port=LoosePort(
                send=lambda on, names, run_id, *, single: self.sent.extend(names),
                come_back=lambda run_id, token, due_in: self.coming.append((self.clock() + due_in, run_id, token)),
                inline=inline,
            ),
        )


def test_the_next_page_comes_by_itself():
    """With nobody working items, one message a page brings the next, on time, until the window is full."""
    paced = Paced(rate_limit="10/s", max_in_flight=60)
    run = paced.dispatch.run_now(slot=None, by="")
    assert len(paced.sent) == 10
    for second in range(1, 6):
        assert len(paced.coming) == 1
        at, run_id, token = paced.coming.pop()
        assert (at - run.started_at, run_id) == (second * SECOND, run.id)
        paced.clock.set(at - timedelta(milliseconds=3))  # early, by the clock of the worker
        paced.dispatch.advance(run_id, token)
        assert paced.coming.pop() == (at, run_id, token)
        paced.clock.set(at)
        paced.dispatch.advance(run_id, token)
        paced.dispatch.advance(run_id)
        assert len(paced.sent) == 10 * (second + 1)
    assert paced.coming == []
    assert paced.store.run("p", run.id).counts.pending == 60


def test_those_who_ask_too_early_are_not_told_to_come_back_too():
    """However many reports ask for the next page, one message is on its way."""
    paced = Paced(rate_limit="10/s")
    run = paced.dispatch.run_now(slot=None, by="")
    for _ in range(20):
        paced.clock.advance(SECOND / 100)
        paced.dispatch.advance(run.id)
    assert (len(paced.sent), len(paced.coming)) == (10, 1)


def test_a_new_run_waits_for_nobody_else():
    """Who was to come back for a run that was stopped comes back for none; the next run has somebody of its own."""
    paced = Paced(rate_limit="10/s")
    run = paced.dispatch.run_now(slot=None, by="")
    paced.dispatch.stop(run.id, StopReason.CANCELLED)
    run = paced.dispatch.run_now(slot=None, by="")
    assert [run_id for _, run_id, _ in paced.coming][1:] == [run.id]
    at, run_id, token = paced.coming.pop()
    paced.clock.set(at)
    paced.dispatch.advance(run_id, token)
    assert len(paced.sent) == 20


def test_stored_limits_again_and_again_let_nothing_more_out():
    """Whoever stores the same every second keeps the rate, and the last comeback is for whoever asked last."""
    paced = Paced()
    paced.store.update_limits("p", max_in_flight=None, rate_limit="1/m", by="")
    run = paced.dispatch.run_now(slot=None, by="")
    for _ in range(50):
        paced.clock.advance(SECOND)
        paced.store.update_limits("p", max_in_flight=None, rate_limit="1/m", by="")
        paced.dispatch.advance(run.id)
    assert len(paced.sent) == 1
    at, run_id, token = paced.coming[-1]
    paced.clock.set(at)
    paced.dispatch.advance(run_id, token)
    assert len(paced.sent) == 2


def test_eager_items_do_not_wait():
    """Where the items are worked before `send` returns, as in eager mode, a rate would only hold up who asked."""
    paced = Paced(rate_limit="1/m", inline=True)
    paced.store.update_limits("p", max_in_flight=None, rate_limit="1/h", by="")
    paced.dispatch.run_now(slot=None, by="")
    assert len(paced.sent) == len(NAMES)


@pytest.fixture
def processes():
    app = Celery("limits", set_as_current=False)
    app.conf.task_always_eager = True
    return Processes(app, backend=MemoryStore(clock=MovableClock()))


def test_state_tells_what_is_in_force(processes):
    """The code's limits, each replaced by a stored one, with who stored it; None keeps what is stored, `reset` forgets it."""
    process = processes.process("p", schedule=60, rate_limit=5, max_in_flight=70)(lambda work: None)
    assert process.state().limits == Limits(70, "5/s")
    process.update_limits(rate_limit="30/m", by="ada")
    now = processes.store.now()
    assert process.state().limits == Limits(70, "30/m", now, "ada")
    process.update_limits(max_in_flight=9)
    assert process.state().limits == Limits(9, "30/m", now)
    process.update_limits(max_in_flight=8, reset=True)
    assert process.state().limits == Limits(8, "5/s", now)
    process.update_limits(rate_limit=0)
    assert process.state().limits == Limits(8, None, now)
    process.update_limits(reset=True)
    assert process.state().limits == Limits(70, "5/s")
    process.register_works(dict.fromkeys(NAMES))
    assert process.run_now().state is RunState.COMPLETED


def test_no_rate_in_the_code(processes):
    """0 is no rate limit in the code either."""
    process = processes.process("p", schedule=60, rate_limit=0)(lambda work: None)
    assert (process.definition.rate, process.state().limits.rate_limit) == (None, None)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"max_in_flight": 0}, InvalidValue),
        ({"max_in_flight": "9"}, InvalidType),
        ({"rate_limit": "often"}, InvalidValue),
        ({"rate_limit": "1/s", "by": 7}, InvalidType),
        ({}, InvalidValue),
    ],
)
def test_bad_limits_leave_the_stored_ones(processes, given, error):
    process = processes.process("p", schedule=60)(lambda work: None)
    process.update_limits(max_in_flight=5)
    before = process.state()
    with pytest.raises(error):
        process.update_limits(**given)
    assert process.state() == before
