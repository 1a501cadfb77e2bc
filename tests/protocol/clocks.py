"""A clock that was a day ahead, and is put right: what it noted counts as past, and nothing waits until it comes by."""

from __future__ import annotations

from datetime import timedelta

import pytest

from celery_process.protocol.model import Retention
from celery_process.protocol.states import ClaimAnswer, Progress, RunState, WorkList

from .driver import HOUR, LEASE, MINUTE, SECOND, Driver

DAY = timedelta(days=1)


class Ahead:
    """A block in which the clock is a day ahead."""

    def __init__(self, drive: Driver) -> None:
        self.clock = drive.clock

    def __enter__(self) -> None:
        self.clock.advance(DAY)

    def __exit__(self, *_: object) -> None:
        self.clock.advance(-DAY)


@pytest.fixture
def ahead(drive: Driver) -> Ahead:
    """Give the block."""
    return Ahead(drive)


class TestClock:
    """Every instant that is kept and compared with the clock."""

    def test_sweeps_go_on(self, drive: Driver, ahead: Ahead) -> None:
        """A process that was looked at under the wrong clock is looked at again, once in an interval as ever."""
        drive.start("a")
        with ahead:
            assert drive.targets()
        assert drive.targets()
        assert not drive.targets()

    def test_ends_are_told(self, drive: Driver, ahead: Ahead) -> None:
        """The end of a run that closed under the wrong clock is emitted."""
        run = drive.start("a")
        drive.page(run)
        with ahead:
            drive.take(run, "a").finish()
            drive.page(run)
        assert [target.unnotified for target in drive.targets()] == [(run,)]

    def test_leases_end(self, drive: Driver, ahead: Ahead) -> None:
        """A lease set under the wrong clock ends a lease after a sweep read it, and not before."""
        run = drive.begin("a", "b")
        with ahead:
            dead, live = drive.take(run, "a"), drive.take(run, "b")
        assert drive.sweep(run).repairs.expired == 0
        drive.clock.advance(LEASE - SECOND)
        assert live.answer().progress is Progress.UPDATED
        assert drive.sweep(run).repairs.expired == 0
        drive.clock.advance(SECOND)
        swept = drive.sweep(run)
        assert (swept.repairs.expired, swept.publish) == (1, ((WorkList.ACTIVE, ("a",)),))
        drive.take(run, "a")
        assert dead.answer().progress is Progress.CONFLICT
        assert live.finish().items[0].progress is Progress.COMPLETED

    def test_leases_that_are_right(self, drive: Driver) -> None:
        """A lease set under the right clock is not cut."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE - SECOND)
        drive.sweep(run)
        drive.clock.advance(SECOND)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.CLAIMED

    def test_messages_are_sent_again(self, drive: Driver, ahead: Ahead) -> None:
        """What was sent under the wrong clock is sent again once the run stood still for a minute by the right one."""
        run = drive.begin("a", "b")
        with ahead:
            drive.store.mark_published(drive.process, run, ["a"])
            drive.take(run, "b").finish()
        assert drive.sweep(run).publish == ()
        drive.clock.advance(MINUTE)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a",)),)

    def test_a_run_that_moves(self, drive: Driver, ahead: Ahead) -> None:
        """Claims under the right clock show that a run moves, whatever was noted under the wrong one."""
        run = drive.begin("a", "b", "c")
        with ahead:
            drive.store.mark_published(drive.process, run, ["a", "b", "c"])
            drive.take(run, "b")
        drive.take(run, "c")
        drive.clock.advance(MINUTE - SECOND)
        assert "a" not in dict(drive.sweep(run).publish).get(WorkList.ACTIVE, ())
        drive.clock.advance(2 * SECOND)
        assert "a" in dict(drive.sweep(run).publish)[WorkList.ACTIVE]

    def test_pages_are_published(self, drive: Driver, ahead: Ahead) -> None:
        """What was enlisted under the wrong clock and never published is."""
        run = drive.start("a")
        with ahead:
            drive.page(run)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a",)),)

    def test_new_items_are_worked(self, drive: Driver, ahead: Ahead) -> None:
        """What was put on a list under the wrong clock is worked in the next run, and one registered after it as well."""
        with ahead:
            drive.register("a")
            drive.unregister("z")
        drive.register("b")
        assert drive.run_through().counts.completed == 3

    def test_a_run_begun_ahead(self, drive: Driver, ahead: Ahead) -> None:
        """A run that began under the wrong clock comes to its end, in no less than no time, and the next one begins."""
        drive.register("a")
        with ahead:
            run = drive.start()
        closed = drive.work_off(run)
        assert (closed.state, closed.stats["duration"]) == (RunState.COMPLETED, 0)
        assert drive.run_through("b").counts.completed == 2

    def test_pages_go_out_under_a_rate(self, drive: Driver, ahead: Ahead) -> None:
        """The next page of a run under a rate is due, though the last one went out under the wrong clock."""
        run = drive.start("a", "b")
        with ahead:
            assert drive.page(run, rate=0.001).names == ("a",)
        assert drive.page(run, rate=0.001).names == ("b",)

    def test_params_are_new(self, drive: Driver, ahead: Ahead) -> None:
        """Params that were stored after others from under the wrong clock are those that are worked with."""
        with ahead:
            drive.register("a", params='{"n":1}')
        drive.register("a", params='{"n":2}')
        run = drive.begin()
        assert drive.claim_one(run, "a").params == '{"n":2}'

    def test_what_was_dropped(self, drive: Driver, ahead: Ahead) -> None:
        """What was dropped under the wrong clock goes with the others that are too many, and with time."""
        with ahead:
            run = drive.start(cleanup=("a",))
            drive.work_off(run)
        assert drive.store.work_counts(drive.process)[WorkList.DROPPED] == 1
        drive.clock.advance(DAY + 2 * HOUR)
        drive.purge(Retention(dropped_for=HOUR))
        assert drive.store.work_counts(drive.process)[WorkList.DROPPED] == 0
