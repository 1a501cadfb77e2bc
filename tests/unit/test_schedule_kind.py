"""What beat holds for a process is, to whoever asks for its class, the kind of schedule that is in force."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import crontab

from celery_process import Process, Processes
from celery_process.beat.entry import ProcessSchedule
from celery_process.beat.stored import stored_schedules
from celery_process.schedule.frequency import in_zone
from celery_process.stores.memory import MemoryStore

HOUR = timedelta(hours=1)
KEY = "key-gc.schedule"


class Bench:
    """A process every ten minutes by a crontab, and its entry in beat."""

    def __init__(self) -> None:
        self.app = Celery("kinds", set_as_current=False)
        self.store = MemoryStore()
        self.process: Process = Processes(self.app, backend=self.store).process("key-gc", schedule=crontab(minute="*/10"))(
            lambda work: None
        )
        self.app.finalize()
        self.entry: ProcessSchedule = self.app.conf.beat_schedule[KEY]["schedule"]
        self.entry.app = self.app
        self.looks()

    def looks(self) -> None:
        """Let beat read the store, and ask the entry."""
        stored_schedules(self.app).read(self.store)
        self.entry.is_due(datetime.now(UTC))

    def change(self, schedule: timedelta | crontab) -> None:
        """Store another schedule, which beat then sees."""
        self.process.update_settings(None, schedule=schedule)
        self.looks()


@pytest.fixture
def bench() -> Bench:
    """Give a bench."""
    return Bench()


TOKYO = in_zone(crontab(minute=5, hour=4), ZoneInfo("Asia/Tokyo"))


def test_a_crontab_while_the_store_has_one(bench: Bench) -> None:
    """The entry is the crontab in force, with its fields and zone, or an interval; beat goes on with it, and keeps it."""
    entry = bench.entry
    assert isinstance(entry, crontab)
    assert (entry.minute, entry.hour, str(entry.tz)) == (set(range(0, 60, 10)), set(range(24)), "UTC")
    again = pickle.loads(pickle.dumps(entry))
    assert type(again) is ProcessSchedule
    bench.change(HOUR)
    assert (isinstance(entry, crontab), entry.seconds) == (False, 3600)
    bench.change(TOKYO)
    assert isinstance(entry, crontab)
    assert (entry.minute, entry.hour, str(entry.tz)) == ({5}, {4}, "Asia/Tokyo")


def test_sentry_reports_a_crontab(bench: Bench) -> None:
    """Sentry's monitor of an entry has the crontab and its zone, or the interval, as the store has them by now."""
    sentry = pytest.importorskip("sentry_sdk.integrations.celery.beat")

    def monitor() -> tuple[dict[str, object], str]:
        told = sentry._get_monitor_config(bench.entry, bench.app, KEY)
        return told["schedule"], str(told["timezone"])

    assert monitor() == ({"type": "crontab", "value": "*/10 * * * *"}, "UTC")
    bench.change(TOKYO)
    assert monitor() == ({"type": "crontab", "value": "5 4 * * *"}, "Asia/Tokyo")
    bench.change(HOUR)
    assert monitor()[0] == {"type": "interval", "value": 1, "unit": "hour"}
