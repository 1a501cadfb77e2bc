"""The answer to a report in a run that is stopping: with `Reported.aborting` a holder starts nothing more of the run."""

from __future__ import annotations

from celery_process.protocol.states import Progress, RunState, StopReason, WorkState

from .driver import LEASE, SECOND, Driver, new_id


class TestAborting:
    """`Reported.aborting`."""

    def test_active(self, drive: Driver) -> None:
        """A report in an ACTIVE run is answered `aborting=False`, with an outcome or without."""
        held = drive.take(drive.begin("a", "b"), "a")
        assert not held.report(errors=1).aborting
        assert not held.finish().aborting

    def test_by_this_call(self, drive: Driver) -> None:
        """The report that exceeds the tolerance is answered `aborting`, together with `stopping`."""
        run = drive.begin("a", "b")
        drive.take(run, "b")
        held = drive.take(run, "a")
        answer = held.report(errors=11)
        assert (answer.stopping, answer.aborting) == (True, True)
        answer = held.report()
        assert (answer.stopping, answer.aborting) == (False, True)

    def test_by_its_outcome(self, drive: Driver) -> None:
        """So is a report that exceeds it and ends its item, while others are still open."""
        run = drive.begin("a", "b")
        drive.take(run, "b")
        answer = drive.take(run, "a").finish(WorkState.ABORTED, errors=11)
        assert (answer.stopping, answer.aborting, answer.run) == (True, True, None)

    def test_by_another(self, drive: Driver) -> None:
        """A report of another holder is answered `aborting`, while only the first one is answered `stopping`."""
        run = drive.begin("a", "b", "c")
        first, second = drive.take(run, "a"), drive.take(run, "b")
        drive.take(run, "c")
        first.report(errors=11)
        answer = second.finish()
        assert (answer.stopping, answer.aborting) == (False, True)
        assert answer.items[0].progress is Progress.COMPLETED

    def test_by_a_stop(self, drive: Driver) -> None:
        """A report in a cancelled run is answered `aborting`."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.stop(run)
        answer = held.report()
        assert (answer.stopping, answer.aborting) == (False, True)

    def test_in_one_call(self, drive: Driver) -> None:
        """Of many reports in one call it is enough that any one exceeds the tolerance."""
        run = drive.begin("a", "b", "c")
        drive.take(run, "c")
        token = new_id()
        first, second = drive.take(run, "a", token=token), drive.take(run, "b", token=token)
        reports = [first.next(errors=11), second.next(WorkState.COMPLETED)]
        answer = drive.store.report(drive.process, run, reports, token=token, lease=LEASE)
        assert (answer.stopping, answer.aborting) == (True, True)

    def test_closed_by_this_call(self, drive: Driver) -> None:
        """The report that closes the run returns the run instead."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.stop(run)
        answer = held.finish()
        assert (answer.aborting, answer.run) == (False, drive.status(run))

    def test_closed(self, drive: Driver) -> None:
        """After the end of the run no report is answered `aborting`."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        last = held.next(WorkState.ABORTED, errors=11)
        first = held.send(last)
        assert drive.status(run).state is RunState.ABORTED
        assert (first.aborting, held.send(last).aborting) == (False, False)

    def test_superseded(self, drive: Driver) -> None:
        """A holder whose item the next slot cancelled is answered Conflict only."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.stop(run, StopReason.SUPERSEDED)
        answer = held.report()
        assert (answer.items[0].progress, answer.aborting) == (Progress.CONFLICT, False)

    def test_nothing_written(self, drive: Driver) -> None:
        """A repeat and a Conflict in such a run are answered `aborting` as well: it is a fact of the run."""
        run = drive.begin("a", "b")
        late = drive.take(run, "a")
        drive.clock.advance(LEASE + SECOND)
        held = drive.take(run, "a")
        report = held.next()
        held.send(report)
        drive.stop(run)
        assert held.send(report).aborting
        answer = late.report()
        assert (answer.items[0].progress, answer.aborting) == (Progress.CONFLICT, True)

    def test_folded(self, drive: Driver) -> None:
        """So is the repeated outcome of an item that is no longer kept."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        held = drive.take(run, "a")
        last = held.next(WorkState.COMPLETED)
        held.send(last)
        drive.page(run, size=1)
        drive.take(run, "b")
        drive.stop(run)
        answer = held.send(last)
        assert (answer.items[0].progress, answer.aborting) == (Progress.COMPLETED, True)

    def test_unknown_run(self, drive: Driver) -> None:
        """A report in a run that is not kept is answered `aborting=False`."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.stop(run)
        held.run = f"9-{new_id()}"
        assert not held.report().aborting

    def test_release(self, drive: Driver) -> None:
        """`release` never answers `aborting`."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.take(run, "b")
        drive.stop(run)
        assert not drive.release(run, "a", token=held.token).aborting
