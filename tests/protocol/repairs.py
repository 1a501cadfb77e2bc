"""What sweeps did to a run: kept with it until a caller acknowledges it."""

from __future__ import annotations

from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.repairs import Repairs

from .driver import LEASE, Driver, new_id


class TestRepairs:
    """`repairs` and `ack_repairs`."""

    def test_until_acknowledged(self, drive: Driver) -> None:
        """Each sweep returns its repairs and those not yet acknowledged; acknowledged ones are returned no more."""
        run = drive.begin("a", "b", "c")
        assert drive.repairs(run) == Repairs()
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        first = drive.sweep(run, max_attempts=1, told=False).repairs
        assert (first.expired, first.lost) == (1, ("a",))
        drive.take(run, "b")
        drive.clock.advance(LEASE)
        second = drive.sweep(run, max_attempts=3, told=False).repairs
        assert (second.expired, second.lost) == (2, ("a",))
        assert second == drive.repairs(run) == drive.sweep(run, told=False).repairs
        for _ in range(2):
            drive.store.ack_repairs(drive.process, run, second.number)
            assert drive.repairs(run) == drive.sweep(run, told=False).repairs == Repairs()

    def test_one_more_sweep(self, drive: Driver) -> None:
        """An acknowledgement of before one more sweep does nothing, nor does a late one: no number comes twice."""
        run = drive.begin("a", "b", "c")
        told = []
        for name in ("a", "b"):
            drive.take(run, name)
            drive.clock.advance(LEASE)
            told.append(drive.sweep(run, max_attempts=1, told=False).repairs)
        drive.store.ack_repairs(drive.process, run, told[0].number)
        assert drive.repairs(run) == told[1]
        drive.store.ack_repairs(drive.process, run, told[1].number)
        drive.take(run, "c")
        drive.clock.advance(LEASE)
        drive.sweep(run, max_attempts=3, told=False)
        for late in told:
            drive.store.ack_repairs(drive.process, run, late.number)
        assert (drive.repairs(run).expired, drive.repairs(run).lost) == (1, ())

    def test_of_a_closed_run(self, drive: Driver) -> None:
        """The repairs outlive the close of the run, and are acknowledged after it."""
        run = drive.begin(cleanup=("a",))
        drive.page(run)
        drive.take(run, "a")
        drive.clock.advance(LEASE)
        swept = drive.sweep(run, max_attempts=1, told=False)
        assert swept.run == drive.status(run)
        assert drive.repairs(run) == swept.repairs
        assert swept.repairs.lost == ("a",)
        drive.store.ack_repairs(drive.process, run, swept.repairs.number)
        assert drive.repairs(run) == Repairs()
        assert drive.status(run) == swept.run

    def test_many(self, drive: Driver) -> None:
        """A call gives up as many items as it can keep the names of; the next goes on, once those are acknowledged."""
        names = [f"n{number:03}" for number in range(MAX_LOST + 5)]
        run = drive.begin(*names, "z")
        drive.claim(run, *names)
        drive.clock.advance(LEASE)
        full = drive.sweep(run, max_attempts=1, told=False).repairs
        assert len(full.lost) == MAX_LOST
        assert drive.sweep(run, max_attempts=1, told=False).repairs == full
        drive.store.ack_repairs(drive.process, run, full.number)
        rest = drive.sweep(run, max_attempts=1, told=False).repairs
        assert sorted((*full.lost, *rest.lost)) == names
        assert drive.status(run).counts.lost == len(names)

    def test_of_no_run(self, drive: Driver) -> None:
        """A run that is not kept has no repairs, and there is nothing to acknowledge."""
        run = drive.begin("a")
        for other in (drive.double(run), f"99-{new_id()}"):
            assert drive.repairs(other) == Repairs()
            drive.store.ack_repairs(drive.process, other, 1)
