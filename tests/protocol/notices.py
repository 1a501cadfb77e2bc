"""The notices of ended runs: each end is emitted once, and a sweep finds those that were not."""

from __future__ import annotations

from celery_process.protocol.model import Retention
from celery_process.protocol.states import StopReason

from .driver import HOUR, SECOND, Driver, at_once, new_id


class TestNotices:
    """`ack_finish`, and the ends that were not emitted."""

    def test_first(self, drive: Driver) -> None:
        """`ack_finish` is answered True once for the end of a run."""
        run = drive.run_through("a").id
        assert [drive.store.ack_finish(drive.process, run) for _ in range(3)] == [True, False, False]

    def test_open(self, drive: Driver) -> None:
        """An open run has no end to emit."""
        run = drive.start("a")
        assert drive.store.ack_finish(drive.process, run) is False
        drive.work_off(run)
        assert drive.store.ack_finish(drive.process, run) is True

    def test_unknown(self, drive: Driver) -> None:
        """A run that is not kept has no end to emit."""
        run = drive.run_through("a").id
        assert drive.store.ack_finish(drive.process, f"9-{new_id()}") is False
        assert drive.store.ack_finish(drive.process, drive.double(run)) is False

    def test_untold(self, drive: Driver) -> None:
        """An end that was not emitted within the grace makes a sweep due, which returns it."""
        run = drive.run_through("a").id
        drive.purge(Retention())
        drive.clock.advance(29 * SECOND)
        assert drive.targets() == ()
        drive.clock.advance(2 * SECOND)
        assert [target.unnotified for target in drive.targets()] == [(run,)]

    def test_told(self, drive: Driver) -> None:
        """An end that was emitted makes no sweep due."""
        run = drive.run_through("a").id
        drive.purge(Retention())
        drive.store.ack_finish(drive.process, run)
        drive.clock.advance(HOUR)
        assert drive.targets() == ()

    def test_several(self, drive: Driver) -> None:
        """A sweep returns all ends that were not emitted, with the open run."""
        runs = {drive.run_through("a").id for _ in range(3)}
        open_run = drive.start()
        (target,) = drive.targets()
        assert (set(target.unnotified), target.open_run) == (runs, open_run)

    def test_stopped(self, drive: Driver) -> None:
        """The end of a stopped run is emitted like any other."""
        run = drive.begin("a")
        drive.stop(run, StopReason.SUPERSEDED)
        assert drive.store.ack_finish(drive.process, run) is True

    def test_race(self, drive: Driver) -> None:
        """Of callers that acknowledge an end at once one is the first."""
        run = drive.run_through("a").id
        assert at_once(lambda _: drive.store.ack_finish(drive.process, run)).count(True) == 1
