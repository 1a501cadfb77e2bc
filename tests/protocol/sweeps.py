"""The sweep: what it finds and repairs, and whose turn it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery_process.protocol.model import Retention, RunSpec, Swept
from celery_process.protocol.states import Progress, RunState, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import HOUR, LEASE, MINUTE, SECOND, Driver, at_once, new_id


class TestSweep:
    """`sweep_run`."""

    def test_nothing_to_do(self, drive: Driver) -> None:
        """A sweep changes nothing of a healthy run."""
        run = drive.begin("a", "b")
        drive.store.mark_published(drive.process, run, ["a", "b"])
        held = drive.take(run, "a")
        drive.clock.advance(LEASE - SECOND)
        assert drive.sweep(run) == Swept()
        assert held.answer().progress is Progress.UPDATED

    def test_expired(self, drive: Driver) -> None:
        """An item whose lease ran out is pending again, and is to be published at once."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, run, ["a"])
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        swept = drive.sweep(run)
        assert (swept.repairs.expired, swept.repairs.lost, swept.publish) == (1, (), ((WorkList.ACTIVE, ("a",)),))
        assert drive.status(run).counts.pending == 1
        assert drive.take(run, "a").claim.attempt == 2

    def test_repeated(self, drive: Driver) -> None:
        """A sweep whose answer was lost is answered the same by the next."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        first, second = drive.sweep(run, told=False), drive.sweep(run)
        assert first == second
        assert first.repairs.expired == 1

    def test_lost(self, drive: Driver) -> None:
        """An item whose last attempt ran out is lost: INCOMPLETE, with one error for the loss."""
        run = drive.begin("a", "b")
        drive.take(run, "a").report(errors=1, stats={"x": 5})
        drive.clock.advance(LEASE)
        swept = drive.sweep(run, max_attempts=1)
        assert (swept.repairs.expired, swept.repairs.lost) == (1, ("a",))
        status = drive.work("a").status
        assert (status.state, status.total_errors, status.stats) == (WorkState.INCOMPLETE, 2, {})
        assert (status.finished_at, status.last_error_at) == (None, drive.clock())
        assert "1 attempts" in status.errors[-1].text
        assert drive.status(run).total_errors == 2

    def test_lost_ends_the_run(self, drive: Driver) -> None:
        """A run with a lost item ends INCOMPLETE, and the item's stats do not count."""
        run = drive.begin(cleanup=("a",))
        drive.page(run)
        drive.take(run, "a").report(stats={"x": 5})
        drive.clock.advance(LEASE)
        closed = drive.sweep(run, max_attempts=1).run
        assert closed == drive.status(run)
        assert (closed.state, closed.reason, closed.counts.lost) == (RunState.INCOMPLETE, "lost", 1)
        assert "work.x" not in closed.stats
        assert closed.stats["workItemsDirty"] == 1

    def test_before_the_lost_item(self, drive: Driver) -> None:
        """Where an item's loss aborts the run, the next sweep cancels what comes before it."""
        run = drive.begin("a", "b", "c", spec=RunSpec(run_limit=0))
        drive.take(run, "b")
        drive.clock.advance(2 * LEASE)
        first = drive.sweep(run, max_attempts=1)
        counts = drive.status(run).counts
        assert (first.repairs.lost, first.stopping, first.publish) == (("b",), True, ())
        assert (counts.pending, counts.cancelled, counts.lost) == (1, 1, 1)
        closed = drive.sweep(run).run
        assert closed is not None
        assert closed.counts.cancelled == 2

    def test_lost_counts_toward_the_tolerance(self, drive: Driver) -> None:
        """The error of a lost item may exceed the tolerance."""
        run = drive.begin("a", "b", spec=RunSpec(work_limit=0))
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        held = drive.take(run, "b")
        assert drive.sweep(run, max_attempts=1).stopping
        assert drive.status(run).state is RunState.ABORTING
        closed = held.finish().run
        assert closed is not None
        assert closed.state is RunState.ABORTED

    def test_old_holder_of_a_lost_item(self, drive: Driver) -> None:
        """The last holder of a lost item is answered Conflict."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.sweep(run, max_attempts=1)
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert drive.work("a").status.state is WorkState.INCOMPLETE

    def test_never_published(self, drive: Driver) -> None:
        """Items that were never published are returned once they are older than the grace, not before."""
        run = drive.begin("a", "b")
        drive.clock.advance(9 * SECOND)
        assert drive.sweep(run).publish == ()
        drive.clock.advance(2 * SECOND)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a", "b")),)

    def test_message_lost(self, drive: Driver) -> None:
        """A published item that no worker claimed is published again once its run was stalled for long enough."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, run, ["a"])
        drive.clock.advance(MINUTE - SECOND)
        assert drive.sweep(run).publish == ()
        drive.clock.advance(2 * SECOND)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a",)),)

    def test_claimed_or_over(self, drive: Driver) -> None:
        """What is claimed for long, or over, is not published again, however quiet the run is."""
        run = drive.begin("a", "b", "c")
        drive.store.mark_published(drive.process, run, ["a", "b", "c"])
        drive.store.claim(drive.process, run, ["a"], token=new_id(), lease=HOUR, max_attempts=3)
        drive.take(run, "b").finish()
        drive.clock.advance(10 * MINUTE)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("c",)),)

    def test_long_queue(self, drive: Driver) -> None:
        """While items of the run are claimed none is published again: the queue is long, not lost."""
        run = drive.begin("a", "b")
        drive.store.mark_published(drive.process, run, ["a", "b"])
        drive.clock.advance(HOUR)
        drive.take(run, "a")
        drive.clock.advance(SECOND)
        assert drive.sweep(run).publish == ()

    def test_doubling(self, drive: Driver) -> None:
        """Published again and again, the intervals double."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, run, ["a"])
        waits = []
        for _ in range(3):
            waited = timedelta(0)
            while not drive.sweep(run).publish:
                assert waited < HOUR
                waited += 10 * SECOND
                drive.clock.advance(10 * SECOND)
            drive.store.mark_published(drive.process, run, ["a"])
            waits.append(waited)
        assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE]

    def test_limit(self, drive: Driver) -> None:
        """About as many items as asked for are returned to publish."""
        run = drive.begin(*(f"n{number:02}" for number in range(50)))
        drive.clock.advance(MINUTE)
        names = [name for _, names in drive.sweep(run, limit=10).publish for name in names]
        assert 10 <= len(names) <= 20

    def test_both_lists(self, drive: Driver) -> None:
        """Items to publish come by list."""
        run = drive.begin(cleanup=("b",))
        drive.clock.advance(MINUTE)
        assert drive.sweep(run).publish == ((WorkList.CLEANUP, ("b",)),)

    def test_aborting(self, drive: Driver) -> None:
        """In a run that is ABORTING what is pending is cancelled, and nothing is published."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        drive.clock.advance(MINUTE)
        swept = drive.sweep(run)
        assert swept.publish == ()
        assert swept.run == drive.status(run)
        assert (swept.run.state, swept.run.counts.cancelled) == (RunState.ABORTED, 1)

    def test_aborting_with_a_dead_holder(self, drive: Driver) -> None:
        """In a run that is ABORTING an item whose lease ran out is cancelled, so that the run ends (I14)."""
        run = drive.begin("a", "b")
        drive.take(run, "b")
        drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        drive.clock.advance(LEASE)
        closed = drive.sweep(run).run
        assert closed is not None
        assert (closed.state, closed.counts.cancelled) == (RunState.ABORTED, 1)

    def test_dead_worker(self, drive: Driver) -> None:
        """A run whose workers all died ends by sweeps alone (I14)."""
        run = drive.begin("a", "b")
        for _ in range(3):
            for name in ("a", "b"):
                drive.take(run, name)
            drive.clock.advance(LEASE)
            drive.sweep(run)
        drive.page(run)
        closed = drive.status(run)
        assert (closed.state, closed.counts.lost) == (RunState.INCOMPLETE, 2)

    def test_closed(self, drive: Driver) -> None:
        """A closed run, and one that is not kept, need nothing."""
        run = drive.run_through("a").id
        drive.clock.advance(HOUR)
        assert drive.sweep(run) == Swept()
        assert drive.sweep(f"9-{new_id()}") == Swept()
        assert drive.sweep(drive.double(run)) == Swept()

    def test_race(self, drive: Driver) -> None:
        """Of sweeps at once each expired lease is found by one, and each item is lost once."""
        names = [f"n{number}" for number in range(6)]
        run = drive.begin(cleanup=tuple(names))
        drive.page(run)
        for name in names:
            drive.take(run, name)
        drive.clock.advance(LEASE)
        swept = at_once(lambda _: drive.sweep(run, max_attempts=1))
        for _ in range(2):  # a store may pass by what another sweep has locked
            swept.append(drive.sweep(run, max_attempts=1))
        # Every call returns each of them, until a caller has acknowledged it.
        assert sorted({name for one in swept for name in one.repairs.lost}) == names
        assert sum(one.repairs.expired for one in swept) >= 6
        assert [one.run for one in swept if one.run] == [drive.status(run)]
        assert drive.status(run).total_errors == 6
        check_invariants(drive.store, drive.process)

    def test_race_with_holders(self, drive: Driver) -> None:
        """A late end and a sweep at once: the item either completed or is pending again, as its holder was answered."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.clock.advance(LEASE)
        report = held.next(WorkState.COMPLETED)

        def act(number: int) -> Progress | None:
            if number:
                drive.sweep(run)
                return None
            return held.send(report).items[0].progress

        progress = at_once(act)[0]
        completed = drive.status(run).counts.completed
        assert completed == (progress is Progress.COMPLETED)


class TestBeginningSweeps:
    """`begin_sweep`."""

    def test_open_run(self, drive: Driver) -> None:
        """A process with an open run needs a look."""
        run = drive.start("a")
        targets = drive.targets()
        assert [(target.process, target.open_run) for target in targets] == [(drive.process, run)]

    def test_tells_when(self, drive: Driver) -> None:
        """When a process was last looked at can be read; without a look, nothing is."""
        drive.start("a")
        assert drive.store.process(drive.process).swept_at is None
        drive.clock.advance(SECOND)
        drive.targets()
        swept_at = drive.store.process(drive.process).swept_at
        drive.clock.advance(SECOND)
        drive.targets()
        assert swept_at == drive.store.process(drive.process).swept_at == drive.clock() - SECOND

    def test_once_in_an_interval(self, drive: Driver) -> None:
        """A process goes to one caller in an interval; a lost answer is made up for after it."""
        drive.start("a")
        first = drive.clock()
        assert [target.last_sweep for target in drive.targets()] == [None]
        assert drive.targets() == ()
        drive.clock.advance(10 * SECOND)
        assert [target.last_sweep for target in drive.targets()] == [first]

    def test_unknown(self, drive: Driver) -> None:
        """A process never heard of needs none, nor does one that is at rest."""
        assert drive.targets() == ()
        drive.register("a")
        assert drive.targets(drive.process, drive.process + ".other") == ()

    def test_only_those_asked_for(self, drive: Driver) -> None:
        """Only the processes that are named are looked at."""
        drive.start("a")
        assert drive.targets(drive.process + ".other") == ()
        assert len(drive.targets(drive.process + ".other", drive.process)) == 1

    def test_purge_due(self, drive: Driver) -> None:
        """After the end of a run a purge is due, until it is done."""
        drive.store.ack_finish(drive.process, drive.run_through("a").id)
        assert [target.purge_due for target in drive.targets()] == [True]
        drive.store.purge(drive.process, retention=Retention(), limit=100)
        drive.clock.advance(MINUTE)
        assert drive.targets() == ()

    def test_race(self, drive: Driver) -> None:
        """Of callers who begin a sweep at once each process goes to one."""
        others = [Driver(drive.store, f"{drive.process}.{number}", drive.clock) for number in range(5)]
        for other in others:
            other.start("a")
        names = [other.process for other in others]
        answers = at_once(lambda number: drive.targets(*(names if number % 2 else reversed(names))))
        assert sorted(target.process for targets in answers for target in targets) == names


class TestTurns:
    """`take_turns`."""

    def turn(self, drive: Driver, *others: str) -> dict[str, datetime | None]:
        """Take the turn of the process and of others."""
        return dict(drive.store.take_turns([drive.process, *others], interval=MINUTE))

    def test_one_an_interval(self, drive: Driver) -> None:
        """A process with nothing to repair has one turn an interval, one that was swept or is unknown none."""
        drive.run_through()
        first = drive.clock()
        assert self.turn(drive, "unknown") == {drive.process: None}
        assert self.turn(drive) == {}
        drive.clock.advance(MINUTE)
        assert self.turn(drive) == {drive.process: first}
        drive.begin("a")
        drive.clock.advance(MINUTE)
        assert drive.targets() != ()
        assert self.turn(drive) == {}

    def test_a_clock_that_was_ahead(self, drive: Driver) -> None:
        """A turn that was taken a day ahead is none once the clock is right."""
        drive.run_through()
        drive.clock.advance(24 * HOUR)
        assert self.turn(drive) == {drive.process: None}
        ahead = drive.clock()
        drive.clock.advance(-24 * HOUR)
        assert self.turn(drive) == {drive.process: ahead}

    def test_race(self, drive: Driver) -> None:
        """Of callers at once one has the turn."""
        drive.run_through()
        taken = at_once(lambda _: self.turn(drive))
        assert sum(map(len, taken)) == 1
