"""Redrive: a closed run's items once more, except those that completed."""

from __future__ import annotations

import pytest

from celery_process.exceptions import RunNotFound, RunPurged
from celery_process.model import Retention, RunSpec
from celery_process.states import RunAnswer, RunState, StopReason, WorkList, WorkState
from celery_process.testing.conformance.driver import HOUR, MINUTE, Driver, at_once, new_id
from celery_process.testing.invariants import check_invariants


class TestRedrive:
    """`redrive`."""

    def half_done(self, drive: Driver, *, cleanup: tuple[str, ...] = ()) -> str:
        """Return a closed run of which `a` completed and `b` did not."""
        run = drive.start("a", "b", cleanup=cleanup)
        for name in drive.page(run).names:
            drive.take(run, name).finish(WorkState.COMPLETED if name == "a" else WorkState.INCOMPLETE)
        drive.work_off(run, WorkState.INCOMPLETE)
        return run

    def again(self, drive: Driver, run: str) -> str:
        """Redrive a run, and return the id of the new one."""
        claim = drive.redrive(run)
        assert claim.answer is RunAnswer.CLAIMED, claim
        assert claim.run is not None
        return claim.run.id

    def test_generation(self, drive: Driver) -> None:
        """It is the next generation of the same slot, with an epoch of its own."""
        old = drive.status(self.half_done(drive))
        drive.clock.advance(5 * HOUR)
        new = drive.status(self.again(drive, old.id))
        assert (new.slot, new.generation, new.epoch) == (old.slot, 1, old.epoch + 1)
        assert (new.state, new.started_at) == (RunState.ACTIVE, drive.clock())

    def test_what_did_not_complete(self, drive: Driver) -> None:
        """It takes what did not complete."""
        run = self.again(drive, self.half_done(drive))
        assert drive.page(run).names == ("b",)
        drive.take(run, "b").finish()
        drive.page(run)
        assert drive.work("b").status.state is WorkState.COMPLETED
        check_invariants(drive.store, drive.process)

    def test_never_enlisted(self, drive: Driver) -> None:
        """It takes the names that an aborted run had not come to."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=1)
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        assert drive.page(self.again(drive, run)).names == ("a", "b", "c")

    def test_cancelled(self, drive: Driver) -> None:
        """It takes what was cancelled."""
        run = drive.begin("a")
        drive.stop(run)
        assert drive.page(self.again(drive, run)).names == ("a",)

    def test_cleanup(self, drive: Driver) -> None:
        """It takes cleanups that were not clean, and not what was dropped."""
        run = drive.begin(cleanup=("x", "y"))
        drive.take(run, "x").finish()
        drive.take(run, "y").finish(WorkState.INCOMPLETE)
        drive.page(run)
        page = drive.page(self.again(drive, run))
        assert (page.on, page.names) == (WorkList.CLEANUP, ("y",))

    def test_no_longer_registered(self, drive: Driver) -> None:
        """It leaves out what was unregistered since."""
        run = self.half_done(drive)
        drive.clock.advance(MINUTE)
        drive.unregister("b")
        new = self.again(drive, run)
        assert drive.page(new).names == ()
        assert drive.status(new).state is RunState.COMPLETED

    def test_registered_since(self, drive: Driver) -> None:
        """It leaves out what was registered since."""
        run = self.half_done(drive)
        drive.clock.advance(MINUTE)
        drive.register("c")
        assert drive.page(self.again(drive, run)).names == ("b",)

    def test_redriven_again(self, drive: Driver) -> None:
        """A redrive of a redrive leaves out what either of them completed."""
        first = drive.start("a", "b", "c")
        for name in drive.page(first).names:
            drive.take(first, name).finish(WorkState.COMPLETED if name == "a" else WorkState.INCOMPLETE)
        drive.page(first)
        second = self.again(drive, first)
        for name in drive.page(second).names:
            drive.take(second, name).finish(WorkState.COMPLETED if name == "b" else WorkState.INCOMPLETE)
        drive.page(second)
        third = self.again(drive, second)
        assert drive.page(third).names == ("c",)
        assert drive.status(third).generation == 2

    def test_repeated(self, drive: Driver) -> None:
        """The same uuid again is answered ALREADY with the same run."""
        run, uuid = self.half_done(drive), new_id()
        first, second = drive.redrive(run, uuid=uuid), drive.redrive(run, uuid=uuid)
        assert (first.answer, second.answer) == (RunAnswer.CLAIMED, RunAnswer.ALREADY)
        assert first.run == second.run

    def test_open(self, drive: Driver) -> None:
        """While a run is open, this one or another, none is redriven."""
        run = self.half_done(drive)
        new = self.again(drive, run)
        for wanted in (run, new):
            claim = drive.redrive(wanted)
            assert claim.run is not None
            assert (claim.answer, claim.run.id) == (RunAnswer.OVERLAPPED, new)

    def test_paused(self, drive: Driver) -> None:
        """A paused process redrives nothing."""
        run = self.half_done(drive)
        drive.pause()
        assert drive.redrive(run).answer is RunAnswer.PAUSED

    def test_unknown(self, drive: Driver) -> None:
        """A run that is not kept cannot be redriven, nor one of the same epoch and another uuid."""
        epoch = drive.status(self.half_done(drive)).epoch
        for run in (f"9-{new_id()}", f"{epoch}-{new_id()}", "nonsense"):
            with pytest.raises(RunNotFound):
                drive.redrive(run)

    def test_purged(self, drive: Driver) -> None:
        """A run whose items are no longer kept cannot be redriven."""
        run = self.half_done(drive)
        drive.run_through()
        drive.purge(Retention(runs_with_items=1))
        with pytest.raises(RunPurged):
            drive.redrive(run)

    def test_purged_meanwhile(self, drive: Driver) -> None:
        """A purge during a redrive brings back nothing that completed in the runs that it redrives."""
        second = self.again(drive, self.half_done(drive))
        drive.stop(second)
        third = self.again(drive, second)
        drive.purge(Retention(runs_with_items=1, runs=1))
        assert drive.page(third).names == ("b",)

    def test_last_slot_stays(self, drive: Driver) -> None:
        """It takes no slot from the schedule."""
        run = self.half_done(drive)
        drive.run_through()
        last = drive.store.process(drive.process).last_slot
        drive.work_off(self.again(drive, run))
        assert drive.store.process(drive.process).last_slot == last
        drive.clock.advance(HOUR)
        assert drive.claim_run().answer is RunAnswer.CLAIMED

    def test_spec(self, drive: Driver) -> None:
        """It has the tolerance that the code has now."""
        run = self.half_done(drive)
        claim = drive.redrive(run, spec=RunSpec(work_limit=0))
        assert claim.run is not None
        drive.page(claim.run.id)
        assert drive.take(claim.run.id, "b").report(errors=1).stopping

    def test_old_run_stays(self, drive: Driver) -> None:
        """The run that is redriven does not change (I7)."""
        run = self.half_done(drive)
        before = drive.status(run)
        drive.work_off(self.again(drive, run))
        assert drive.status(run) == before

    def test_superseded(self, drive: Driver) -> None:
        """A redrive can be stopped like any run."""
        new = self.again(drive, self.half_done(drive))
        drive.page(new)
        drive.take(new, "b")
        assert drive.stop(new, StopReason.SUPERSEDED) == drive.status(new)

    def test_race(self, drive: Driver) -> None:
        """Of callers who redrive a run at once exactly one is answered CLAIMED."""
        run = self.half_done(drive)
        answers = [claim.answer for claim in at_once(lambda _: drive.redrive(run))]
        assert answers.count(RunAnswer.CLAIMED) == 1
        assert answers.count(RunAnswer.OVERLAPPED) == 7
        check_invariants(drive.store, drive.process)
