"""Folded pages: of the items that completed only the status is kept, and every operation answers as if they were there."""

from __future__ import annotations

from dataclasses import replace

from celery_process.protocol.states import ClaimAnswer, PageAnswer, Progress, RunState, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, SECOND, Driver, Held, new_id


class TestFolds:
    """What is kept of the items of a folded page."""

    def folded(self, drive: Driver) -> tuple[str, Held]:
        """Return an open run whose first page, of `a` alone, is folded, and the holder that completed it."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=1)
        held = drive.take(run, "a")
        assert held.finish(stats={"x": 1}).page_closed
        return run, held

    def test_claim(self, drive: Driver) -> None:
        """A completed item is Done for every caller, also for its holder."""
        run, held = self.folded(drive)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE
        assert drive.claim_one(run, "a", token=held.token).answer is ClaimAnswer.DONE
        assert drive.status(run).counts.completed == 1

    def test_claim_while_paused_or_stopped(self, drive: Driver) -> None:
        """It is Done in a process that is paused and in a run that was stopped too."""
        run, _ = self.folded(drive)
        drive.page(run, size=1)
        held = drive.take(run, "b")
        drive.pause()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE
        drive.stop(run)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE
        held.finish()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_claim_of_a_newer_registration(self, drive: Driver) -> None:
        """It is Done also if its registration changed meanwhile, so that reads do not return its status."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        held = drive.take(run, "a")
        drive.register("a", params='{"n":2}')
        held.finish()
        assert drive.work("a").status.state is WorkState.NEW
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_claim_in_an_older_run(self, drive: Driver) -> None:
        """A name whose status is of a newer run is a Conflict in the older one."""
        run = drive.run_through("a").id
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE
        drive.run_through()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.CONFLICT

    def test_claim_of_what_was_never_enlisted(self, drive: Driver) -> None:
        """A name that the run has not enlisted is a Conflict, whatever its status of other runs."""
        drive.run_through("a", "b")
        run = drive.start()
        drive.page(run, size=1)
        assert drive.claim_one(run, "b").answer is ClaimAnswer.CONFLICT

    def test_report_repeated(self, drive: Driver) -> None:
        """The last report of an item that completed is answered Completed once more, and nothing is written."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        held = drive.take(run, "a")
        last = held.next(WorkState.COMPLETED, errors=1, stats={"x": 1})
        held.send(last)
        before, work = drive.status(run), drive.work("a")
        repeated = held.send(last)
        assert [item.progress for item in repeated.items] == [Progress.COMPLETED]
        assert (repeated.stopping, repeated.page_closed, repeated.run) == (False, False, None)
        assert (drive.status(run), drive.work("a")) == (before, work)

    def test_report_repeated_when_closed(self, drive: Driver) -> None:
        """It is so where that report closed the run, too."""
        run = drive.start("a")
        drive.page(run)
        held = drive.take(run, "a")
        last = held.next(WorkState.COMPLETED)
        closed = held.send(last).run or drive.page(run).run
        repeated = held.send(last)
        assert (repeated.items[0].progress, repeated.run) == (Progress.COMPLETED, None)
        assert drive.status(run) == closed

    def test_report_with_more(self, drive: Driver) -> None:
        """A later report of that attempt with an outcome is Completed as well, and its totals are not written."""
        run, held = self.folded(drive)
        before = drive.status(run)
        assert held.finish(errors=20, stats={"x": 5}).items[0].progress is Progress.COMPLETED
        assert drive.status(run) == before

    def test_report_without_outcome(self, drive: Driver) -> None:
        """A report without an outcome is a Conflict: its holder has ended the item."""
        run, held = self.folded(drive)
        before = drive.status(run)
        assert held.answer(errors=1).progress is Progress.CONFLICT
        assert drive.status(run) == before

    def test_report_of_an_earlier_attempt(self, drive: Driver) -> None:
        """A holder whose item another claimed is answered Conflict, whatever it reports."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        first = drive.take(run, "a")
        drive.clock.advance(LEASE + SECOND)
        second = drive.take(run, "a")
        last = second.next(WorkState.COMPLETED)
        second.send(last)
        assert first.finish().items[0].progress is Progress.CONFLICT
        assert second.send(last).items[0].progress is Progress.COMPLETED

    def test_report_after_a_release(self, drive: Driver) -> None:
        """A released attempt is not counted, and the attempt that ended the item is kept."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        first = drive.take(run, "a")
        drive.clock.advance(LEASE + SECOND)
        token = new_id()
        drive.claim_one(run, "a", token=token)
        drive.release(run, "a", token=token)
        third = drive.take(run, "a")
        last = third.next(WorkState.COMPLETED)
        third.send(last)
        assert first.finish().items[0].progress is Progress.CONFLICT
        assert third.send(last).items[0].progress is Progress.COMPLETED

    def test_report_without_attempt(self, drive: Driver) -> None:
        """A report that names no attempt is a Conflict."""
        _, held = self.folded(drive)
        report = replace(held.next(WorkState.COMPLETED), attempt=0)
        assert held.send(report).items[0].progress is Progress.CONFLICT

    def test_report_of_an_older_run(self, drive: Driver) -> None:
        """A report of an older run is a Conflict once a newer one has the status, also with the same attempt."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        last = held.next(WorkState.COMPLETED)
        held.send(last)
        drive.page(run)
        drive.run_through()
        assert held.send(last).items[0].progress is Progress.CONFLICT

    def test_batch(self, drive: Driver) -> None:
        """In one call each item is answered for itself: kept, gone, and never there."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=1)
        token = new_id()
        first = drive.take(run, "a", token=token)
        last = first.next(WorkState.COMPLETED)
        first.send(last)
        drive.page(run, size=1)
        second = drive.take(run, "b", token=token)
        reports = [last, second.next(WorkState.COMPLETED), replace(last, name="c"), replace(last, name="nobody")]
        answer = drive.store.report(drive.process, run, reports, token=token, lease=LEASE)
        words = [item.progress for item in answer.items]
        assert words == [Progress.COMPLETED, Progress.COMPLETED, Progress.CONFLICT, Progress.CONFLICT]
        assert answer.page_closed
        answers = [claim.answer for claim in drive.claim(run, "a", "b", "c")]
        assert answers == [ClaimAnswer.DONE, ClaimAnswer.DONE, ClaimAnswer.CONFLICT]

    def test_others_stay(self, drive: Driver) -> None:
        """Items that did not complete are answered as before: incomplete, aborted, lost and removed ones."""
        run = drive.start("a", "b", "c", "d", "e", "f")
        drive.page(run, size=5)
        incomplete = drive.take(run, "a")
        last = incomplete.next(WorkState.INCOMPLETE)
        incomplete.send(last)
        drive.take(run, "b").finish(WorkState.ABORTED)
        drive.claim_one(run, "c")
        drive.unregister("d")
        assert drive.claim_one(run, "d").answer is ClaimAnswer.REMOVED
        drive.take(run, "e").finish()
        drive.clock.advance(LEASE + SECOND)
        assert drive.sweep(run, max_attempts=1).repairs.lost == ("c",)
        counts = drive.status(run).counts
        assert (counts.incomplete, counts.aborted, counts.lost, counts.removed, counts.completed) == (1, 1, 1, 1, 1)
        assert [claim.answer for claim in drive.claim(run, "a", "b", "c", "d", "e")] == [
            ClaimAnswer.DONE,
            ClaimAnswer.DONE,
            ClaimAnswer.DONE,
            ClaimAnswer.REMOVED,
            ClaimAnswer.DONE,
        ]
        assert incomplete.send(last).items[0].progress is Progress.COMPLETED
        assert incomplete.send(last, token=new_id()).items[0].progress is Progress.CONFLICT

    def test_cancelled_stays(self, drive: Driver) -> None:
        """Cancelled items are answered Aborted, the completed ones of their page Done."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish()
        drive.stop(run)
        assert [claim.answer for claim in drive.claim(run, "a", "b")] == [ClaimAnswer.DONE, ClaimAnswer.ABORTED]

    def test_open_page_stays(self, drive: Driver) -> None:
        """As long as an item of the page is open, the completed ones of it are known by their token."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        last = held.next(WorkState.COMPLETED)
        held.send(last)
        assert held.send(last, token=new_id()).items[0].progress is Progress.CONFLICT
        assert held.answer().progress is Progress.COMPLETED

    def test_release_and_publishing(self, drive: Driver) -> None:
        """Releasing or publishing a deleted item does nothing."""
        run, held = self.folded(drive)
        before = drive.status(run)
        released = drive.release(run, "a", token=held.token)
        assert (released.page_closed, released.run) == (False, None)
        drive.store.mark_published(drive.process, run, ["a"])
        assert drive.status(run) == before
        drive.clock.advance(LEASE)
        assert drive.sweep(run).publish == ()

    def test_not_enlisted_again(self, drive: Driver) -> None:
        """What completed is not enlisted again, also where it came onto the other list in the moment the run began."""
        run = drive.start("a")
        drive.page(run)
        drive.take(run, "a").finish()
        drive.unregister("a")
        page = drive.page(run)
        assert (page.answer, page.names) == (PageAnswer.CLOSED, ())
        assert drive.status(run).counts.enlisted == 1
        assert drive.work("a").on is WorkList.CLEANUP

    def test_dropped(self, drive: Driver) -> None:
        """A clean cleanup is dropped with its report, and Done after it."""
        run = drive.start("a", cleanup=("x", "y"))
        drive.page(run)
        drive.take(run, "a").finish()
        drive.page(run, size=1)
        held = drive.take(run, "x")
        last = held.next(WorkState.COMPLETED)
        held.send(last)
        assert drive.work("x").on is WorkList.DROPPED
        assert drive.claim_one(run, "x").answer is ClaimAnswer.DONE
        assert held.send(last).items[0].progress is Progress.COMPLETED

    def test_figures(self, drive: Driver) -> None:
        """Counts, stats and the live status of the items are what they were with the rows there."""
        run = drive.start("a", "b", "c")
        for name in ("a", "b"):
            drive.page(run, size=1)
            drive.take(run, name).finish(stats={"x": 2})
        drive.page(run, size=1)
        drive.take(run, "c")
        status = drive.status(run)
        assert (status.counts.completed, status.counts.claimed) == (2, 1)
        assert (status.stats["workItems"], status.stats["work.x"]) == (2, 4)
        states = [work.status.state for work in drive.store.works(drive.process, on=WorkList.ACTIVE, after="", limit=9)]
        assert states == [WorkState.COMPLETED, WorkState.COMPLETED, WorkState.ACTIVE]
        check_invariants(drive.store, drive.process)

    def test_end(self, drive: Driver) -> None:
        """A run of many pages ends with all of them counted."""
        run = drive.start(*(f"n{number}" for number in range(9)))
        while names := drive.page(run, size=2, window=4).names:
            for name in names:
                drive.take(run, name).finish(stats={"x": 1})
        closed = drive.status(run)
        assert (closed.state, closed.counts.completed, closed.stats["work.x"]) == (RunState.COMPLETED, 9, 9)
        check_invariants(drive.store, drive.process)
