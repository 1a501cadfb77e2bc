"""Purge: what is over for long goes, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from celery_process.exceptions import RunNotFound, WorkNotFound
from celery_process.protocol.model import Retention
from celery_process.protocol.states import Again, ClaimAnswer, Progress, RunAnswer, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, SECOND, Driver, at_once


class TestPurge:
    """`purge`."""

    def test_nothing_to_do(self, drive: Driver) -> None:
        """What is young stays."""
        run = drive.run_through("a", cleanup=("b",))
        assert drive.purge(Retention()) == 0
        assert drive.status(run.id) == run
        assert drive.work("b").on is WorkList.DROPPED

    def test_unknown(self, drive: Driver) -> None:
        """A process never heard of has nothing to purge."""
        assert drive.purge(Retention()) == 0

    def test_items(self, drive: Driver) -> None:
        """The items of older runs go, their runs stay as they are."""
        runs = [drive.work_off(drive.start("a", "b"), WorkState.INCOMPLETE) for _ in range(4)]
        assert drive.purge(Retention(runs_with_items=2)) >= 4
        assert [drive.status(run.id) for run in runs] == runs
        assert drive.claim_one(runs[1].id, "a").answer is ClaimAnswer.CONFLICT
        assert drive.claim_one(runs[2].id, "a").answer is ClaimAnswer.DONE
        assert drive.claim_one(runs[3].id, "a").answer is ClaimAnswer.DONE

    def test_last_status_stays(self, drive: Driver) -> None:
        """The last status of an item outlives the items of its run."""
        drive.run_through("a")
        before = drive.work("a")
        drive.purge(Retention(runs=0, runs_with_items=0))
        assert drive.work("a") == before
        assert before.status.state is WorkState.COMPLETED

    def test_report_of_a_purged_item(self, drive: Driver) -> None:
        """A report for an item that is gone, and whose status is of a newer run, is answered Conflict."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        report = held.next(WorkState.COMPLETED)
        held.send(report)
        drive.page(run)
        drive.run_through()
        drive.purge(Retention(runs_with_items=0))
        assert held.send(report).items[0].progress is Progress.CONFLICT

    def test_report_of_a_lost_item(self, drive: Driver) -> None:
        """The last holder of a lost item is answered Conflict, also once the item is purged and only its status is kept."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE + SECOND)
        assert drive.sweep(run, max_attempts=1).repairs.lost == ("a",)
        drive.page(run)
        drive.purge(Retention(runs_with_items=0))
        assert drive.work("a").status.attempt == held.claim.attempt
        assert held.finish().items[0].progress is Progress.CONFLICT

    def test_runs(self, drive: Driver) -> None:
        """Of the closed runs the newest stay."""
        runs = [drive.run_through("a") for _ in range(5)]
        assert drive.purge(Retention(runs=2, runs_with_items=1)) > 0
        kept = [run.id for run in drive.store.runs(drive.process, before=None, limit=99)]
        assert kept == [runs[4].id, runs[3].id]
        with pytest.raises(RunNotFound):
            drive.status(runs[0].id)

    def test_open_run(self, drive: Driver) -> None:
        """The open run and its items stay whatever the limits."""
        drive.run_through("a")
        run = drive.begin()
        held = drive.take(run, "a")
        drive.purge(Retention(runs=0, runs_with_items=0, slots=0, dropped=0))
        assert held.answer().progress is Progress.UPDATED
        assert drive.status(run).counts.claimed == 1

    def test_aggregate_stays(self, drive: Driver) -> None:
        """The aggregate keeps what purged runs added to it."""
        for _ in range(4):
            drive.run_through("a")
        before = drive.store.process(drive.process).aggregate_stats
        drive.purge(Retention(runs=1, runs_with_items=0))
        assert drive.store.process(drive.process).aggregate_stats == before
        assert before["runs"] == 4

    def test_purged_slot_stays_taken(self, drive: Driver) -> None:
        """A slot whose run and entry are gone does not run again: the last slot stays."""
        drive.run_through("a")
        drive.purge(Retention(runs=0, runs_with_items=0, slots=0))
        assert drive.claim_run().answer is RunAnswer.LOST

    def test_epochs_rise(self, drive: Driver) -> None:
        """After all runs are gone epochs go on (I1)."""
        drive.run_through("a")
        last = drive.run_through("a")
        drive.purge(Retention(runs=0, runs_with_items=0))
        assert drive.status(drive.start()).epoch > last.epoch

    def test_generations_rise(self, drive: Driver) -> None:
        """After older generations of a slot are gone the next one is still a new one (I1)."""
        for _ in range(3):
            claim = drive.claim_run(again=Again.ALWAYS)
            assert claim.run is not None
            drive.work_off(claim.run.id)
        drive.purge(Retention(runs=1, runs_with_items=1))
        for generation in (3, 4):
            claim = drive.claim_run(again=Again.ALWAYS)
            assert claim.run is not None
            assert claim.run.generation == generation
            drive.work_off(claim.run.id)

    def test_ledger(self, drive: Driver) -> None:
        """Of the ledger the newest entries stay."""
        for _ in range(5):
            drive.run_through()
        newest = drive.store.slots(drive.process, before=None, limit=2)
        assert drive.purge(Retention(slots=2)) == 3
        assert drive.store.slots(drive.process, before=None, limit=99) == newest

    def test_dropped_for_long(self, drive: Driver) -> None:
        """Dropped items go after their time, active ones and cleanups never."""
        drive.run_through("a", cleanup=("b",))
        drive.unregister("c")
        drive.clock.advance(timedelta(days=30) - SECOND)
        assert drive.purge(Retention()) == 0
        drive.clock.advance(2 * SECOND)
        assert drive.purge(Retention()) == 1
        with pytest.raises(WorkNotFound):
            drive.work("b")
        counts = drive.store.work_counts(drive.process)
        assert counts == {WorkList.ACTIVE: 1, WorkList.CLEANUP: 1, WorkList.DROPPED: 0}

    def test_many_dropped(self, drive: Driver) -> None:
        """Of too many dropped items the last dropped stay."""
        run = drive.start(cleanup=("a", "b", "c"))
        drive.page(run)
        for name in ("c", "a", "b"):
            drive.clock.advance(SECOND)
            drive.take(run, name).finish()
        drive.page(run)
        assert drive.purge(Retention(dropped=2)) == 1
        left = drive.store.works(drive.process, on=WorkList.DROPPED, after="", limit=9)
        assert [work.name for work in left] == ["a", "b"]

    def test_purged_name_comes_back(self, drive: Driver) -> None:
        """A name that was purged can be registered again, as NEW."""
        drive.run_through(cleanup=("a",))
        drive.purge(Retention(dropped=0))
        assert drive.register("a") == ("a",)
        assert drive.work("a").status.state is WorkState.NEW

    def test_repeated(self, drive: Driver) -> None:
        """A second purge deletes nothing."""
        for _ in range(5):
            drive.run_through("a", "b")
        retention = Retention(runs=2, runs_with_items=1, slots=2)
        assert drive.purge(retention) > 0
        assert drive.purge(retention) == 0
        assert drive.store.purge(drive.process, retention=retention, limit=1) == 0

    def test_in_small_steps(self, drive: Driver) -> None:
        """In steps of a few rows the purge comes to the same end."""
        for _ in range(4):
            drive.work_off(drive.start(*(f"n{number}" for number in range(10))), WorkState.INCOMPLETE)
        assert drive.purge(Retention(runs=1, runs_with_items=1, slots=1), limit=3) >= 33
        assert len(drive.store.runs(drive.process, before=None, limit=99)) == 1
        assert len(drive.store.slots(drive.process, before=None, limit=99)) == 1

    def test_processes_are_apart(self, drive: Driver) -> None:
        """The purge of one process leaves others alone."""
        other = Driver(drive.store, drive.process + ".other", drive.clock)
        run = other.run_through("a")
        drive.run_through("a")
        drive.purge(Retention(runs=0, runs_with_items=0, slots=0, dropped=0))
        assert other.status(run.id) == run

    def test_race(self, drive: Driver) -> None:
        """Purges at once come to the same end as one."""
        for _ in range(5):
            drive.run_through("a", "b")
        retention = Retention(runs=2, runs_with_items=1, slots=2)
        at_once(lambda _: drive.purge(retention))
        assert drive.purge(retention) == 0
        assert len(drive.store.runs(drive.process, before=None, limit=99)) == 2
        check_invariants(drive.store, drive.process)

    def test_race_with_a_run(self, drive: Driver) -> None:
        """A purge takes nothing from a run that is worked at the same time."""
        for _ in range(3):
            drive.run_through("a")
        names = [f"n{number}" for number in range(7)]
        run = drive.begin(*names)

        def act(number: int) -> None:
            if number == 7:
                drive.purge(Retention(runs=1, runs_with_items=0, slots=1))
            else:
                drive.take(run, names[number]).finish(stats={"x": 1})

        at_once(act)
        drive.take(run, "a").finish()
        drive.page(run)
        closed = drive.status(run)
        assert (closed.counts.completed, closed.stats["work.x"]) == (8, 7)
