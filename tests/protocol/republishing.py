"""What a sweep returns to publish again, and after which time: any message may be lost, any number of times."""

from __future__ import annotations

from datetime import timedelta

from celery_process.protocol.states import WorkList

from .driver import HOUR, LEASE, MINUTE, SECOND, Driver, new_id

NAMES = tuple(f"n{number:02}" for number in range(40))


def publish(drive: Driver, run: str, *names: str) -> None:
    """Note that messages for these items were sent."""
    drive.store.mark_published(drive.process, run, names)


def found(drive: Driver, run: str, *, limit: int = 1_000) -> tuple[str, ...]:
    """Return the names of the active list that a sweep returns to publish."""
    return dict(drive.sweep(run, limit=limit).publish).get(WorkList.ACTIVE, ())


def waited(drive: Driver, run: str) -> timedelta:
    """Return how long sweeps find nothing to publish."""
    start = drive.clock()
    while not found(drive, run):
        assert drive.clock() - start < 3 * HOUR
        drive.clock.advance(10 * SECOND)
    return drive.clock() - start


class TestRepublishing:
    """`sweep_run` and `mark_published`, for items whose messages were lost."""

    def test_given_back(self, drive: Driver) -> None:
        """An item released five times waits for its next message as long as one never released."""
        run = drive.begin("a")
        for _ in range(5):
            publish(drive, run, "a")
            drive.release(run, "a", token=drive.take(run, "a").token)
            drive.clock.advance(10 * SECOND)
            assert found(drive, run) == ("a",)
        publish(drive, run, "a")
        assert waited(drive, run) == MINUTE

    def test_taken_from_its_holder(self, drive: Driver) -> None:
        """So does an item whose holders died."""
        run = drive.begin("a")
        for _ in range(5):
            publish(drive, run, "a")
            drive.claim(run, "a", max_attempts=9)
            drive.clock.advance(LEASE)
            assert drive.sweep(run, max_attempts=9).publish == ((WorkList.ACTIVE, ("a",)),)
        publish(drive, run, "a")
        assert waited(drive, run) == MINUTE

    def test_claimed_since(self, drive: Driver) -> None:
        """What was published often before a claim does not count after it, though the message went before the note."""
        run = drive.begin("a")
        for _ in range(5):
            publish(drive, run, "a")
        held = drive.take(run, "a")
        publish(drive, run, "a")
        drive.release(run, "a", token=held.token)
        publish(drive, run, "a")
        assert waited(drive, run) == MINUTE

    def test_others_claimed_since(self, drive: Driver) -> None:
        """While others of its run are claimed in between, an item is published again after a minute, six times."""
        run = drive.begin("a", *NAMES[:6])
        publish(drive, run, "a", *NAMES)
        waits = []
        for name in NAMES[:6]:
            drive.clock.advance(SECOND)
            drive.take(run, name).finish()
            waits.append(waited(drive, run))
            publish(drive, run, "a", *NAMES)
        assert waits == [MINUTE] * 6

    def test_all_of_a_run_that_stands_still(self, drive: Driver) -> None:
        """What a stalled run has to publish stays unpublished, even if items are claimed before all is returned."""
        run = drive.start(*NAMES)
        for _ in range(2):
            publish(drive, run, *drive.page(run, size=20).names)
        drive.clock.advance(MINUTE)
        first = found(drive, run, limit=10)
        publish(drive, run, *first)
        drive.take(run, first[0])
        rest = found(drive, run)
        assert sorted((*first, *rest)) == sorted(NAMES)
        publish(drive, run, *rest)
        assert found(drive, run) == ()

    def test_a_late_sweep(self, drive: Driver) -> None:
        """Once sent and noted, nothing is published again, though the run was found to stand still."""
        run = drive.begin("a", "b")
        publish(drive, run, "a", "b")
        drive.clock.advance(MINUTE)
        assert found(drive, run) == ("a", "b")
        publish(drive, run, "a", "b")
        drive.clock.advance(SECOND)
        assert found(drive, run) == ()
        assert waited(drive, run) >= MINUTE

    def test_alone(self, drive: Driver) -> None:
        """An item worked on before is published alone, since it may have killed its worker; a released one is not."""
        run = drive.begin("a", "b", "c")
        publish(drive, run, "a", "b", "c")
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.release(run, "b", token=drive.take(run, "b").token)
        drive.clock.advance(MINUTE)
        swept = drive.sweep(run)
        assert swept.publish == ((WorkList.ACTIVE, ("a", "b", "c")),)
        assert swept.single == {"a"}

    def test_under_a_pause(self, drive: Driver) -> None:
        """What met a pause is returned as soon as that is over, without a grace if none is asked for."""
        run = drive.begin("a", "b")
        publish(drive, run, "a", "b")
        drive.pause()
        drive.claim(run, "a", "b", token=new_id())
        assert found(drive, run) == ()
        drive.store.resume(drive.process)
        swept = drive.store.sweep_run(
            drive.process, run, lease=LEASE, redispatch_after=MINUTE, grace=timedelta(0), max_attempts=3, limit=1_000
        )
        assert swept.publish == ((WorkList.ACTIVE, ("a", "b")),)
