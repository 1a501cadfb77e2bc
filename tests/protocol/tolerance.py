"""Tolerance: the last tolerated error is Continue, the next one makes the run ABORTING, in the store."""

from __future__ import annotations

import pytest

from celery_process.protocol.model import LimitBroken, RunSpec
from celery_process.protocol.states import Progress, RunState, StopReason, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, Driver, at_once


class TestTolerance:
    """What errors do to a run."""

    def test_tenth_error_of_an_item(self, drive: Driver) -> None:
        """The tenth error of an item is tolerated, the eleventh is not (B28)."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        tenth = held.report(errors=10)
        assert (tenth.items[0].progress, tenth.stopping) == (Progress.UPDATED, False)
        eleventh = held.report(errors=1)
        assert (eleventh.items[0].progress, eleventh.stopping) == (Progress.ABORTED, True)
        assert drive.status(run).state is RunState.ABORTING

    def test_twenty_fifth_error_of_a_run(self, drive: Driver) -> None:
        """The twenty-fifth error of a run is tolerated, the next one is not (B28)."""
        run = drive.begin("a", "b", "c")
        held = [drive.take(run, name) for name in ("a", "b", "c")]
        progress = [held[0].answer(errors=10), held[1].answer(errors=10), held[2].answer(errors=5)]
        assert {answer.progress for answer in progress} == {Progress.UPDATED}
        assert held[2].answer(errors=1).progress is Progress.ABORTED

    def test_limit_of_an_item(self, drive: Driver) -> None:
        """A run that an item's own errors abort keeps which item it was, and its limit, until it is purged."""
        run = drive.begin('b"é', "c")
        drive.take(run, "c").report(errors=3)
        assert drive.status(run).limit_broken is None
        drive.take(run, 'b"é').finish(WorkState.ABORTED, errors=11)
        drive.stop(run, StopReason.ABORTED)
        drive.clock.advance(LEASE)
        drive.sweep(run)
        ended = drive.status(run)
        assert (ended.state, ended.limit_broken) == (RunState.ABORTED, LimitBroken('b"é', 11, 10))
        assert ended.cause == "aborted: the item 'b\"é' had 11 errors and may have 10"

    def test_limit_of_a_run(self, drive: Driver) -> None:
        """A run that its errors as a whole abort keeps how many they were; later errors change nothing of it."""
        run = drive.begin("a", "b", "c")
        held = [drive.take(run, name) for name in "abc"]
        for one in held:
            one.report(errors=9)
        held[0].report(run_errors=5)
        assert drive.status(run).limit_broken == LimitBroken(None, 27, 25)

    def test_limit_broken_by_a_loss(self, drive: Driver) -> None:
        """An item whose last attempt was lost may be what breaks a limit."""
        run = drive.begin("a", spec=RunSpec(work_limit=0))
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.sweep(run, max_attempts=1)
        assert drive.status(run).limit_broken == LimitBroken("a", 1, 0)

    def test_stopped_by_hand(self, drive: Driver) -> None:
        """A run that is cancelled broke no limit."""
        run = drive.begin("a")
        drive.stop(run)
        assert (drive.status(run).limit_broken, drive.status(run).cause) == (None, "cancelled")

    def test_errors_of_the_run_itself(self, drive: Driver) -> None:
        """Errors of the run itself count toward its tolerance, not toward the item's."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        assert held.answer(run_errors=25).progress is Progress.UPDATED
        assert held.answer(run_errors=1).progress is Progress.ABORTED
        assert drive.work("a").status.total_errors == 0

    def test_no_tolerance(self, drive: Driver) -> None:
        """A tolerance of 0 ends the run with the first error."""
        run = drive.begin("a", spec=RunSpec(work_limit=0))
        assert drive.take(run, "a").answer(errors=1).progress is Progress.ABORTED

    def test_all_tolerated(self, drive: Driver) -> None:
        """A tolerance of None tolerates everything."""
        run = drive.begin("a", spec=RunSpec(work_limit=None, run_limit=None))
        assert drive.take(run, "a").answer(errors=500).progress is Progress.UPDATED
        assert drive.status(run).total_errors == 500

    @pytest.mark.parametrize(("percent", "tolerated"), [(50, 2), (10, 0), (100, 4)])
    def test_percent(self, drive: Driver, percent: float, tolerated: int) -> None:
        """A share of the items that are listed at the start is tolerated."""
        run = drive.begin("a", "b", "c", "d", spec=RunSpec(percent=percent))
        held = drive.take(run, "a")
        assert held.answer(errors=tolerated).progress is Progress.UPDATED
        assert held.answer(errors=1).progress is Progress.ABORTED

    def test_over_attempts(self, drive: Driver) -> None:
        """The errors of attempts that died count, so that a crash loop uses the tolerance up."""
        run = drive.begin("a")
        for _ in range(2):
            drive.take(run, "a").report(errors=5)
            drive.clock.advance(LEASE)
        assert drive.take(run, "a").answer(errors=1).progress is Progress.ABORTED

    def test_told_once(self, drive: Driver) -> None:
        """One call is answered that it made the run ABORTING; a repeat and later errors are not."""
        run = drive.begin("a", "b")
        other = drive.take(run, "b")
        held = drive.take(run, "a")
        report = held.next(errors=11)
        assert [held.send(report).stopping, held.send(report).stopping] == [True, False]
        assert not other.report(errors=11).stopping

    def test_sticky(self, drive: Driver) -> None:
        """Once a run is ABORTING all of its holders are answered Aborted, whatever they report (W18)."""
        run = drive.begin("a", "b")
        other = drive.take(run, "b")
        drive.take(run, "a").report(errors=11)
        assert other.answer().progress is Progress.ABORTED

    def test_in_flight(self, drive: Driver) -> None:
        """After an abort an item in flight keeps the outcome that it reports, and its stats count."""
        run = drive.begin("a", "b", "c")
        other = drive.take(run, "b")
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        drive.stop(run, StopReason.ABORTED)
        reported = other.finish(stats={"x": 1})
        assert reported.items[0].progress is Progress.COMPLETED
        closed = drive.status(run)
        assert (closed.state, closed.reason) == (RunState.ABORTED, "aborted")
        assert (closed.counts.aborted, closed.counts.completed, closed.counts.cancelled) == (1, 1, 1)
        assert (closed.stats["workItems"], closed.stats["workItemsAborted"], closed.stats["work.x"]) == (2, 2, 1)
        assert closed.stats["state.aborted"] == 1

    def test_beyond_with_the_outcome(self, drive: Driver) -> None:
        """The error too many may come with the outcome: the item is over and the run stops."""
        run = drive.begin("a", "b")
        reported = drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        assert (reported.items[0].progress, reported.stopping) == (Progress.COMPLETED, True)
        assert drive.status(run).state is RunState.ABORTING

    def test_beyond_with_the_last_outcome(self, drive: Driver) -> None:
        """The error too many in the last item of a run closes it as ABORTED in the same call."""
        run = drive.begin("a")
        reported = drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        assert reported.run is not None
        assert reported.run.state is RunState.ABORTED

    def test_rest_of_the_list(self, drive: Driver) -> None:
        """Names that were not enlisted when the run aborted are no part of it."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=1)
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        closed = drive.status(run)
        assert (closed.state, closed.counts.enlisted) == (RunState.ABORTED, 1)

    def test_first_texts(self, drive: Driver) -> None:
        """The first ten texts of an item and the first twenty-five of a run are kept; all are counted."""
        run = drive.begin("a", "b", "c", "d", spec=RunSpec(work_limit=None, run_limit=None))
        for name in ("a", "b", "c", "d"):
            drive.take(run, name).report(errors=15)
        work, status = drive.work("a").status, drive.status(run)
        assert ([error.text for error in work.errors], work.total_errors) == ([f"error {i}" for i in range(10)], 15)
        assert (len(status.errors), status.total_errors) == (25, 60)
        assert [error.work for error in status.errors] == ["a"] * 10 + ["b"] * 10 + ["c"] * 5

    def test_texts_over_reports(self, drive: Driver) -> None:
        """Each text is kept once, however many reports carry it."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        for _ in range(4):
            held.report(errors=1)
        assert [error.text for error in drive.status(run).errors] == [f"error {i}" for i in range(4)]

    def test_texts_of_the_run_itself(self, drive: Driver) -> None:
        """An error of the run itself belongs to no item."""
        run = drive.begin("a")
        drive.take(run, "a").report(errors=1, run_errors=1)
        assert {(error.text, error.work) for error in drive.status(run).errors} == {("error 0", "a"), ("run error 0", None)}

    def test_texts_have_their_time(self, drive: Driver) -> None:
        """An error keeps the time that it was reported with."""
        run = drive.begin("a")
        drive.take(run, "a").report(errors=1)
        assert [error.at for error in drive.work("a").status.errors] == [drive.clock()]
        assert [error.at for error in drive.status(run).errors] == [drive.clock()]

    def test_next_run(self, drive: Driver) -> None:
        """The next run begins with no errors."""
        run = drive.begin("a")
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        assert drive.take(drive.begin(), "a").answer(errors=10).progress is Progress.UPDATED

    def test_race(self, drive: Driver) -> None:
        """Errors reported at once are all counted, and one caller is answered that it made the run ABORTING."""
        names = [f"n{number}" for number in range(8)]
        run = drive.begin(*names)
        held = [drive.take(run, name) for name in names]
        reported = at_once(lambda number: held[number].report(errors=5))
        assert [answer.stopping for answer in reported].count(True) == 1
        status = drive.status(run)
        assert (status.total_errors, len(status.errors), status.state) == (40, 25, RunState.ABORTING)
        progress = [answer.items[0].progress for answer in reported]
        assert progress.count(Progress.UPDATED) == 5
        assert progress.count(Progress.ABORTED) == 3

    def test_race_with_outcomes(self, drive: Driver) -> None:
        """Items that end at once with too many errors close their run once, as ABORTED."""
        names = [f"n{number}" for number in range(8)]
        run = drive.begin(*names)
        held = [drive.take(run, name) for name in names]
        reported = at_once(lambda number: held[number].finish(WorkState.INCOMPLETE, errors=4))
        assert [answer.run for answer in reported if answer.run] == [drive.status(run)]
        closed = drive.status(run)
        assert (closed.state, closed.total_errors) == (RunState.ABORTED, 32)
        check_invariants(drive.store, drive.process)
