"""Claims of runs: one run a slot, one open run a process."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from celery_process.protocol.model import RunSpec
from celery_process.protocol.states import Again, RunAnswer, RunState, StopReason
from celery_process.testing.invariants import check_invariants

from .driver import CALLERS, HOUR, MINUTE, SECOND, Driver, at_once, new_id


class TestClaimingRuns:
    """`claim_run`."""

    def test_claimed(self, drive: Driver) -> None:
        """A due and free slot is claimed: a run of generation 0, ACTIVE since the store's now."""
        uuid, slot = new_id(), drive.slot()
        drive.clock.advance(MINUTE)
        claim = drive.claim_run(uuid=uuid, slot=slot)
        assert claim.answer is RunAnswer.CLAIMED
        run = claim.run
        assert run is not None
        assert (run.process, run.id) == (drive.process, f"{run.epoch}-{uuid}")
        assert (run.slot, run.generation, run.state, run.reason) == (slot.slot, 0, RunState.ACTIVE, "")
        assert (run.started_at, run.finished_at, run.total_errors) == (drive.clock(), None, 0)
        assert (run.stats, run.errors, run.counts.enlisted) == ({}, (), 0)

    def test_shown(self, drive: Driver) -> None:
        """The claimed run is the process's run, and its slot the last one."""
        claim = drive.claim_run()
        stored = drive.store.process(drive.process)
        assert (stored.run, stored.last_slot) == (claim.run, drive.slot().slot)

    def test_repeated(self, drive: Driver) -> None:
        """The same uuid again is answered ALREADY with the same run."""
        uuid = new_id()
        first, second = drive.claim_run(uuid=uuid), drive.claim_run(uuid=uuid)
        assert (second.answer, second.run) == (RunAnswer.ALREADY, first.run)
        assert len(drive.store.runs(drive.process, before=None, limit=9)) == 1

    def test_repeated_after_the_end(self, drive: Driver) -> None:
        """The same uuid again is answered ALREADY even when the run is over."""
        uuid = new_id()
        claim = drive.claim_run(uuid=uuid)
        assert claim.run is not None
        closed = drive.work_off(claim.run.id)
        again = drive.claim_run(uuid=uuid)
        assert (again.answer, again.run) == (RunAnswer.ALREADY, closed)

    def test_repeated_while_paused(self, drive: Driver) -> None:
        """A repeat is recognised before anything else is looked at."""
        uuid = new_id()
        drive.claim_run(uuid=uuid)
        drive.pause()
        assert drive.claim_run(uuid=uuid).answer is RunAnswer.ALREADY

    def test_not_due(self, drive: Driver) -> None:
        """A future slot is not due, and the answer has the time until it is."""
        slot = drive.slot(drive.clock() + HOUR)
        claim = drive.claim_run(slot=slot)
        assert (claim.answer, claim.run, claim.due_in) == (RunAnswer.NOT_DUE, None, HOUR)

    def test_jitter(self, drive: Driver) -> None:
        """A slot with jitter is due at slot plus jitter, and no earlier."""
        slot = replace(drive.slot(), due_at=drive.clock() + 20 * SECOND)
        drive.clock.advance(5 * SECOND)
        assert drive.claim_run(slot=slot).due_in == 15 * SECOND
        drive.clock.advance(15 * SECOND)
        assert drive.claim_run(slot=slot).answer is RunAnswer.CLAIMED

    def test_not_due_writes_nothing(self, drive: Driver) -> None:
        """A claim that comes early leaves no trace."""
        drive.claim_run(slot=drive.slot(drive.clock() + HOUR))
        stored = drive.store.process(drive.process)
        assert (stored.run, stored.last_slot) == (None, None)
        assert drive.store.slots(drive.process, before=None, limit=9) == ()

    def test_overlapped(self, drive: Driver) -> None:
        """While a run is open the next slot is OVERLAPPED, and the answer carries the id of the open run."""
        run = drive.start()
        drive.clock.advance(HOUR)
        claim = drive.claim_run()
        assert (claim.answer, claim.run, claim.open_run) == (RunAnswer.OVERLAPPED, None, run)

    def test_paused(self, drive: Driver) -> None:
        """A paused process starts no run."""
        drive.pause()
        assert drive.claim_run().answer is RunAnswer.PAUSED
        assert drive.store.process(drive.process).run is None

    def test_slot_has_run(self, drive: Driver) -> None:
        """A slot that has run is LOST."""
        drive.run_through("a")
        assert drive.claim_run().answer is RunAnswer.LOST

    def test_older_slot(self, drive: Driver) -> None:
        """A slot before the last one is LOST: slots rise."""
        drive.run_through()
        assert drive.claim_run(slot=drive.slot(drive.clock() - 2 * HOUR)).answer is RunAnswer.LOST

    def test_next_slot(self, drive: Driver) -> None:
        """The next slot gets a higher epoch."""
        first = drive.run_through()
        drive.clock.advance(HOUR)
        claim = drive.claim_run()
        assert claim.run is not None
        assert (claim.answer, claim.run.generation) == (RunAnswer.CLAIMED, 0)
        assert claim.run.epoch > first.epoch

    def test_clock_fault(self, drive: Driver) -> None:
        """A last slot far in the future was claimed by a wrong clock, and holds up no slot (W5)."""
        drive.clock.advance(timedelta(days=400))
        first = drive.run_through()
        drive.clock.advance(-timedelta(days=400))
        claim = drive.claim_run()
        assert claim.run is not None
        assert (claim.answer, claim.run.epoch) == (RunAnswer.CLAIMED, first.epoch + 1)

    def test_clock_fault_runs_a_slot_once(self, drive: Driver) -> None:
        """After a fault of the clock each slot still runs once."""
        drive.clock.advance(timedelta(days=400))
        drive.run_through()
        drive.clock.advance(-timedelta(days=400))
        drive.run_through()
        assert drive.claim_run().answer is RunAnswer.LOST

    def test_processes_are_apart(self, drive: Driver) -> None:
        """An open run of one process is none of another."""
        drive.start()
        other = Driver(drive.store, drive.process + ".other", drive.clock)
        assert other.claim_run().answer is RunAnswer.CLAIMED

    def test_settings_version(self, drive: Driver) -> None:
        """A run keeps the version of the overrides it began with."""
        drive.store.update_settings(drive.process, settings="{}", schedule=None)
        assert drive.status(drive.start()).settings_version == 1

    @pytest.mark.parametrize("same_uuid", [True, False])
    def test_race(self, drive: Driver, *, same_uuid: bool) -> None:
        """Of callers who claim a slot at once exactly one is answered CLAIMED, and there is one run (I1, I2)."""
        uuid = new_id()
        claims = at_once(lambda _: drive.claim_run(uuid=uuid if same_uuid else None))
        answers = [claim.answer for claim in claims]
        assert answers.count(RunAnswer.CLAIMED) == 1
        assert answers.count(RunAnswer.ALREADY) == (CALLERS - 1 if same_uuid else 0)
        assert len(drive.store.runs(drive.process, before=None, limit=99)) == 1
        check_invariants(drive.store, drive.process)

    def test_race_over_slots(self, drive: Driver) -> None:
        """Of callers who claim different due slots at once exactly one is answered CLAIMED."""
        drive.clock.advance(10 * HOUR)
        now = drive.clock()
        claims = at_once(lambda number: drive.claim_run(slot=drive.slot(now - number * HOUR)))
        assert [claim.answer for claim in claims].count(RunAnswer.CLAIMED) == 1
        check_invariants(drive.store, drive.process)

    def test_race_of_processes(self, drive: Driver) -> None:
        """Claims of different processes do not get into each other's way."""
        others = [Driver(drive.store, f"{drive.process}.{number}", drive.clock) for number in range(CALLERS)]
        claims = at_once(lambda number: others[number].claim_run())
        assert {claim.answer for claim in claims} == {RunAnswer.CLAIMED}


