"""Reports: what the holder of a claim writes, once, however often it is sent."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest

from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ClaimAnswer, Progress, RunState, WorkState
from celery_process.testing.invariants import check_invariants, same_stats

from .driver import LEASE, SECOND, Driver, Held, at_once, new_id


class TestReports:
    """`report` without an outcome."""

    def test_updated(self, drive: Driver) -> None:
        """The holder's report is Updated, and its totals are the item's."""
        run = drive.begin("a")
        answer = drive.take(run, "a").answer(stats={"x": 2})
        assert (answer.name, answer.progress) == ("a", Progress.UPDATED)
        assert drive.work("a").status.stats == {"x": 2}

    def test_absolute_totals(self, drive: Driver) -> None:
        """A later report replaces the totals of the one before."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        held.report(stats={"x": 2})
        held.report(stats={"x": 3})
        assert drive.work("a").status.stats == {"x": 5}

    def test_repeated(self, drive: Driver) -> None:
        """A report sent again is answered the same and counts nothing twice."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        report = held.next(errors=3, run_errors=2, stats={"x": 2})
        assert held.send(report) == held.send(report)
        assert (drive.work("a").status.stats, drive.work("a").status.total_errors) == ({"x": 2}, 3)
        assert drive.status(run).total_errors == 5

    def test_older_sequence(self, drive: Driver) -> None:
        """A report that comes after a newer one writes nothing."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        older, newer = held.next(stats={"x": 1}), held.next(stats={"x": 1})
        held.send(newer)
        assert held.send(older).items[0].progress is Progress.UPDATED
        assert drive.work("a").status.stats == {"x": 2}

    def test_older_sequence_with_an_outcome(self, drive: Driver) -> None:
        """A report that comes after a newer one ends nothing either."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        older, newer = held.next(WorkState.COMPLETED, stats={"x": 1}), held.next(stats={"x": 1})
        held.send(newer)
        held.send(older)
        assert drive.work("a").status.state is WorkState.ACTIVE
        assert drive.status(run).counts.claimed == 1

    def test_extends_the_lease(self, drive: Driver) -> None:
        """A report extends the lease from the store's now."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE - SECOND)
        held.report()
        drive.clock.advance(LEASE - SECOND)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.BUSY

    def test_stale_token(self, drive: Driver) -> None:
        """A token that does not hold the item is answered Conflict and writes nothing (I6)."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        reported = held.send(held.next(errors=20, stats={"x": 1}), token=new_id())
        assert (reported.items[0].progress, reported.stopping) == (Progress.CONFLICT, False)
        assert (drive.work("a").status.stats, drive.status(run).total_errors) == ({}, 0)

    def test_stale_token_with_an_outcome(self, drive: Driver) -> None:
        """A token that does not hold the item ends nothing."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE)
        second = drive.take(run, "a")
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert drive.work("a").status.state is WorkState.ACTIVE
        assert second.answer().progress is Progress.UPDATED

    def test_expired_but_not_swept(self, drive: Driver) -> None:
        """An expired lease that no sweep took still counts."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE * 10)
        assert held.answer(stats={"x": 1}).progress is Progress.UPDATED
        assert drive.claim_one(run, "a").answer is ClaimAnswer.BUSY

    def test_unknown(self, drive: Driver) -> None:
        """An unknown run, another uuid and an unknown item are a Conflict."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        report = held.next()
        for wrong in (drive.double(run), f"9-{new_id()}"):
            assert replace(held, run=wrong).send(report).items[0].progress is Progress.CONFLICT
        assert held.send(replace(report, name="b")).items[0].progress is Progress.CONFLICT

    def test_several(self, drive: Driver) -> None:
        """Several items are answered one by one, in the order reported; each keeps its own totals."""
        run, token = drive.begin("a", "b", "c"), new_id()
        held = {name: drive.take(run, name, token=token) for name in ("a", "b")}
        reports = [held["b"].next(stats={"x": 2}), held["a"].next(WorkState.COMPLETED, stats={"x": 1})]
        reports.append(replace(reports[0], name="c"))
        answers = drive.store.report(drive.process, run, reports, token=token, lease=LEASE).items
        assert [answer.name for answer in answers] == ["b", "a", "c"]
        assert [answer.progress for answer in answers] == [Progress.UPDATED, Progress.COMPLETED, Progress.CONFLICT]
        assert (drive.work("a").status.stats, drive.work("b").status.stats) == ({"x": 1}, {"x": 2})

    def test_dead_attempt(self, drive: Driver) -> None:
        """The stats of an attempt that died are not counted, its errors are."""
        run = drive.begin("a")
        drive.take(run, "a").report(errors=2, stats={"x": 5})
        drive.clock.advance(LEASE)
        drive.take(run, "a").finish(errors=1, stats={"x": 1})
        work, status = drive.work("a").status, drive.status(run)
        assert (work.stats, work.total_errors, work.attempt) == ({"x": 1}, 3, 2)
        assert (status.stats["work.x"], status.total_errors) == (1, 3)


