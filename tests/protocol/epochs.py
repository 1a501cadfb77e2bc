"""Epochs, which fencing tokens begin with: they rise even if a store loses its last writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celery_process.protocol.states import Again

from .driver import HOUR, SECOND, Driver

SAFE = 2**53
"""Numbers above it are not exact everywhere: in JavaScript, in Lua, in a float."""


class TestEpochs:
    """`claim_run` and `redrive`."""

    def test_seconds(self, drive: Driver) -> None:
        """A run's epoch are the seconds of the store since 2026."""
        drive.clock.set(datetime(2026, 1, 1, tzinfo=UTC) + 1234567.9 * SECOND)
        claim = drive.claim_run()
        assert claim.run is not None
        assert claim.run.epoch == 1234567

    def test_one_second(self, drive: Driver) -> None:
        """Runs that follow faster have epochs of their own, a redrive as well."""
        runs = []
        for _ in range(3):
            claim = drive.claim_run(again=Again.ALWAYS)
            assert claim.run is not None
            runs.append(drive.work_off(claim.run.id))
        redriven = drive.redrive(runs[-1].id).run
        assert redriven is not None
        assert [run.epoch for run in (*runs, redriven)] == [runs[0].epoch + number for number in range(4)]

    def test_lost_writes(self, drive: Driver) -> None:
        """A store that lost its last writes issues no fencing token a second time."""
        run = drive.begin("a")
        before = drive.take(run, "a").claim.fencing_token
        forgot = Driver(drive.store, drive.process + ".forgot", drive.clock)
        drive.clock.advance(-HOUR + SECOND)
        after = forgot.take(forgot.begin("a"), "a").claim.fencing_token
        assert after > before

    def test_clock_went_back(self, drive: Driver) -> None:
        """Epochs rise though the clock went back."""
        first = drive.run_through("a")
        drive.clock.advance(-timedelta(days=400))
        assert drive.run_through("a").epoch == first.epoch + 1

    def test_before_2026(self, drive: Driver) -> None:
        """Under a clock of before 2026, as tests may have, runs are counted."""
        drive.clock.set(datetime(2020, 5, 1, tzinfo=UTC))
        assert [drive.run_through("a").epoch for _ in range(3)] == [1, 2, 3]

    def test_a_clock_far_ahead(self, drive: Driver) -> None:
        """In the year 6000 fencing tokens are exact for every reader, and a run is found by its id."""
        drive.clock.set(datetime(6000, 1, 1, tzinfo=UTC))
        run = drive.begin("a")
        held = drive.take(run, "a")
        assert held.claim.fencing_token < SAFE
        assert held.finish().items[0].name == "a"
        drive.page(run)
        assert (drive.status(run).id, drive.status(run).counts.completed) == (run, 1)