class TestGenerations:
    """`claim_run` with `again`: a slot runs once more."""

    def test_if_changed_and_not_changed(self, drive: Driver) -> None:
        """Without a change since its run a slot does not run again (B12)."""
        drive.run_through("a", cleanup=("b",))
        drive.clock.advance(MINUTE)
        assert drive.claim_run(again=Again.IF_CHANGED).answer is RunAnswer.LOST

    @pytest.mark.parametrize("change", ["settings", "registration", "unregistration"])
    @pytest.mark.parametrize("after", [timedelta(0), MINUTE])
    def test_if_changed(self, drive: Driver, change: str, after: timedelta) -> None:
        """Where asked for, a change since the start of its run, or at it, lets a slot run again: the next generation."""
        run = drive.start("a")
        drive.clock.advance(after)
        if change == "settings":
            drive.store.update_settings(drive.process, settings="{}", schedule=None)
        elif change == "registration":
            drive.register("b")
        else:
            drive.unregister("a")
        drive.work_off(run)
        assert drive.claim_run(again=Again.NEVER).answer is RunAnswer.LOST
        claim = drive.claim_run(again=Again.IF_CHANGED)
        assert claim.run is not None
        assert (claim.answer, claim.run.generation, claim.run.slot) == (RunAnswer.CLAIMED, 1, drive.slot().slot)

    def test_changed_before(self, drive: Driver) -> None:
        """A change before the start of its run lets no slot run again."""
        drive.register("a")
        drive.clock.advance(MINUTE)
        drive.run_through()
        assert drive.claim_run(again=Again.IF_CHANGED).answer is RunAnswer.LOST

    def test_if_changed_while_open(self, drive: Driver) -> None:
        """A change lets no second run start while the first is open."""
        drive.start("a")
        drive.register("b")
        assert drive.claim_run(again=Again.IF_CHANGED).answer in (RunAnswer.LOST, RunAnswer.OVERLAPPED)

    def test_always(self, drive: Driver) -> None:
        """By hand a slot runs again and again, each time as the next generation."""
        for generation in range(3):
            claim = drive.claim_run(again=Again.ALWAYS)
            assert claim.run is not None
            assert claim.run.generation == generation
            drive.work_off(claim.run.id)
        check_invariants(drive.store, drive.process)

    def test_always_while_open(self, drive: Driver) -> None:
        """By hand, too, there is one open run at most."""
        run = drive.start()
        claim = drive.claim_run(again=Again.ALWAYS)
        assert (claim.answer, claim.open_run) == (RunAnswer.OVERLAPPED, run)

    def test_past_slot(self, drive: Driver) -> None:
        """By hand a past slot may run, and the last slot does not go back."""
        drive.run_through()
        last = drive.slot().slot
        claim = drive.claim_run(slot=drive.slot(last - 5 * HOUR), again=Again.ALWAYS)
        assert claim.run is not None
        assert (claim.answer, claim.run.slot, claim.run.generation) == (RunAnswer.CLAIMED, last - 5 * HOUR, 0)
        assert drive.store.process(drive.process).last_slot == last

    def test_race(self, drive: Driver) -> None:
        """Of callers who run a slot again at once exactly one is answered CLAIMED."""
        drive.run_through()
        answers = [claim.answer for claim in at_once(lambda _: drive.claim_run(again=Again.ALWAYS))]
        assert answers.count(RunAnswer.CLAIMED) == 1
        check_invariants(drive.store, drive.process)


