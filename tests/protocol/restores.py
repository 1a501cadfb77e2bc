"""What comes from another store: written as it was there, and never over something newer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from celery_process.exceptions import RunOpen
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Overrides, Pause, Retention, StoredProcess, WorkInfo
from celery_process.protocol.states import Again, RunAnswer, WorkList

from .driver import HOUR, Driver

LATER = timedelta(milliseconds=1)


def listed(drive: Driver) -> list[WorkInfo]:
    """Return the items of all lists."""
    return [work for on in WorkList for work in drive.store.works(drive.process, on=on, after="", limit=500)]


def item(
    drive: Driver, name: str, on: WorkList = WorkList.ACTIVE, *, params: int = 0, at: datetime | None = None
) -> WorkInfo:
    """Return an item as another store would show it."""
    at = at or drive.clock() - HOUR
    return WorkInfo(name, on, {"n": params}, changed_at=at + LATER, listed_at=at)


def theirs(drive: Driver, **more: Any) -> StoredProcess:
    """Return a process as another store would show it."""
    now = drive.clock()
    stored = StoredProcess(
        drive.process,
        last_slot=now - 2 * HOUR,
        paused=Pause("moving", "ada", now - HOUR),
        overrides=Overrides('{"a":1}', "60", 7, now - HOUR, "ada"),
        aggregate_stats={"runs": 12, "errors": 3, "work.x": 1.5},
        epoch=12,
        limits=Limits(20, "5/m", now - HOUR, "ada"),
    )
    return replace(stored, **more)


class TestRestore:
    """`restore`."""

    def restore(self, drive: Driver, stored: StoredProcess, *works: WorkInfo, force: bool = False) -> None:
        """Restore."""
        drive.store.restore(drive.process, stored, works, force=force)

    def test_as_it_was(self, drive: Driver) -> None:
        """What was written is read again, to the microsecond."""
        stored = theirs(drive)
        works = [item(drive, "a", params=1), item(drive, "c", WorkList.CLEANUP), item(drive, "d", WorkList.DROPPED)]
        self.restore(drive, stored, *works)
        assert drive.store.process(drive.process) == stored
        assert listed(drive) == works
        assert drive.store.overrides(drive.process) == stored.overrides
        assert drive.store.schedules()[drive.process] == "60"

    def test_repeat(self, drive: Driver) -> None:
        """A repeat changes nothing, forced or not."""
        works = [item(drive, "a"), item(drive, "d", WorkList.DROPPED)]
        for force in (False, False, True):
            self.restore(drive, theirs(drive), *works, force=force)
            assert drive.store.process(drive.process) == theirs(drive)
            assert listed(drive) == works

    def test_page_by_page(self, drive: Driver) -> None:
        """Items may come in several calls, and in any number."""
        works = [item(drive, f"{number:04}", params=number) for number in range(1_200)]
        self.restore(drive, theirs(drive))
        self.restore(drive, theirs(drive), *works[:700])
        self.restore(drive, theirs(drive), *works[700:])
        assert drive.store.work_counts(drive.process)[WorkList.ACTIVE] == 1_200
        assert drive.work("0777") == works[777]

    def test_open_run(self, drive: Driver) -> None:
        """While a run is open nothing is written."""
        run = drive.begin("a")
        before = drive.store.process(drive.process), listed(drive)
        with pytest.raises(RunOpen) as refused:
            self.restore(drive, theirs(drive), item(drive, "b"), force=True)
        assert refused.value.run is not None
        assert refused.value.run.id == run
        assert (drive.store.process(drive.process), listed(drive)) == before

    def test_newer_items_stay(self, drive: Driver) -> None:
        """An item that changed here since stays as it is, unless it is forced; then its version still rises."""
        drive.register("a", params='{"n":5}')
        kept = drive.work("a")
        older = item(drive, "a", WorkList.CLEANUP, params=1)
        self.restore(drive, theirs(drive), older)
        assert drive.work("a") == kept
        self.restore(drive, theirs(drive), older, force=True)
        forced = drive.work("a")
        assert (forced.on, forced.params, forced.listed_at) == (WorkList.CLEANUP, {"n": 1}, older.listed_at)
        assert forced.changed_at > kept.changed_at

    def test_older_items_are_replaced(self, drive: Driver) -> None:
        """An item that changed there since is moved to the list that it had there."""
        drive.register("a", "b")
        newer = item(drive, "a", WorkList.CLEANUP, params=2, at=drive.clock() + HOUR)
        self.restore(drive, theirs(drive), newer)
        assert drive.work("a") == newer
        assert [work.name for work in listed(drive)] == ["b", "a"]

    def test_settings_never_go_back(self, drive: Driver) -> None:
        """The version of the overrides rises where they differ (I11), and those without any take away those there are."""
        for number in range(9):
            drive.store.update_settings(drive.process, settings=f'{{"n":{number}}}', schedule="30")
        self.restore(drive, theirs(drive))
        found = drive.store.overrides(drive.process)
        assert (found.settings, found.schedule, found.version) == ('{"a":1}', "60", 10)
        self.restore(drive, theirs(drive, overrides=Overrides()))
        found = drive.store.overrides(drive.process)
        assert (found.settings, found.schedule, found.version) == (None, None, 11)
        assert drive.process not in drive.store.schedules()

    def test_pause_stays(self, drive: Driver) -> None:
        """A process that is paused here stays so."""
        drive.pause("for the move")
        self.restore(drive, theirs(drive, paused=None))
        paused = drive.store.process(drive.process).paused
        assert paused is not None
        assert paused.note == "for the move"

    def test_limits_stay(self, drive: Driver) -> None:
        """Limits that are stored here stay, unless others come."""
        drive.limit(3)
        here = drive.store.process(drive.process).limits
        self.restore(drive, theirs(drive, limits=None))
        assert drive.store.process(drive.process).limits == here
        self.restore(drive, theirs(drive))
        assert drive.store.process(drive.process).limits == theirs(drive).limits

    def test_runs_go_on(self, drive: Driver) -> None:
        """The next run has a higher epoch, which fences what it fences, and takes no slot that was taken there."""
        slot = drive.slot()
        self.restore(
            drive, theirs(drive, last_slot=slot.slot, paused=None), item(drive, "a"), item(drive, "d", WorkList.DROPPED)
        )
        assert drive.claim_run(slot=slot).answer is RunAnswer.LOST
        drive.clock.advance(HOUR)
        closed = drive.work_off(drive.start())
        assert (closed.epoch > theirs(drive).epoch, closed.counts.completed) == (True, 1)
        stats = drive.store.process(drive.process).aggregate_stats
        assert (stats["runs"], stats["errors"], stats["work.x"]) == (13, 3, 1.5)

    def test_epoch_never_goes_back(self, drive: Driver) -> None:
        """What ran here more often keeps its epoch and its last slot."""
        closed = drive.run_through("a")
        self.restore(drive, theirs(drive, epoch=0, last_slot=None, paused=None))
        stored = drive.store.process(drive.process)
        assert (stored.epoch, stored.last_slot) == (closed.epoch, closed.slot)
        claim = drive.claim_run(again=Again.ALWAYS)
        assert claim.run is not None
        assert claim.run.epoch == closed.epoch + 1

    def test_dropped_items_are_purged_in_time(self, drive: Driver) -> None:
        """What was dropped long ago is purged as if it had been dropped here."""
        old, new = (
            item(drive, name, WorkList.DROPPED, at=drive.clock() - hours * HOUR) for name, hours in (("o", 90), ("n", 2))
        )
        self.restore(drive, theirs(drive), old, new)
        drive.purge(Retention(dropped_for=24 * HOUR))
        assert [work.name for work in listed(drive)] == ["n"]
