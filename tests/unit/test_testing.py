"""What `celery_process.testing` gives to tests of users."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from celery_process.protocol.rules import epoch_of
from celery_process.protocol.states import RunState
from celery_process.stores.memory import MemoryStore
from celery_process.testing import Invariants, MovableClock, check_invariants
from tests.protocol.driver import Driver


def test_library_needs_no_pytest() -> None:
    """Importing the library and its stores imports no pytest."""
    code = "import sys, celery_process, celery_process.stores.memory; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_library_needs_no_hypothesis() -> None:
    """Neither the library nor its simulation imports Hypothesis."""
    code = (
        "import sys; sys.modules['hypothesis'] = None;"  # an import of it would fail
        "import celery_process.testing.simulation"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestClock:
    def test_moves_by_hand(self) -> None:
        """The clock stands until it is moved, backwards too."""
        clock = MovableClock(datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=1))))
        assert clock() == clock() == datetime(2026, 3, 1, 23, tzinfo=UTC)
        assert clock.advance(timedelta(hours=-1)) == clock() == datetime(2026, 3, 1, 22, tzinfo=UTC)
        assert clock.set(datetime(2030, 1, 1, tzinfo=UTC)) == clock() == datetime(2030, 1, 1, tzinfo=UTC)
        assert clock().tzinfo is UTC


class TestInvariants:
    @pytest.fixture
    def drive(self) -> Driver:
        clock = MovableClock()
        return Driver(MemoryStore(clock=clock), "p", clock)

    def test_sound(self, drive: Driver) -> None:
        """A store that keeps the contract breaks none."""
        drive.run_through("a", cleanup=("b",))
        drive.begin()
        check_invariants(drive.store, "p")

    def broken(self, drive: Driver, invariant: str) -> None:
        with pytest.raises(AssertionError, match=f"^{invariant}: "):
            check_invariants(drive.store, "p")

    def test_slot_twice(self, drive: Driver) -> None:
        """I1 is named where a slot has one generation twice."""
        drive.run_through("a")
        drive.run_through("a")
        rows = drive.store.kept["p"].runs
        first, second = rows.values()
        second.slot = first.slot
        self.broken(drive, "I1")

    def test_two_open(self, drive: Driver) -> None:
        """I2 is named where two runs are open."""
        run = drive.run_through("a")
        drive.start()
        row = drive.store.kept["p"].runs[run.epoch]
        row.state, row.finished_at = RunState.ACTIVE, None
        self.broken(drive, "I2")

    def test_closed_with_open_items(self, drive: Driver) -> None:
        """I3 is named where a closed run has open items."""
        run = drive.run_through("a")
        drive.store.kept["p"].runs[run.epoch].counts = {"completed": 1, "pending": 1}
        self.broken(drive, "I3")

    def test_counted_twice(self, drive: Driver) -> None:
        """I4 is named where a run was added up twice."""
        invariants = Invariants(drive.store, "p")
        drive.run_through("a")
        invariants.check()
        drive.store.kept["p"].head.aggregate["runs"] += 1
        with pytest.raises(AssertionError, match=r"^I4: "):
            invariants.check()

    def test_not_counted(self, drive: Driver) -> None:
        """I4 is named where a run that closed was not added up, and where its stats were not."""
        drive.run_through("a")
        aggregate = drive.store.kept["p"].head.aggregate
        aggregate["workItems"] += 1
        self.broken(drive, "I4")
        aggregate.clear()
        self.broken(drive, "I4")

    def test_item_counted_twice(self, drive: Driver) -> None:
        """I5 is named where the stats count an item that the counts do not have."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish()
        drive.store.kept["p"].runs[epoch_of(run)].stats["workItems"] = 1
        self.broken(drive, "I5")

    def test_closed_run_changed(self, drive: Driver) -> None:
        """I7 is named where a closed run changed between two looks."""
        run = drive.run_through("a")
        invariants = Invariants(drive.store, "p")
        invariants.check()
        drive.store.kept["p"].runs[run.epoch].progress_at = drive.clock() + timedelta(1)
        with pytest.raises(AssertionError, match=r"^I7: "):
            invariants.check()

    def test_settings_version_went_back(self, drive: Driver) -> None:
        """I11 is named where the version of the settings went back."""
        drive.store.update_settings("p", settings='{"a":1}', schedule=None)
        invariants = Invariants(drive.store, "p")
        invariants.check()
        row = drive.store.kept["p"]
        row.overrides = replace(row.overrides, version=0)
        with pytest.raises(AssertionError, match=r"^I11: "):
            invariants.check()

    def test_dropped_without_a_cleanup(self, drive: Driver) -> None:
        """I12 is named where an item was dropped that no cleanup completed."""
        drive.run_through(cleanup=("a",))
        drive.store.kept["p"].statuses.clear()
        self.broken(drive, "I12")

    def test_too_many_errors(self, drive: Driver) -> None:
        """I13 is named where a run keeps more texts than it may."""
        run = drive.begin("a")
        drive.take(run, "a").report(errors=1)
        row = drive.store.kept["p"].runs[epoch_of(run)]
        row.errors = row.errors * 26
        self.broken(drive, "I13")
