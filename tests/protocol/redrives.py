"""Redrive: a closed run's items once more, except those that completed."""

from __future__ import annotations

import pytest

from celery_process.exceptions import RunNotFound, RunPurged
from celery_process.protocol.model import Retention, RunSpec
from celery_process.protocol.states import PageAnswer, RunAnswer, RunState, StopReason, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import HOUR, MINUTE, Driver, at_once, new_id


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
        assert (new.slot, new.generation, new.epoch) == (old.slot, 1, new.epoch)
        assert new.epoch > old.epoch
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

    def test_stopped_between_pages(self, drive: Driver) -> None:
        """Of a run that was stopped in the middle it takes what was cancelled or never enlisted, and not what completed."""
        run = drive.start("a", "b", "c", "d")
        drive.page(run, size=1)
        drive.take(run, "a").finish()
        drive.page(run, size=1)
        drive.stop(run)
        assert drive.page(self.again(drive, run)).names == ("b", "c", "d")

    def test_aborted_between_pages(self, drive: Driver) -> None:
        """So it is with a run beyond its tolerance, whose last holder ends its item after the stop."""
        run = drive.start("a", "b", "c", "d", "e")
        drive.page(run, size=1)
        drive.take(run, "a").finish()
        drive.page(run, size=2)
        held = drive.take(run, "b")
        drive.take(run, "c").finish(WorkState.ABORTED, errors=11)
        held.finish()
        assert drive.status(run).state is RunState.ABORTED
        new = self.again(drive, run)
        assert drive.page(new).names == ("c", "d", "e")
        for name in ("c", "d", "e"):
            drive.take(new, name).finish()
        drive.page(new)
        assert drive.status(new).counts.completed == 3
        check_invariants(drive.store, drive.process)

    def test_stopped_before_it_began(self, drive: Driver) -> None:
        """Of a run that enlisted nothing it takes everything."""
        run = drive.start("a", cleanup=("x",))
        drive.stop(run)
        new = self.again(drive, run)
        assert drive.page(new).names == ("a",)
        drive.take(new, "a").finish()
        assert drive.page(new).names == ("x",)

    def test_completed(self, drive: Driver) -> None:
        """Of a run that completed all it takes nothing, and is over at once."""
        new = self.again(drive, drive.run_through("a", "b", cleanup=("x",)).id)
        assert drive.page(new).names == ()
        assert drive.status(new).state is RunState.COMPLETED

    def test_stopped_before_the_cleanups(self, drive: Driver) -> None:
        """The cleanups that a stopped run had not come to are taken after the items."""
        run = drive.start("a", "b", cleanup=("A", "z"))
        drive.page(run, size=1)
        drive.take(run, "a").finish()
        drive.stop(run)
        new = self.again(drive, run)
        assert drive.page(new).names == ("b",)
        drive.take(new, "b").finish()
        page = drive.page(new)
        assert (page.on, page.names) == (WorkList.CLEANUP, ("A", "z"))

    def test_stopped_among_the_cleanups(self, drive: Driver) -> None:
        """Of the cleanups it takes those that were not enlisted, and no item of the active list, which all completed."""
        run = drive.start("a", "z", cleanup=("m", "n"))
        for name in drive.page(run).names:
            drive.take(run, name).finish()
        assert drive.page(run, size=1).names == ("m",)
        drive.take(run, "m").finish(errors=1)
        drive.stop(run)
        assert drive.work("m").on is WorkList.CLEANUP
        page = drive.page(self.again(drive, run))
        assert (page.on, page.names) == (WorkList.CLEANUP, ("n",))

    def test_runs_between(self, drive: Driver) -> None:
        """What a later run made of the items is no matter: it takes what did not complete in the run that it redrives."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=2)
        drive.take(run, "a").finish()
        drive.take(run, "b").finish(WorkState.INCOMPLETE)
        drive.stop(run)
        drive.work_off(drive.start(), WorkState.INCOMPLETE)
        assert drive.page(self.again(drive, run)).names == ("b", "c")

    def test_completed_between(self, drive: Driver) -> None:
        """So it is where the later run completed them."""
        run = self.half_done(drive)
        drive.run_through()
        assert drive.page(self.again(drive, run)).names == ("b",)

    def test_registered_behind_the_walk(self, drive: Driver) -> None:
        """A name listed in the moment the run began, but behind its walk, is for the next run; one ahead is enlisted."""
        run = drive.start("b", "c")
        drive.page(run, size=1)
        drive.register("a", "d")
        drive.stop(run)
        assert drive.page(self.again(drive, run)).names == ("b", "c", "d")
        assert drive.work("a").status.state is WorkState.NEW

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

    def test_redriven_again_after_stops(self, drive: Driver) -> None:
        """What each run of the chain completed is known by its own walk and its own items."""
        first = drive.start("a", "b", "c", "d", "e")
        drive.page(first, size=2)
        drive.take(first, "a").finish()
        drive.stop(first)
        second = self.again(drive, first)
        assert drive.page(second, size=2).names == ("b", "c")
        drive.take(second, "c").finish()
        drive.stop(second)
        third = self.again(drive, second)
        assert drive.page(third, size=1).names == ("b",)
        drive.take(third, "b").finish()
        drive.stop(third)
        fourth = self.again(drive, third)
        assert drive.page(fourth).names == ("d", "e")
        for name in ("d", "e"):
            drive.take(fourth, name).finish()
        drive.page(fourth)
        assert drive.page(self.again(drive, fourth)).answer is PageAnswer.CLOSED
        check_invariants(drive.store, drive.process)

    def test_redriven_after_a_shorter_walk(self, drive: Driver) -> None:
        """A redrive that walked less far than the run before it does not enlist again what that one completed."""
        first = drive.start("a", "b", "c")
        for name in drive.page(first).names:
            drive.take(first, name).finish(WorkState.INCOMPLETE if name == "a" else WorkState.COMPLETED)
        drive.page(first)
        second = self.again(drive, first)
        drive.stop(second)
        assert drive.page(self.again(drive, second)).names == ("a",)

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
            assert (claim.answer, claim.run, claim.open_run) == (RunAnswer.OVERLAPPED, None, new)

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
        """After a purge during a redrive no item that completed in the redriven runs is enlisted again."""
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
