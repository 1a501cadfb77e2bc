"""Limits: what may be said of them, and what dispatching makes of a rate."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from celery import Celery
from celery.utils.time import rate as rate_of_celery

from celery_process import Processes, RunState
from celery_process.config import Config
from celery_process.definition import define
from celery_process.dispatch import Dispatch
from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.limits import FASTEST, Limits, Pace, check_rate, page_size, per_second
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

NAMES = [f"item-{number:03}" for number in range(100)]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("50/s", "50/s"), ("10/m", "10/m"), ("5 / h", "5/h"), ("7", "7/s"), (7, "7/s"), (0.5, "0.5/s"), ("1.5/m", "1.5/m")],
)
def test_rates_are_those_of_celery(given, kept):
    """A rate is read as Celery reads it, and kept with its unit."""
    assert check_rate(given) == kept
    said = given.replace(" ", "") if isinstance(given, str) else given
    assert per_second(kept) == pytest.approx(rate_of_celery(said))
    assert check_rate(kept) == kept


@pytest.mark.parametrize(
    "given", ["", "fast", "10/d", "-1/s", "0", 0, -1, math.nan, math.inf, 10**7, "1e3/s", "9" * 40, 1e-9]
)
def test_what_is_no_rate(given):
    """Anything else is refused with what to write."""
    with pytest.raises(InvalidValue, match="rate_limit is"):
        check_rate(given)


@pytest.mark.parametrize("given", [True, b"1/s", ["1/s"], timedelta(1)])
def test_what_cannot_be_a_rate(given):
    with pytest.raises(InvalidType, match="10/m"):
        check_rate(given)


def test_stored_wins():
    """Each stored limit wins over the code's; infinity is no rate, whatever is stored."""
    assert Limits().over(100, 2.0) == (100, 2.0)
    assert Limits(5, "1/m").over(100, None) == (5, 1 / 60)
    assert Limits(None, "3/s").over(100, math.inf) == (100, None)


@pytest.mark.parametrize("rate", [1 / 86_400, 0.7, 3.3, 999.0, float(FASTEST)])
@pytest.mark.parametrize("step", [0.01, 0.9, 7.0])
def test_no_more_than_the_rate(rate, step):
    """Whenever it is asked, in any time no more goes out than rate × time and one page."""
    now = begin = MovableClock()()
    pace, sent = None, 0
    for _ in range(300):
        now += timedelta(seconds=step) / max(min(rate, 1000), 0.01)
        if pace is None or not pace.due_in(now, rate):
            size = page_size(500, rate)
            sent += size
            pace = Pace(now, size)
            assert sent <= rate * (now - begin).total_seconds() + size
    assert sent > 0


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
            current=lambda: None,
            send=lambda on, names, run_id, *, single=False: self.sent.extend(names),
            come_back=lambda run_id, due_in: self.coming.append((self.clock() + due_in, run_id)),
            emit=lambda event, **payload: None,
            inline=inline,
        )


def test_the_next_page_comes_by_itself():
    """With nobody working items, one message a page brings the next, on time, until the window is full."""
    paced = Paced(rate_limit="10/s", max_in_flight=60)
    run = paced.dispatch.run_now(slot=None, by="")
    assert len(paced.sent) == 10
    for second in range(1, 6):
        assert len(paced.coming) == 1
        at, run_id = paced.coming.pop()
        assert (at - run.started_at, run_id) == (second * SECOND, run.id)
        paced.clock.set(at)
        for _ in range(3):  # repeated, as a broker may
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
    """The code's limits, each replaced by a stored one, with who stored it; replaced as a whole, and gone again."""
    process = processes.process("p", schedule=60, rate_limit=5, max_in_flight=70)(lambda work: None)
    assert process.state().limits == Limits(70, "5/s")
    process.update_limits(rate_limit="30/m", by="ada")
    now = processes.store.now()
    assert process.state().limits == Limits(70, "30/m", now, "ada")
    process.update_limits(max_in_flight=9)
    assert process.state().limits == Limits(9, "5/s", now)
    process.update_limits()
    assert process.state().limits == Limits(70, "5/s")
    process.register_works(dict.fromkeys(NAMES))
    assert process.run_now().state is RunState.COMPLETED


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"max_in_flight": 0}, InvalidValue),
        ({"max_in_flight": "9"}, InvalidType),
        ({"rate_limit": "often"}, InvalidValue),
        ({"rate_limit": "1/s", "by": 7}, InvalidType),
    ],
)
def test_bad_limits_leave_the_stored_ones(processes, given, error):
    process = processes.process("p", schedule=60)(lambda work: None)
    process.update_limits(max_in_flight=5)
    before = process.state()
    with pytest.raises(error):
        process.update_limits(**given)
    assert process.state() == before
