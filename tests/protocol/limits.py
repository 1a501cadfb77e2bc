"""Limits: stored ones win over the code's in the middle of a run, and a rate holds for all callers that open pages."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from celery_process.protocol.limits import Limits
from celery_process.protocol.states import PageAnswer, RunState

from .driver import MINUTE, SECOND, Driver, at_once, new_id
from .pages import names_of


class TestLimits:
    """`update_limits`, and what it does to `open_page`."""

    def test_stored(self, drive: Driver) -> None:
        """They are stored with the time and the caller, also for an unknown process; a reset deletes those before."""
        drive.limit(7, "10/m")
        assert drive.store.process(drive.process).limits == Limits(7, "10/m", drive.clock(), "suite")
        drive.limit(rate="5/h")
        assert drive.store.process(drive.process).limits == Limits(None, "5/h", drive.clock(), "suite")
        drive.limit()
        assert drive.store.process(drive.process).limits is None

    def test_one_by_one(self, drive: Driver) -> None:
        """None keeps what is stored."""
        drive.limit(7, reset=False)
        drive.clock.advance(SECOND)
        drive.limit(rate="5/h", reset=False)
        assert drive.store.process(drive.process).limits == Limits(7, "5/h", drive.clock(), "suite")
        drive.limit(9, reset=False)
        assert drive.store.process(drive.process).limits == Limits(9, "5/h", drive.clock(), "suite")

    def test_claims_tell_them(self, drive: Driver) -> None:
        """A claim returns the stored limits."""
        run = drive.begin("a", "b")
        assert drive.claim_one(run, "a").limits is None
        drive.limit(5, "2/s")
        assert drive.claim_one(run, "b").limits == Limits(5, "2/s", drive.clock(), "suite")

    def test_text_is_kept(self, drive: Driver) -> None:
        """The name of the caller that limits may be any text."""
        by = "ann\nlee \u1234 'x"
        drive.store.update_limits(drive.process, max_in_flight=None, rate_limit="0.5/s", by=by)
        drive.store.update_limits(drive.process, max_in_flight=3, rate_limit=None, by=by)
        stored = drive.store.process(drive.process).limits
        assert stored is not None
        assert (stored.by, stored.rate_limit) == (by, "0.5/s")

    @pytest.mark.parametrize(("stored", "opened"), [(2, [1, 1, 0]), (8, [3, 3, 0]), (100, [3, 3, 3])])
    def test_window(self, drive: Driver, stored: int, opened: list[int]) -> None:
        """A stored `max_in_flight` replaces the caller's window, smaller or larger."""
        run = drive.start(*names_of(20))
        drive.limit(stored)
        assert [len(drive.page(run, size=3, window=6).names) for _ in opened] == opened

    def test_window_in_mid_run(self, drive: Driver) -> None:
        """Under a smaller window no page opens before there is room in it, under a larger one at once."""
        run = drive.start(*names_of(20))
        for _ in range(4):
            drive.page(run, size=2, window=8)
        drive.limit(4)
        assert drive.page(run, size=2, window=8).answer is PageAnswer.FULL
        for name in names_of(6):
            drive.take(run, name).finish()
        assert len(drive.page(run, size=2, window=8).names) == 2
        assert drive.page(run, size=2, window=8).answer is PageAnswer.FULL
        drive.limit(100)
        assert len(drive.page(run, size=2, window=8).names) == 2

    def test_stopped_run(self, drive: Driver) -> None:
        """Limits change nothing of a run that is over."""
        run = drive.start("a")
        drive.stop(run)
        drive.limit(1, "1/m")
        assert drive.page(run).answer is PageAnswer.CLOSED
        assert drive.status(run).state is RunState.INCOMPLETE