class TestClosing:
    """How a run ends, and what it adds up to."""

    def test_completed(self, drive: Driver) -> None:
        """A run whose items are all over is COMPLETED, at the store's time, without a reason."""
        run = drive.start("a", "b")
        drive.clock.advance(90 * SECOND)
        closed = drive.work_off(run)
        assert (closed.state, closed.reason, closed.finished_at) == (RunState.COMPLETED, "", drive.clock())
        assert closed.counts.completed == 2

    def test_stats(self, drive: Driver) -> None:
        """A closed run counts itself, its state, its errors, its seconds and its work items (B36)."""
        run = drive.start("a", "b")
        drive.clock.advance(90 * SECOND)
        closed = drive.work_off(run)
        assert closed.stats == {"workItems": 2, "errors": 0, "duration": 90, "runs": 1, "state.completed": 1}

    def test_empty(self, drive: Driver) -> None:
        """A run without items counts no work items."""
        assert drive.run_through().stats["workItems"] == 0

    def test_aggregate(self, drive: Driver) -> None:
        """The stats of every run that ended are added up once (I4)."""
        drive.run_through("a", "b")
        drive.run_through("c")
        aggregate = drive.store.process(drive.process).aggregate_stats
        assert (aggregate["runs"], aggregate["workItems"], aggregate["state.completed"]) == (2, 5, 2)

    def test_aggregate_of_open_runs(self, drive: Driver) -> None:
        """An open run adds nothing to the aggregate yet."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish()
        assert drive.store.process(drive.process).aggregate_stats == {}

    def test_last_run_stays(self, drive: Driver) -> None:
        """When no run is open the process shows the last one."""
        closed = drive.run_through("a")
        assert drive.store.process(drive.process).run == closed

    def test_tolerated_errors(self, drive: Driver) -> None:
        """Tolerated errors leave a run COMPLETED (B35)."""
        run = drive.begin("a")
        drive.take(run, "a").finish(errors=10)
        drive.page(run)
        closed = drive.status(run)
        assert (closed.state, closed.total_errors, closed.stats["errors"]) == (RunState.COMPLETED, 10, 10)

    def test_closed_run_never_changes(self, drive: Driver) -> None:
        """What comes late changes no closed run (I7)."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        held.finish()
        drive.page(run)
        closed = drive.status(run)
        drive.clock.advance(HOUR)
        held.report(errors=5)
        drive.stop(run, StopReason.SUPERSEDED)
        drive.sweep(run)
        drive.page(run)
        drive.release(run, "a", token=held.token)
        drive.store.mark_published(drive.process, run, ["a"])
        assert drive.status(run) == closed

    def test_spec_is_kept(self, drive: Driver) -> None:
        """A run keeps the tolerance and the defaults it was claimed with."""
        run = drive.begin("a", spec=RunSpec(defaults='{"ttl":5}', work_limit=0))
        held = drive.take(run, "a")
        assert held.claim.settings == '{"ttl":5}'
        assert held.report(errors=1).stopping
