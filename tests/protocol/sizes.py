"""What is kept stays small, however long a process lives and whatever its handlers count."""

from __future__ import annotations

from datetime import timedelta

from celery_process.protocol.model import Retention, RunStatus, SlotRef
from celery_process.protocol.states import SlotEnd
from celery_process.protocol.stats import MAX_SUMMED_STATS, OTHER_STATS

from .driver import MINUTE, Driver

NAMES = 100
"""Stats that an item may have."""


def counted(drive: Driver, of_run: int) -> RunStatus:
    """Return a closed run whose twelve items count a hundred names each, which no other has."""
    names = [f"n{number:02}" for number in range(12)]
    run = drive.begin(*names)
    for name in names:
        drive.take(run, name).finish(stats={f"{of_run}.{name}.{number}": 1 for number in range(NAMES)})
    drive.page(run)
    return drive.status(run)


class TestSizes:
    """The names of stats, and the ledger."""

    def test_stats_of_a_run(self, drive: Driver) -> None:
        """A run keeps a thousand names of stats; what is counted beyond them is one sum, and nothing is lost."""
        run = counted(drive, 1)
        own = {name for name in run.stats if not name.startswith("work.")}
        assert MAX_SUMMED_STATS - 20 <= len(run.stats) - len(own) <= MAX_SUMMED_STATS
        assert run.stats[OTHER_STATS] > 0
        assert sum(count for name, count in run.stats.items() if name not in own) + run.stats[OTHER_STATS] == 12 * NAMES
        assert (run.stats["workItems"], run.stats["runs"], run.stats["state.completed"]) == (12, 1, 1)

    def test_stats_of_all_runs(self, drive: Driver) -> None:
        """So does a process of all its runs, and the library's own names stay exact."""
        for number in range(2):
            counted(drive, number)
        stats = drive.store.process(drive.process).aggregate_stats
        assert len(stats) <= MAX_SUMMED_STATS + 20
        assert (stats["workItems"], stats["runs"], stats["state.completed"]) == (24, 2, 2)
        of_items = sum(count for name, count in stats.items() if name.startswith("work.")) + stats[OTHER_STATS]
        assert of_items == 24 * NAMES

    def test_ledger_without_a_run(self, drive: Driver) -> None:
        """While a process is paused, its ledger alone makes a purge due, and so keeps to its retention."""
        longest = 0
        for _ in range(260):
            drive.clock.advance(MINUTE)
            slot = SlotRef(drive.clock(), drive.clock())
            assert drive.store.skip_slot(drive.process, slot=slot, end=SlotEnd.PAUSED, by="")
            longest = max(longest, len(drive.store.slots(drive.process, before=None, limit=1_000)))
            if any(target.purge_due for target in drive.targets()):
                drive.purge(Retention(slots=50, dropped_for=timedelta(days=1)))
        assert longest <= 150