class TestRate:
    """A rate, of the code or stored."""

    @pytest.mark.parametrize(("rate", "length"), [(5.0, 5), (5.9, 5), (0.3, 1), (1000.0, 8)])
    def test_page(self, drive: Driver, rate: float, length: int) -> None:
        """A page has the items of a second, at least one and at most as many as without a rate."""
        assert len(drive.page(drive.start(*names_of(20)), size=8, rate=rate).names) == length

    def test_next(self, drive: Driver) -> None:
        """The next page comes when the time of the last one has passed, and not a microsecond before."""
        run = drive.start(*names_of(20))
        assert len(drive.page(run, rate=4.0).names) == 4
        later = drive.page(run, rate=4.0)
        assert (later.answer, later.names, later.due_in) == (PageAnswer.LATER, (), SECOND)
        drive.clock.advance(SECOND - timedelta(microseconds=1))
        assert drive.page(run, rate=4.0).answer is PageAnswer.WAITING
        drive.clock.advance(timedelta(microseconds=1))
        assert len(drive.page(run, rate=4.0).names) == 4

    def test_short_page(self, drive: Driver) -> None:
        """A page of fewer items has less time to pass."""
        run = drive.start(*names_of(20))
        assert len(drive.page(run, size=1, rate=4.0).names) == 1
        assert drive.page(run, rate=4.0).due_in == SECOND / 4

    def test_one_comes_back(self, drive: Driver) -> None:
        """One caller is answered LATER, also when it repeats the call; the others are not."""
        run, token = drive.start(*names_of(9)), new_id()
        drive.page(run, rate=2.0)
        assert [drive.page(run, token=token, rate=2.0).answer for _ in range(2)] == [PageAnswer.LATER] * 2
        assert drive.page(run, rate=2.0).answer is PageAnswer.WAITING
        drive.clock.advance(SECOND)
        assert len(drive.page(run, rate=2.0).names) == 2
        assert drive.page(run, rate=2.0).answer is PageAnswer.LATER

    def test_who_was_to_come_back_does_not(self, drive: Driver) -> None:
        """Any caller may open a page that is due."""
        run = drive.start(*names_of(9))
        drive.page(run, rate=2.0)
        drive.page(run, rate=2.0)
        drive.clock.advance(MINUTE)
        assert len(drive.page(run, rate=2.0).names) == 2

    def test_far_away(self, drive: Driver) -> None:
        """A page due in more than 30 s is for the sweep, which asks until it is due sooner."""
        run = drive.start(*names_of(9))
        drive.page(run, rate=1 / 60)
        assert drive.page(run, rate=1 / 60).answer is PageAnswer.WAITING
        drive.clock.advance(30 * SECOND)
        assert drive.page(run, rate=1 / 60).due_in == 30 * SECOND

    def test_end(self, drive: Driver) -> None:
        """A run with nothing more to enlist ends without waiting for its rate."""
        run = drive.start("a", "b")
        assert drive.page(run, rate=2.0).names == ("a", "b")
        for name in "ab":
            drive.take(run, name).finish()
        assert drive.page(run, rate=2.0).answer is PageAnswer.CLOSED
        assert drive.status(run).state is RunState.COMPLETED

    def test_cleanup(self, drive: Driver) -> None:
        """The cleanup list is under the same rate."""
        run = drive.start("a", "b", cleanup=("c", "d"))
        drive.page(run, rate=2.0)
        for name in "ab":
            drive.take(run, name).finish()
        assert drive.page(run, rate=2.0).answer is PageAnswer.LATER
        drive.clock.advance(SECOND)
        assert drive.page(run, rate=2.0).names == ("c", "d")

    def test_full_before_late(self, drive: Driver) -> None:
        """With no room no caller is answered LATER: the report that makes room asks again."""
        run = drive.start(*names_of(9))
        drive.page(run, window=4, rate=2.0)
        drive.clock.advance(SECOND)
        drive.page(run, window=4, rate=2.0)
        assert drive.page(run, window=4, rate=2.0).answer is PageAnswer.FULL
        drive.take(run, "n0000").finish()
        drive.take(run, "n0001").finish()
        assert drive.page(run, window=4, rate=2.0).answer is PageAnswer.LATER

    def test_next_run(self, drive: Driver) -> None:
        """The rate is the process's: the next run waits for what the one before it sent."""
        run = drive.start("a", "b", "c")
        drive.page(run, rate=2.0)
        drive.stop(run)
        again = drive.redrive(run).run
        assert again is not None
        assert drive.page(again.id, rate=2.0).answer is PageAnswer.LATER
        drive.clock.advance(SECOND)
        assert drive.page(again.id, rate=2.0).names == ("a", "b")

    def test_stored(self, drive: Driver) -> None:
        """A stored rate wins over the code's, slower or faster, also for the page that is waited for."""
        run = drive.start(*names_of(50))
        assert len(drive.page(run, size=4, rate=4.0).names) == 4
        assert drive.page(run, size=4, rate=4.0).due_in == SECOND
        drive.limit(rate="180/m")
        assert drive.page(run, size=4, rate=4.0).due_in == SECOND
        drive.limit(rate="600/m")
        assert drive.page(run, size=4, rate=4.0).due_in == SECOND * 2 / 5
        drive.clock.advance(SECOND * 2 / 5)
        assert len(drive.page(run, size=4, rate=4.0).names) == 4
        drive.limit()
        assert drive.page(run, size=4, rate=4.0).due_in == SECOND

    def test_stored_again(self, drive: Driver) -> None:
        """Storing the same limits repeatedly opens no more pages."""
        run = drive.start(*names_of(50))
        for _ in range(5):
            drive.limit(rate="2/s")
            drive.page(run)
        assert drive.status(run).counts.enlisted == 2

    def test_stored_none(self, drive: Driver) -> None:
        """A stored 0 lifts the code's rate."""
        run = drive.start(*names_of(50))
        drive.limit(rate="0/s")
        assert [len(drive.page(run, size=4, rate=1.0).names) for _ in range(3)] == [4, 4, 4]

    def test_big_page_before(self, drive: Driver) -> None:
        """A page from before a rate delays the next one no longer than a page of that rate does."""
        run = drive.start(*names_of(500))
        assert len(drive.page(run, size=100, rate=100.0).names) == 100
        drive.limit(rate="6/m")
        assert drive.page(run, size=100, rate=100.0).due_in == 10 * SECOND

    def test_late_page(self, drive: Driver) -> None:
        """If a page is late the next one is early by as much, up to the time of a page."""
        run = drive.start(*names_of(50))
        drive.page(run, rate=2.0)
        drive.clock.advance(SECOND * 3 / 2)
        assert len(drive.page(run, rate=2.0).names) == 2
        assert drive.page(run, rate=2.0).due_in == SECOND / 2
        drive.clock.advance(MINUTE)
        assert [len(drive.page(run, rate=2.0).names) for _ in range(3)] == [2, 2, 0]

    def test_promised_to_another_run(self, drive: Driver) -> None:
        """A caller that was answered LATER in a run that has closed is no longer awaited."""
        run = drive.start(*names_of(9))
        drive.page(run, rate=2.0)
        assert drive.page(run, rate=2.0).answer is PageAnswer.LATER
        drive.stop(run)
        again = drive.redrive(run).run
        assert again is not None
        assert drive.page(again.id, rate=2.0).answer is PageAnswer.LATER
        assert drive.page(again.id, rate=2.0).answer is PageAnswer.WAITING

    def test_stored_alone(self, drive: Driver) -> None:
        """A stored rate binds a process whose code has none; infinity is no rate at all."""
        run = drive.start(*names_of(20))
        drive.limit(rate="3/s")
        assert len(drive.page(run).names) == 3
        assert drive.page(run).answer is PageAnswer.LATER
        assert len(drive.page(run, size=5, rate=math.inf).names) == 5
        drive.limit(4, "3/s")
        assert drive.page(run, size=5, rate=math.inf).answer is PageAnswer.FULL

    def test_no_rate_keeps_no_time(self, drive: Driver) -> None:
        """Pages without a rate do not delay a later page under one."""
        run = drive.start(*names_of(20))
        drive.page(run, size=9)
        assert len(drive.page(run, rate=3.0).names) == 3

    def test_clock_steps_back(self, drive: Driver) -> None:
        """After the clock stepped back no caller waits until it has caught up: a page opens at once."""
        run = drive.start(*names_of(9))
        drive.page(run, rate=2.0)
        drive.clock.advance(-MINUTE)
        assert len(drive.page(run, rate=2.0).names) == 2
        assert drive.page(run, rate=2.0).due_in == SECOND
        drive.clock.advance(SECOND)
        assert len(drive.page(run, rate=2.0).names) == 2

    def test_repeated(self, drive: Driver) -> None:
        """The token of an open page is answered with it, however early."""
        run, token = drive.start(*names_of(9)), new_id()
        first = drive.page(run, token=token, rate=2.0)
        assert drive.page(run, token=token, rate=2.0) == first

    def test_many_at_once(self, drive: Driver) -> None:
        """Of concurrent callers one opens the page, and one of the others is answered LATER."""
        run = drive.start(*names_of(50))
        answers = [page.answer for page in at_once(lambda _: drive.page(run, rate=5.0))]
        assert sorted(answers) == sorted([PageAnswer.OPENED, PageAnswer.LATER, *[PageAnswer.WAITING] * 6])
        assert drive.status(run).counts.enlisted == 5