class TestOutcomes:
    """`report` with an outcome."""

    def test_completed(self, drive: Driver) -> None:
        """A completed item is over, at the store's time."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.clock.advance(SECOND)
        assert held.finish(stats={"x": 1}).items[0].progress is Progress.COMPLETED
        status = drive.work("a").status
        assert (status.state, status.finished_at, status.stats) == (WorkState.COMPLETED, drive.clock(), {"x": 1})

    def test_repeated(self, drive: Driver) -> None:
        """The end of an item reported again is answered Completed and counts nothing twice."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        report = held.next(WorkState.COMPLETED, errors=1, stats={"x": 1})
        answers = [held.send(report).items for _ in range(2)]
        assert answers[0] == answers[1]
        status = drive.status(run)
        assert (status.counts.completed, status.stats["work.x"], status.total_errors) == (1, 1, 1)

    def test_repeated_after_the_run(self, drive: Driver) -> None:
        """The end of an item reported again after its run closed is answered Completed, and nothing closes twice."""
        run = drive.begin("a")
        drive.page(run)
        held = drive.take(run, "a")
        report = held.next(WorkState.COMPLETED, stats={"x": 1})
        held.send(report)
        drive.page(run)
        closed = drive.status(run)
        again = held.send(report)
        assert (again.items[0].progress, again.run, again.page_closed) == (Progress.COMPLETED, None, False)
        assert drive.status(run) == closed

    @pytest.mark.parametrize("outcome", [WorkState.COMPLETED, WorkState.INCOMPLETE, WorkState.ABORTED])
    def test_state(self, drive: Driver, outcome: WorkState) -> None:
        """The outcome is the item's state, counted under its word, and the item is one of the work items."""
        run = drive.begin("a")
        drive.take(run, "a").finish(outcome)
        drive.page(run)
        closed = drive.status(run)
        assert drive.work("a").status.state is outcome
        assert getattr(closed.counts, outcome.lower()) == 1
        assert closed.stats["workItems"] == 1
        assert closed.stats.get("workItemsAborted", 0) == (outcome is WorkState.ABORTED)
        assert closed.state is RunState.COMPLETED

    def test_page_closed(self, drive: Driver) -> None:
        """The report that ends the last open item of a page is answered `page_closed`."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=2)
        assert not drive.take(run, "a").finish().page_closed
        reported = drive.take(run, "b").finish()
        assert (reported.page_closed, reported.run) == (True, None)

    def test_run_closed(self, drive: Driver) -> None:
        """The report that ends the last item of a run whose lists are at their end gets the closed run."""
        run = drive.begin(cleanup=("a",))
        drive.page(run)
        reported = drive.take(run, "a").finish()
        assert reported.run == drive.status(run)
        assert reported.run.state is RunState.COMPLETED

    def test_not_before_the_end_of_the_lists(self, drive: Driver) -> None:
        """A run with names that it has not enlisted yet stays open."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        assert drive.take(run, "a").finish().run is None
        assert drive.status(run).state is RunState.ACTIVE

    def test_stats_of_the_run(self, drive: Driver) -> None:
        """An item's stats go to its run as `work.…`, its handler's run stats as they are (B30)."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        held.run_stats["seen"] = 3
        held.finish(stats={"x": 2})
        drive.take(run, "b").finish(stats={"x": 0.5})
        assert same_stats(drive.status(run).stats, {"workItems": 2, "work.x": 2.5, "seen": 3})

    def test_stats_of_claimed_items(self, drive: Driver) -> None:
        """What an item counted so far is no part of the run's stats before it ends."""
        run = drive.begin("a", "b")
        drive.take(run, "a").report(stats={"x": 2})
        assert "work.x" not in drive.status(run).stats

    @pytest.mark.parametrize("count", [0, -1, 0.1, -2.5, 2**53 - 1, 1e300, 5e-324])
    def test_numbers(self, drive: Driver, count: float) -> None:
        """Numbers come back as they went in, in the item, the run and the aggregate."""
        run = drive.begin("a")
        drive.take(run, "a").finish(stats={"x": count})
        drive.page(run)
        kept = drive.work("a").status.stats["x"]
        assert (kept, type(kept)) == (count, type(count))
        assert drive.status(run).stats["work.x"] == count
        assert drive.store.process(drive.process).aggregate_stats["work.x"] == count

    @pytest.mark.parametrize("count", [1.7e308, 2**1023, -1.7e308], ids=["float", "int", "negative"])
    def test_overflow(self, drive: Driver, count: float) -> None:
        """A sum that leaves the range of floats stays at its end, in the run and over runs: the run can be closed."""
        for _ in range(2):
            run = drive.begin("a", "b")
            for name in ("a", "b"):
                drive.take(run, name).finish(stats={"x": count})
            drive.page(run)
            assert drive.status(run).state is RunState.COMPLETED
            assert drive.status(run).stats["work.x"] == math.copysign(sys.float_info.max, count)
        assert drive.store.process(drive.process).aggregate_stats["work.x"] == math.copysign(sys.float_info.max, count)

    def test_status_stays_after_the_run(self, drive: Driver) -> None:
        """The last status of an item stays when its run is over."""
        run = drive.begin("a")
        drive.take(run, "a").finish(errors=2, stats={"x": 1})
        during = drive.work("a").status
        drive.page(run)
        assert not drive.status(run).state.is_open
        assert drive.work("a").status == during
        assert [error.text for error in during.errors] == ["error 0", "error 1"]

    def test_race_of_one_report(self, drive: Driver) -> None:
        """One report delivered several times at once counts once."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        report = held.next(WorkState.COMPLETED, errors=1, stats={"x": 1})
        answers = at_once(lambda _: held.send(report).items[0].progress)
        assert set(answers) == {Progress.COMPLETED}
        status = drive.status(run)
        assert (status.counts.completed, status.stats["work.x"], status.total_errors) == (1, 1, 1)

    def test_race_to_the_end(self, drive: Driver) -> None:
        """When the last items end at once exactly one caller gets the closed run, and the totals are exact (I4, I5)."""
        names = [f"n{number}" for number in range(8)]
        run = drive.begin(cleanup=tuple(names))
        drive.page(run)
        held = [drive.take(run, name) for name in names]
        reported = at_once(lambda number: held[number].finish(errors=1, stats={"x": number}))
        closed = [answer.run for answer in reported if answer.run]
        assert closed == [drive.status(run)]
        assert [answer.page_closed for answer in reported].count(True) == 1
        assert (closed[0].stats["work.x"], closed[0].total_errors, closed[0].counts.ended) == (28, 8, 8)
        check_invariants(drive.store, drive.process)

    def test_race_over_pages(self, drive: Driver) -> None:
        """Items of several pages that end at once are each folded once."""
        names = [f"n{number:02}" for number in range(40)]
        run = drive.start(*names)
        while drive.page(run, size=4).names:
            pass
        held = [drive.take(run, name) for name in names]

        def act(number: int) -> int:
            mine: list[Held] = held[number::8]
            return sum(one.finish(stats={"x": 1}).page_closed for one in mine)

        assert sum(at_once(act)) == 10
        drive.page(run)
        closed = drive.status(run)
        assert (closed.state, closed.stats["work.x"], closed.stats["workItems"]) == (RunState.COMPLETED, 40, 40)
        check_invariants(drive.store, drive.process)

    def test_empty_totals(self, drive: Driver) -> None:
        """An item may end without having counted anything."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        held.send(replace(held.next(WorkState.COMPLETED), totals=Totals()))
        assert drive.work("a").status.stats == {}
