"""Release: claimed items that were not started go back."""

from __future__ import annotations

from celery_process.protocol.states import ClaimAnswer, Progress, RunState, StopReason, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, SECOND, Driver, at_once, new_id


class TestRelease:
    """`release`."""

    def test_pending_again(self, drive: Driver) -> None:
        """A released item is pending again, and no attempt was used up."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        assert drive.status(run).counts.pending == 1
        assert drive.work("a").status.state is WorkState.NEW
        assert drive.take(run, "a").claim.attempt == 1

    def test_to_publish(self, drive: Driver) -> None:
        """A released item is unpublished, so that the sweep publishes it."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, run, ["a"])
        held = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        drive.clock.advance(15 * SECOND)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a",)),)

    def test_repeated(self, drive: Driver) -> None:
        """Released twice an item is pending once, and its count of attempts stays."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        held = drive.take(run, "a")
        for _ in range(2):
            drive.release(run, "a", token=held.token)
        assert drive.take(run, "a").claim.attempt == 2

    def test_repeated_after_another_claim(self, drive: Driver) -> None:
        """A release that is repeated late takes nothing from the next holder."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        second = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        assert second.answer().progress is Progress.UPDATED

    def test_stale_token(self, drive: Driver) -> None:
        """A token that does not hold the item releases nothing."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.release(run, "a", token=new_id())
        assert drive.status(run).counts.claimed == 1

    def test_holder_lets_go(self, drive: Driver) -> None:
        """Who released an item holds it no more."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        assert held.answer().progress is Progress.CONFLICT

    def test_part_of_a_batch(self, drive: Driver) -> None:
        """The items of a batch that were not started go back, the others stay with their holder."""
        run, token = drive.begin("a", "b", "c"), new_id()
        held = drive.take(run, "a", token=token)
        drive.claim(run, "b", "c", token=token)
        drive.release(run, "b", "c", "nobody", token=token)
        counts = drive.status(run).counts
        assert (counts.claimed, counts.pending) == (1, 2)
        assert held.answer().progress is Progress.UPDATED

    def test_aborting(self, drive: Driver) -> None:
        """Released into a run that is ABORTING an item is cancelled, and may be the last one."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.stop(run)
        reported = drive.release(run, "a", token=held.token)
        assert reported.run == drive.status(run)
        assert (reported.page_closed, reported.run.counts.cancelled) == (True, 1)
        assert reported.run.state is RunState.INCOMPLETE

    def test_unknown_run(self, drive: Driver) -> None:
        """Released into a run that is not kept nothing happens."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.release(f"9-{new_id()}", "a", token=held.token)
        drive.release(drive.double(run), "a", token=held.token)
        assert drive.status(run).counts.claimed == 1

    def test_race(self, drive: Driver) -> None:
        """Of several releases of an item at once one counts."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        held = drive.take(run, "a")
        at_once(lambda _: drive.release(run, "a", token=held.token))
        assert drive.take(run, "a").claim.attempt == 2

    def test_race_with_claims(self, drive: Driver) -> None:
        """An item released and claimed at once has at most one holder."""
        run = drive.begin("a")
        held = drive.take(run, "a")

        def act(number: int) -> bool:
            if number:
                return drive.claim_one(run, "a").answer is ClaimAnswer.CLAIMED
            drive.release(run, "a", token=held.token)
            return False

        assert drive.status(run).counts.claimed == 1
        won = sum(at_once(act))
        assert won <= 1
        assert drive.status(run).counts.claimed == won

    def test_race_to_the_end(self, drive: Driver) -> None:
        """When the last items of a stopped run are released at once, one caller gets the closed run."""
        names = [f"n{number}" for number in range(8)]
        run = drive.begin(*names)
        held = [drive.take(run, name) for name in names]
        drive.stop(run, StopReason.CANCELLED)
        reported = at_once(lambda number: drive.release(run, names[number], token=held[number].token))
        assert [answer.run for answer in reported if answer.run] == [drive.status(run)]
        check_invariants(drive.store, drive.process)
