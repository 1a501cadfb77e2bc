"""Stops and the pause: how a run ends early, and how a process stands still."""

from __future__ import annotations

import pytest

from celery_process.protocol.states import ClaimAnswer, Progress, RunAnswer, RunState, StopReason, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import HOUR, LEASE, MINUTE, Driver, at_once, new_id


class TestStopping:
    """`stop_run`."""

    def test_cancelled(self, drive: Driver) -> None:
        """A cancelled run cancels what is pending, and waits for what is claimed."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        assert drive.stop(run) is None
        status = drive.status(run)
        assert (status.state, status.reason) == (RunState.ABORTING, "cancelled")
        assert (status.counts.cancelled, status.counts.claimed) == (1, 1)
        closed = held.finish().run
        assert closed is not None
        assert (closed.state, closed.reason, closed.counts.completed) == (RunState.INCOMPLETE, "cancelled", 1)

    def test_nothing_claimed(self, drive: Driver) -> None:
        """With nothing claimed the call closes the run and returns it."""
        run = drive.begin("a", "b")
        closed = drive.stop(run)
        assert closed == drive.status(run)
        assert (closed.state, closed.counts.cancelled) == (RunState.INCOMPLETE, 2)
        assert (closed.stats["workItems"], closed.stats["workItemsAborted"]) == (0, 2)

    def test_nothing_enlisted(self, drive: Driver) -> None:
        """A run that has enlisted nothing is closed by the call."""
        closed = drive.stop(drive.start("a"))
        assert closed is not None
        assert (closed.state, closed.counts.enlisted) == (RunState.INCOMPLETE, 0)

    @pytest.mark.parametrize(
        ("reason", "state"),
        [
            (StopReason.ABORTED, RunState.ABORTED),
            (StopReason.CANCELLED, RunState.INCOMPLETE),
            (StopReason.SUPERSEDED, RunState.INCOMPLETE),
        ],
    )
    def test_reason(self, drive: Driver, reason: StopReason, state: RunState) -> None:
        """The reason decides how the run ends, and is kept."""
        closed = drive.stop(drive.begin("a"), reason)
        assert closed is not None
        assert (closed.state, closed.reason) == (state, reason.value)

    def test_repeated(self, drive: Driver) -> None:
        """Stopped twice a run closes once."""
        run = drive.begin("a")
        closed = drive.stop(run)
        assert drive.stop(run) is None
        assert drive.status(run) == closed

    def test_first_reason_stands(self, drive: Driver) -> None:
        """The first reason stands."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        held.report(errors=11)
        drive.stop(run, StopReason.CANCELLED)
        closed = held.finish(WorkState.ABORTED).run
        assert closed is not None
        assert (closed.state, closed.reason) == (RunState.ABORTED, "aborted")

    def test_unknown(self, drive: Driver) -> None:
        """A run that is not kept is not stopped, nor one of the same epoch and another uuid."""
        run = drive.begin("a")
        assert drive.stop(f"9-{new_id()}") is None
        assert drive.stop(drive.double(run)) is None
        assert drive.status(run).state is RunState.ACTIVE

    def test_cancelled_item(self, drive: Driver) -> None:
        """A cancelled item is ABORTED, without a start."""
        run = drive.begin("a")
        drive.stop(run)
        status = drive.work("a").status
        assert (status.state, status.started_at, status.stats) == (WorkState.ABORTED, None, {})

    def test_superseded(self, drive: Driver) -> None:
        """A superseded run closes at once, its claimed items cancelled too."""
        run = drive.begin("a", "b")
        drive.take(run, "a")
        closed = drive.stop(run, StopReason.SUPERSEDED)
        assert closed == drive.status(run)
        assert (closed.state, closed.reason, closed.counts.cancelled) == (RunState.INCOMPLETE, "superseded", 2)

    def test_superseded_holder(self, drive: Driver) -> None:
        """Holders of a superseded run are answered Conflict, and write nothing."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        closed = drive.stop(run, StopReason.SUPERSEDED)
        assert held.answer(errors=3, stats={"x": 1}).progress is Progress.CONFLICT
        assert held.finish().items[0].progress is Progress.CONFLICT
        assert drive.status(run) == closed

    def test_superseded_after_cancelled(self, drive: Driver) -> None:
        """A cancelled run that waits for its holders can still be superseded."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        assert drive.stop(run, StopReason.CANCELLED) is None
        closed = drive.stop(run, StopReason.SUPERSEDED)
        assert closed is not None
        assert (closed.state, closed.reason) == (RunState.INCOMPLETE, "cancelled")
        assert held.answer().progress is Progress.CONFLICT

    def test_next_slot(self, drive: Driver) -> None:
        """After a superseded run the next slot can be claimed at once."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(HOUR)
        drive.stop(run, StopReason.SUPERSEDED)
        claim = drive.claim_run()
        assert claim.run is not None
        assert claim.answer is RunAnswer.CLAIMED
        drive.page(claim.run.id)
        assert drive.claim_one(claim.run.id, "a").answer is ClaimAnswer.CLAIMED

    def test_many_items(self, drive: Driver) -> None:
        """Eleven hundred pending items on three pages are cancelled by one call."""
        run = drive.start(*(f"n{number:04}" for number in range(1_100)))
        for _ in range(3):
            drive.page(run, window=10_000)
        closed = drive.stop(run)
        assert closed is not None
        assert closed.counts.cancelled == 1_100

    def test_race(self, drive: Driver) -> None:
        """Of callers that stop a run at once one gets the closed run."""
        run = drive.begin("a", "b")
        reasons = list(StopReason)
        stopped = at_once(lambda number: drive.stop(run, reasons[number % 3]))
        closed = [status for status in stopped if status]
        assert closed == [drive.status(run)]
        check_invariants(drive.store, drive.process)

    def test_race_with_holders(self, drive: Driver) -> None:
        """A run superseded while its items end closes once, and each item counts as what its holder was answered (I5)."""
        names = [f"n{number}" for number in range(7)]
        run = drive.begin(*names)
        held = [drive.take(run, name) for name in names]

        def act(number: int) -> tuple[bool, bool]:
            if number == 7:
                return drive.stop(run, StopReason.SUPERSEDED) is not None, False
            reported = held[number].finish(stats={"x": 1})
            return reported.run is not None, reported.items[0].progress is Progress.COMPLETED

        answers = at_once(act)
        closed = drive.status(run)
        assert [closes for closes, _ in answers].count(True) == 1
        assert closed.counts.completed == closed.stats.get("work.x", 0) == [done for _, done in answers].count(True)
        assert closed.counts.completed + closed.counts.cancelled == 7
        check_invariants(drive.store, drive.process)

    def test_race_with_claims(self, drive: Driver) -> None:
        """A run cancelled while its items are claimed keeps open only items that a holder claimed."""
        names = [f"n{number}" for number in range(7)]
        run = drive.begin(*names)

        def act(number: int) -> bool:
            if number == 7:
                drive.stop(run)
                return False
            return drive.claim_one(run, names[number]).answer is ClaimAnswer.CLAIMED

        won = sum(at_once(act))
        drive.stop(run)
        counts = drive.status(run).counts
        assert (counts.claimed, counts.cancelled) == (won, 7 - won)


class TestPausing:
    """`pause` and `resume`."""

    def test_paused(self, drive: Driver) -> None:
        """A paused process has the note, the caller and the time of its pause."""
        drive.pause("maintenance of Ω")
        paused = drive.store.process(drive.process).paused
        assert paused is not None
        assert (paused.note, paused.by, paused.at) == ("maintenance of Ω", "suite", drive.clock())

    def test_repeated(self, drive: Driver) -> None:
        """Paused again it has the newer note."""
        drive.pause("one")
        drive.pause("two")
        paused = drive.store.process(drive.process).paused
        assert paused is not None
        assert paused.note == "two"

    def test_resumed(self, drive: Driver) -> None:
        """Resumed, once or twice, it is not paused."""
        drive.pause()
        for _ in range(2):
            drive.store.resume(drive.process)
        assert drive.store.process(drive.process).paused is None

    def test_never_paused(self, drive: Driver) -> None:
        """A process that was never paused can be resumed."""
        drive.store.resume(drive.process)
        assert drive.store.process(drive.process).paused is None

    def test_processes_are_apart(self, drive: Driver) -> None:
        """A pause of one process is none of another."""
        drive.store.pause(drive.process + ".other", note="", by="")
        assert drive.claim_run().answer is RunAnswer.CLAIMED

    def test_holders_go_on(self, drive: Driver) -> None:
        """Items in flight are reported and finished during a pause."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.pause()
        assert held.answer().progress is Progress.UPDATED
        assert held.finish().items[0].progress is Progress.COMPLETED

    def test_goes_on(self, drive: Driver) -> None:
        """After the pause the run goes on where it was."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        drive.pause()
        drive.clock.advance(HOUR)
        drive.store.resume(drive.process)
        drive.take(run, "a").finish()
        assert drive.work_off(run).counts.completed == 2

    def test_sweep(self, drive: Driver) -> None:
        """During a pause the sweep frees expired leases, and publishes nothing."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.pause()
        drive.clock.advance(LEASE + MINUTE)
        swept = drive.sweep(run)
        assert (swept.repairs.expired, swept.publish) == (1, ())

    def test_stop(self, drive: Driver) -> None:
        """A run can be cancelled during a pause."""
        run = drive.begin("a")
        drive.pause()
        assert drive.stop(run) is not None

    def test_definitions(self, drive: Driver) -> None:
        """During a pause registrations and settings can be written."""
        drive.pause()
        assert drive.register("a") == ("a",)
        assert drive.store.update_settings(drive.process, settings='{"a":1}', schedule=None) == 1

    def test_race(self, drive: Driver) -> None:
        """Paused at once by several it has the note of one of them."""
        at_once(lambda number: drive.pause(str(number)))
        paused = drive.store.process(drive.process).paused
        assert paused is not None
        assert paused.note in "01234567"

    def test_race_with_claims(self, drive: Driver) -> None:
        """A process that is paused while a slot is claimed has at most one run, and no more after."""

        def act(number: int) -> RunAnswer:
            if number:
                return drive.claim_run().answer
            drive.pause()
            return RunAnswer.PAUSED

        answers = at_once(act)
        assert answers.count(RunAnswer.CLAIMED) == len(drive.store.runs(drive.process, before=None, limit=9)) <= 1
        drive.clock.advance(HOUR)
        assert drive.claim_run().answer in (RunAnswer.PAUSED, RunAnswer.OVERLAPPED)

    def test_race_of_resumes(self, drive: Driver) -> None:
        """Resumed at once by several it is not paused."""
        drive.pause()
        at_once(lambda _: drive.store.resume(drive.process))
        assert drive.store.process(drive.process).paused is None
