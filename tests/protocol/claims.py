"""Claims of items: one holder an item, with a token and a lease."""

from __future__ import annotations

from datetime import timedelta

from celery_process.protocol.model import RunSpec
from celery_process.protocol.states import ClaimAnswer, Progress, RunState, StopReason, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import CALLERS, LEASE, MINUTE, SECOND, Driver, at_once, new_id


class TestItemClaims:
    """`claim`."""

    def test_claimed(self, drive: Driver) -> None:
        """A pending item is claimed, with all that its handler needs."""
        drive.register("a", params='{"x":1}')
        run = drive.begin()
        claim = drive.claim_one(run, "a")
        status = drive.status(run)
        assert (claim.name, claim.answer, claim.on) == ("a", ClaimAnswer.CLAIMED, WorkList.ACTIVE)
        assert (claim.attempt, claim.epoch, claim.params) == (1, status.epoch, '{"x":1}')
        assert (claim.settings, claim.settings_version) == ("{}", 0)
        assert (claim.slot, claim.generation, claim.run_started_at) == (status.slot, 0, status.started_at)

    def test_shown(self, drive: Driver) -> None:
        """A claimed item is ACTIVE since then, in its first attempt."""
        run = drive.begin("a", "b")
        drive.clock.advance(SECOND)
        drive.take(run, "a")
        status = drive.work("a").status
        assert (status.state, status.started_at, status.attempt) == (WorkState.ACTIVE, drive.clock(), 1)
        counts = drive.status(run).counts
        assert (counts.claimed, counts.pending) == (1, 1)

    def test_repeated(self, drive: Driver) -> None:
        """The same token again is answered the same, and uses up no attempt."""
        run, token = drive.begin("a"), new_id()
        first = drive.claim_one(run, "a", token=token)
        assert drive.claim_one(run, "a", token=token) == first
        assert drive.work("a").status.attempt == 1

    def test_repeated_after_the_lease(self, drive: Driver) -> None:
        """The same token again is answered the same as long as no other caller claimed the item."""
        run, token = drive.begin("a"), new_id()
        first = drive.claim_one(run, "a", token=token)
        drive.clock.advance(LEASE * 2)
        assert drive.claim_one(run, "a", token=token) == first

    def test_repeated_while_paused(self, drive: Driver) -> None:
        """A holder keeps its claim through a pause."""
        run, token = drive.begin("a"), new_id()
        first = drive.claim_one(run, "a", token=token)
        drive.pause()
        assert drive.claim_one(run, "a", token=token) == first

    def test_busy(self, drive: Driver) -> None:
        """An item that another holds is BUSY."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE - SECOND)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.BUSY

    def test_expired(self, drive: Driver) -> None:
        """An item whose lease ran out goes to the next claim, as its next attempt."""
        run = drive.begin("a")
        first = drive.take(run, "a")
        drive.clock.advance(LEASE)
        second = drive.take(run, "a")
        assert second.claim.attempt == 2
        assert second.claim.fencing_token > first.claim.fencing_token

    def test_stale_token(self, drive: Driver) -> None:
        """A holder that lost its item to another is BUSY when it claims again, and its reports are a Conflict."""
        run = drive.begin("a")
        first = drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.take(run, "a")
        assert drive.claim_one(run, "a", token=first.token).answer is ClaimAnswer.BUSY
        assert first.answer(stats={"x": 1}).progress is Progress.CONFLICT

    def test_attempts_used_up(self, drive: Driver) -> None:
        """Beyond the cap of attempts an item is claimed no more: the sweep marks it lost."""
        run = drive.begin("a")
        for _ in range(3):
            drive.take(run, "a")
            drive.clock.advance(LEASE)
        assert drive.claim_one(run, "a", max_attempts=3).answer is ClaimAnswer.BUSY
        assert drive.claim_one(run, "a", max_attempts=4).answer is ClaimAnswer.CLAIMED

    def test_the_cap_was_lowered(self, drive: Driver) -> None:
        """A pending item may be claimed whatever its attempts: with a cap lowered in mid-run it still ends (I14)."""
        run = drive.begin("a")
        for _ in range(2):
            drive.take(run, "a")
            drive.clock.advance(LEASE * 2)
            drive.sweep(run, max_attempts=5)
        assert drive.claim_one(run, "a", max_attempts=1).answer is ClaimAnswer.CLAIMED
        drive.clock.advance(LEASE * 2)
        assert drive.sweep(run, max_attempts=1).repairs.lost == ("a",)
        assert drive.status(run).counts.lost == 1

    def test_done(self, drive: Driver) -> None:
        """An item that is done is DONE."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_done_with_the_run(self, drive: Driver) -> None:
        """An item of a closed run is DONE."""
        run = drive.run_through("a").id
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_done_for_its_holder(self, drive: Driver) -> None:
        """A message that comes again after the end of its item is DONE, for its own token too."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        held.finish()
        assert drive.claim_one(run, "a", token=held.token).answer is ClaimAnswer.DONE

    def test_lost(self, drive: Driver) -> None:
        """A lost item is DONE: no worker claims it any more."""
        run = drive.begin("a", "b")
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.sweep(run, max_attempts=1)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE

    def test_aborting(self, drive: Driver) -> None:
        """While a run is ABORTING nothing new is claimed (I9)."""
        run = drive.begin("a", "b")
        drive.take(run, "a").report(errors=11)
        assert drive.claim_one(run, "b").answer is ClaimAnswer.ABORTED

    def test_aborting_for_its_holder(self, drive: Driver) -> None:
        """While a run is ABORTING who holds an item keeps it."""
        run = drive.begin("a", "b")
        held = drive.take(run, "b")
        drive.take(run, "a").report(errors=11)
        assert drive.claim_one(run, "b", token=held.token).answer is ClaimAnswer.CLAIMED

    def test_cancelled(self, drive: Driver) -> None:
        """A cancelled item is ABORTED, during its run and after."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        drive.stop(run)
        assert drive.claim_one(run, "b").answer is ClaimAnswer.ABORTED
        held.finish()
        assert drive.claim_one(run, "b").answer is ClaimAnswer.ABORTED

    def test_paused(self, drive: Driver) -> None:
        """While the process is paused nothing is claimed."""
        run = drive.begin("a")
        drive.pause()
        assert drive.claim_one(run, "a").answer is ClaimAnswer.PAUSED

    def test_published_again_after_a_pause(self, drive: Driver) -> None:
        """An item whose message met a pause is noted as unpublished, so that the sweep publishes it."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, run, ["a"])
        drive.pause()
        drive.claim_one(run, "a")
        drive.store.resume(drive.process)
        drive.clock.advance(15 * SECOND)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("a",)),)

    def test_removed(self, drive: Driver) -> None:
        """An item that was unregistered before it was claimed is REMOVED, and is cleaned in the next run (B19)."""
        run = drive.begin("a", "b")
        drive.clock.advance(SECOND)
        drive.unregister("a")
        assert drive.claim_one(run, "a").answer is ClaimAnswer.REMOVED
        assert drive.status(run).counts.removed == 1
        assert drive.work("a").status.state is WorkState.NEW

    def test_removed_again(self, drive: Driver) -> None:
        """A REMOVED item stays so, even when its name is registered again."""
        run = drive.begin("a", "b")
        drive.unregister("a")
        drive.claim_one(run, "a")
        drive.register("a")
        assert drive.claim_one(run, "a").answer is ClaimAnswer.REMOVED
        assert drive.status(run).counts.removed == 1

    def test_removed_from_cleanup(self, drive: Driver) -> None:
        """A cleanup that was registered again before it was claimed is REMOVED: nothing is cleaned."""
        run = drive.begin(cleanup=("a", "b"))
        drive.register("a")
        assert drive.claim_one(run, "a").answer is ClaimAnswer.REMOVED
        assert drive.work("a").on is WorkList.ACTIVE

    def test_removed_closes_its_page(self, drive: Driver) -> None:
        """When its last item is REMOVED a page is over, and so may be its run."""
        run = drive.begin("a")
        drive.unregister("a")
        drive.page(run)
        drive.claim_one(run, "a")
        drive.page(run)
        closed = drive.status(run)
        assert (closed.state, closed.counts.removed, closed.stats["workItems"]) == (RunState.COMPLETED, 1, 0)

    def test_removed_after_its_lease(self, drive: Driver) -> None:
        """An item whose holder died and whose name left its list is REMOVED."""
        run = drive.begin("a", "b")
        drive.take(run, "a")
        drive.unregister("a")
        drive.clock.advance(LEASE)
        assert drive.claim_one(run, "a").answer is ClaimAnswer.REMOVED

    def test_moved_there_and_back(self, drive: Driver) -> None:
        """A name that left its list and came back before the claim is claimed with its newest version."""
        run = drive.begin("a")
        drive.unregister("a")
        drive.register("a", params='{"x":2}')
        claim = drive.claim_one(run, "a")
        assert (claim.answer, claim.params) == (ClaimAnswer.CLAIMED, '{"x":2}')

    def test_unknown(self, drive: Driver) -> None:
        """An unknown name, an unknown run, and a run of the same epoch but another uuid are a Conflict."""
        run = drive.begin("a")
        epoch = drive.status(run).epoch
        for wrong in (f"{epoch}-{new_id()}", f"9-{new_id()}", "", "not a run"):
            assert drive.claim_one(wrong, "a").answer is ClaimAnswer.CONFLICT
        assert drive.claim_one(run, "b").answer is ClaimAnswer.CONFLICT

    def test_same_names_elsewhere(self, drive: Driver) -> None:
        """Items, params and settings of other processes are their own, whatever their names and epochs."""
        drive.store.update_settings(drive.process, settings='{"keep":1}', schedule=None)
        run = drive.begin("a", "b")
        others = [Driver(drive.store, f"{drive.process}{letter}", drive.clock) for letter in "xyz"]
        theirs = []
        for number, other in enumerate(others):
            other.store.update_settings(other.process, settings=f'{{"keep":{number + 2}}}', schedule=None)
            other.register("a", "b", params=f'{{"x":{number}}}')
            theirs.append(other.begin())
        claims = [claimed.claim_one(of, "a") for claimed, of in zip([drive, *others], [run, *theirs], strict=True)]
        assert {claim.answer for claim in claims} == {ClaimAnswer.CLAIMED}
        assert [claim.params for claim in claims] == ["{}", '{"x":0}', '{"x":1}', '{"x":2}']
        assert [claim.settings for claim in claims] == [f'{{"keep":{number}}}' for number in (1, 2, 3, 4)]
        assert drive.claim_one(theirs[0], "b").answer is ClaimAnswer.CONFLICT

    def test_several(self, drive: Driver) -> None:
        """Several items are answered one by one, in the order asked."""
        run = drive.begin("a", "b", "c")
        drive.take(run, "b")
        claims = drive.claim(run, "c", "b", "nobody", "a")
        assert [claim.name for claim in claims] == ["c", "b", "nobody", "a"]
        words = [ClaimAnswer.CLAIMED, ClaimAnswer.BUSY, ClaimAnswer.CONFLICT, ClaimAnswer.CLAIMED]
        assert [claim.answer for claim in claims] == words

    def test_settings(self, drive: Driver) -> None:
        """The settings are the code's defaults overlaid by what is stored, with their version."""
        drive.store.update_settings(drive.process, settings='{"keep":2}', schedule=None)
        run = drive.start("a", spec=RunSpec(defaults='{"keep":1,"ttl":5}'))
        drive.page(run)
        claim = drive.claim_one(run, "a")
        assert (claim.settings, claim.settings_version) == ('{"keep":2,"ttl":5}', 1)

    def test_newer_settings(self, drive: Driver) -> None:
        """An item claimed after a change of the settings works with the new ones."""
        run = drive.begin("a")
        drive.store.update_settings(drive.process, settings='{"keep":2}', schedule=None)
        claim = drive.claim_one(run, "a")
        assert (claim.settings, claim.settings_version) == ('{"keep":2}', 1)

    def test_fencing_tokens_rise_over_runs(self, drive: Driver) -> None:
        """A later run's claims have higher fencing tokens."""
        run = drive.begin("a")
        first = drive.take(run, "a")
        first.finish()
        drive.page(run)
        second = drive.take(drive.begin(), "a")
        assert second.claim.fencing_token > first.claim.fencing_token

    def test_race(self, drive: Driver) -> None:
        """Of callers who claim an item at once exactly one gets it, in its first attempt."""
        run = drive.begin("a")
        claims = at_once(lambda _: drive.claim_one(run, "a"))
        winners = [claim for claim in claims if claim.answer is ClaimAnswer.CLAIMED]
        assert [claim.attempt for claim in winners] == [1]
        assert {claim.answer for claim in claims if claim not in winners} == {ClaimAnswer.BUSY}

    def test_race_with_one_token(self, drive: Driver) -> None:
        """One delivery that claims several times at once has one claim."""
        run, token = drive.begin("a"), new_id()
        claims = at_once(lambda _: drive.claim_one(run, "a", token=token))
        assert {(claim.answer, claim.attempt) for claim in claims} == {(ClaimAnswer.CLAIMED, 1)}

    def test_race_for_an_expired_lease(self, drive: Driver) -> None:
        """Of callers who claim an item with an expired lease at once exactly one gets it."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE + timedelta(microseconds=1))
        claims = at_once(lambda _: drive.claim_one(run, "a"))
        assert [claim.attempt for claim in claims if claim.answer is ClaimAnswer.CLAIMED] == [2]

    def test_race_of_batches(self, drive: Driver) -> None:
        """Batches claimed at once in different orders share no item, and claim all of them."""
        names = [f"n{number:02}" for number in range(40)]
        run = drive.begin(*names)
        batches = at_once(lambda number: drive.claim(run, *(names if number % 2 else reversed(names))))
        won = [claim.name for batch in batches for claim in batch if claim.answer is ClaimAnswer.CLAIMED]
        assert sorted(won) == names
        assert len(batches) == CALLERS

    def test_race_with_the_sweep(self, drive: Driver) -> None:
        """Claims and sweeps at once over an expired lease leave one holder."""
        run = drive.begin("a")
        drive.take(run, "a")
        drive.clock.advance(LEASE + MINUTE)
        claims = at_once(lambda number: drive.claim_one(run, "a") if number % 2 else drive.sweep(run))
        won = [claim for claim in claims if getattr(claim, "answer", None) is ClaimAnswer.CLAIMED]
        assert len(won) <= 1
        assert drive.status(run).counts.claimed == len(won)
        check_invariants(drive.store, drive.process)

    def test_superseded_holder(self, drive: Driver) -> None:
        """The holder of an item of a superseded run is ABORTED when it claims again."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.stop(run, StopReason.SUPERSEDED)
        assert drive.claim_one(run, "a", token=held.token).answer is ClaimAnswer.ABORTED
