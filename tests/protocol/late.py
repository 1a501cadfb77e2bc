"""Late reports: an item whose lease ran out stays its last holder's until another caller claims it."""

from __future__ import annotations

import pytest

from celery_process.protocol.model import RunSpec
from celery_process.protocol.states import ClaimAnswer, Progress, RunState, StopReason, WorkList, WorkState
from celery_process.protocol.tokens import claim_token
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, Driver, Held


class TestLate:
    """`report` of an item whose lease ran out and that a sweep freed."""

    def freed(self, drive: Driver, *names: str, spec: RunSpec | None = None) -> tuple[str, Held]:
        """Return a run, and the holder of its first item, which a sweep freed and published again."""
        run = drive.begin(*names, spec=spec)
        held = drive.take(run, names[0])
        held.report(errors=1, stats={"x": 1})
        drive.clock.advance(LEASE)
        assert drive.sweep(run).repairs.expired == 1
        drive.store.mark_published(drive.process, run, [names[0]])
        return run, held

    def test_outcome(self, drive: Driver) -> None:
        """A late outcome is accepted if no caller claimed the item since; it counts once, in its own attempt."""
        run, held = self.freed(drive, "a")
        report = held.next(WorkState.COMPLETED, errors=1, stats={"x": 2})
        told = held.send(report)
        assert (told.items[0].progress, told.page_closed) == (Progress.COMPLETED, True)
        closed = drive.page(run).run
        assert closed is not None
        assert (closed.state, closed.counts.completed, closed.total_errors) == (RunState.COMPLETED, 1, 2)
        assert closed.stats["work.x"] == 3
        assert drive.work("a").status.attempt == 1
        check_invariants(drive.store, drive.process)

    def test_repeated(self, drive: Driver) -> None:
        """The late outcome of one of two items is answered the same when it comes once more."""
        _, held = self.freed(drive, "a", "b")
        report = held.next(WorkState.INCOMPLETE)
        assert [held.send(report).items[0].progress for _ in range(2)] == [Progress.COMPLETED] * 2

    def test_message_of_the_sweep(self, drive: Driver) -> None:
        """A worker that gets the message published by the sweep is answered BUSY, then DONE."""
        run, held = self.freed(drive, "a", "b")
        assert held.answer().progress is Progress.UPDATED
        assert drive.claim_one(run, "a").answer is ClaimAnswer.BUSY
        held.finish()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_renewal(self, drive: Driver) -> None:
        """A late renewal claims the item again, for a whole lease and as the same attempt."""
        run, held = self.freed(drive, "a")
        assert held.answer().progress is Progress.UPDATED
        counts = drive.status(run).counts
        assert (counts.pending, counts.claimed) == (0, 1)
        drive.clock.advance(LEASE / 2)
        assert drive.sweep(run).repairs.expired == 0
        drive.clock.advance(LEASE / 2)
        assert drive.sweep(run).repairs.expired == 1
        assert drive.take(run, "a").claim.attempt == 2

    def test_older_report(self, drive: Driver) -> None:
        """A report that is not newer than what the item has claims nothing."""
        run, held = self.freed(drive, "a")
        held.sequence -= 1
        held.errors = 0
        assert held.answer(errors=1).progress is Progress.UPDATED
        assert drive.status(run).counts.pending == 1
        assert drive.status(run).total_errors == 1

    def test_claimed_since(self, drive: Driver) -> None:
        """A late holder whose item another claimed is answered Conflict, also when that claim's lease ran out."""
        run, held = self.freed(drive, "a")
        other = drive.take(run, "a")
        assert other.claim.attempt == 2
        assert held.answer().progress is Progress.CONFLICT
        drive.clock.advance(LEASE)
        assert drive.sweep(run).repairs.expired == 1
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert other.finish(stats={"x": 7}).items[0].progress is Progress.COMPLETED
        assert drive.status(run).stats["work.x"] == 7

    def test_same_token(self, drive: Driver) -> None:
        """A claim of a freed item is a new attempt, though it comes with the token of the last."""
        run, held = self.freed(drive, "a")
        again = drive.claim_one(run, "a", token=held.token)
        assert (again.answer, again.attempt) == (ClaimAnswer.CLAIMED, 2)
        assert drive.status(run).counts.claimed == 1

    def test_released(self, drive: Driver) -> None:
        """A freed item that its holder releases uses up no attempt, and has no holder."""
        run, held = self.freed(drive, "a")
        drive.release(run, "a", token=held.token)
        assert held.answer().progress is Progress.CONFLICT
        assert drive.take(run, "a").claim.attempt == 1

    @pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.SUPERSEDED])
    def test_stopped(self, drive: Driver, reason: StopReason) -> None:
        """A stop cancels what was freed, and its last holder is answered Conflict."""
        run, held = self.freed(drive, "a")
        closed = drive.stop(run, reason)
        assert closed is not None
        assert closed.counts.cancelled == 1
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert drive.status(run) == closed

    def test_aborting(self, drive: Driver) -> None:
        """In a run that is stopping a sweep cancels what it frees."""
        run = drive.begin("a", "b")
        held, other = drive.take(run, "a"), drive.take(run, "b")
        drive.stop(run)
        drive.clock.advance(LEASE / 2)
        other.report()
        drive.clock.advance(LEASE / 2)
        drive.sweep(run)
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert drive.status(run).counts.cancelled == 1

    def test_paused(self, drive: Driver) -> None:
        """Under a pause a late outcome counts, as that of any item in flight."""
        run, held = self.freed(drive, "a")
        drive.pause()
        assert held.finish().items[0].progress is Progress.COMPLETED
        assert drive.status(run).counts.completed == 1

    def test_removed(self, drive: Driver) -> None:
        """A late outcome of an item that was unregistered counts, until a delivery finds it removed."""
        run, held = self.freed(drive, "a", "b")
        drive.unregister("a", "b")
        assert held.finish().items[0].progress is Progress.COMPLETED
        assert drive.claim_one(run, "b").answer is ClaimAnswer.REMOVED
        assert drive.status(run).counts.completed == 1

    def test_found_removed(self, drive: Driver) -> None:
        """Once a delivery found the item removed, its last holder is answered Conflict."""
        run, held = self.freed(drive, "a", "b")
        drive.unregister("a")
        assert drive.claim_one(run, "a").answer is ClaimAnswer.REMOVED
        assert held.finish().items[0].progress is Progress.CONFLICT

    def test_tolerance(self, drive: Driver) -> None:
        """Errors of a late report are counted once, and may exceed the tolerance."""
        run, held = self.freed(drive, "a", "b", spec=RunSpec(run_limit=1))
        assert held.report(errors=1).stopping
        assert (drive.status(run).state, drive.status(run).total_errors) == (RunState.ABORTING, 2)

    def test_clean_cleanup(self, drive: Driver) -> None:
        """A late clean cleanup drops its item."""
        run = drive.begin(cleanup=("a",))
        held = drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.sweep(run)
        held.finish()
        assert drive.work("a").on is WorkList.DROPPED

    def test_lost(self, drive: Driver) -> None:
        """A lost item has no holder: a late outcome is refused, and the loss counts once."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a", token=claim_token("task-1"))
        drive.clock.advance(LEASE)
        drive.take(run, "b")  # keeps their page open
        assert drive.sweep(run, max_attempts=1).repairs.lost == ("a",)
        assert held.finish().items[0].progress is Progress.CONFLICT
        counts = drive.status(run).counts
        assert (counts.lost, counts.completed, counts.claimed) == (1, 0, 1)
        assert drive.work("a").status.task_id == "task-1"
