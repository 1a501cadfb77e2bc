"""The schedule that beat holds for a process: aligned, following the store, surviving the removal of the package."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, current_app, signals
from celery.beat import PersistentScheduler, Service
from celery.schedules import crontab, schedule

from celery_process import Process, Processes
from celery_process.beat import entry as module
from celery_process.beat import stored as reader
from celery_process.beat.entry import ProcessSchedule
from celery_process.exceptions import ScheduleOwned, StoreUnavailable
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
KEY = "key-gc.schedule"


class Host:
    """A monotonic clock that moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


class CountingStore(MemoryStore):
    """A memory store that counts how often the schedules are read, and can be out of reach."""

    reads = 0
    broken = False

    def schedules(self) -> Any:
        self.reads += 1
        if self.broken:
            raise StoreUnavailable("schedules did not answer; try again later.", operation="schedules")
        return super().schedules()


class Bench:
    """An app with its registry, and the two clocks that a schedule looks at."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.clock = MovableClock(NOON)
        self.store = CountingStore(clock=self.clock)
        self.app = Celery("schedules", set_as_current=False)
        self.processes = Processes(self.app, backend=self.store)

    def process(self, **options: Any) -> Process:
        """Define a process."""
        return self.processes.process("key-gc", **{"schedule": HOUR, **options})(lambda work: None)

    def entry(self) -> ProcessSchedule:
        """Return the schedule of the process's entry in beat, as beat prepares it."""
        self.app.finalize()
        found = self.app.conf.beat_schedule[KEY]["schedule"]
        found.app, found.nowfun = self.app, self.clock
        assert isinstance(found, ProcessSchedule)
        return found

    def pass_refresh(self) -> None:
        """Let the time pass after which the store is read again."""
        self.host.seconds += reader.REFRESH
        reader.stored_schedules(self.app).read(self.store)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a bench whose host clock stands, and where the store is read when the bench says so."""
    host = Host()
    for imported in (module, reader):
        monkeypatch.setattr(imported, "time", SimpleNamespace(monotonic=host.monotonic))
    made = Bench(host)

    def begin(self: reader.StoredSchedules) -> None:
        if made.store.reads == 0:
            self.read(made.store)

    monkeypatch.setattr(reader.StoredSchedules, "begin", begin)
    return made


@pytest.fixture
def keep_current_app() -> Iterator[None]:
    """Put the current app back."""
    before = current_app._get_current_object()
    yield
    before.set_current()


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        (NOON, NOON - SECOND, True),
        (NOON, NOON, False),
        (NOON + 59 * timedelta(minutes=1), NOON, False),
        (NOON + HOUR, NOON + 5 * SECOND, True),
        (NOON + 30 * HOUR, NOON, True),
    ],
)
def test_it_is_due_once_a_slot_began(bench: Bench, now: datetime, last: datetime, due: bool) -> None:
    """It fires when a slot began since it last fired, whenever within the slot that was: nothing drifts."""
    bench.process()
    bench.clock.set(now)
    assert bench.entry().is_due(last).is_due is due


def test_it_asks_again_no_later_than_the_next_slot(bench: Bench) -> None:
    """The time to wait ends with the slot: beat looks at no other entry before it (celery#7649)."""
    bench.process()
    entry = bench.entry()
    bench.clock.set(NOON + HOUR - timedelta(milliseconds=250))
    assert entry.is_due(NOON).next == pytest.approx(0.25)
    bench.clock.set(NOON)
    assert entry.is_due(NOON).next == HOUR.total_seconds()


def test_a_crontab_gives_its_own_slots(bench: Bench) -> None:
    """A crontab is due at its minutes."""
    bench.process(schedule=crontab(minute=30, hour="*/6"))
    entry = bench.entry()
    bench.clock.set(NOON + timedelta(minutes=29))
    assert entry.is_due(NOON - HOUR).is_due is False
    bench.clock.set(NOON + timedelta(minutes=30))
    assert entry.is_due(NOON - HOUR).is_due is True


def test_the_remaining_time_is_to_the_next_slot(bench: Bench) -> None:
    """What beat prints as remaining is the time to the slot after the last one."""
    bench.process()
    bench.clock.set(NOON + timedelta(minutes=20))
    assert bench.entry().remaining_estimate(NOON) == timedelta(minutes=40)


def test_a_stored_schedule_is_followed_within_the_refresh(bench: Bench) -> None:
    """What update_settings stores is in force in a running beat once the refresh has passed."""
    process = bench.process()
    entry = bench.entry()
    assert entry.current().value == HOUR
    process.update_settings(None, schedule=timedelta(minutes=10))
    assert entry.current().value == HOUR
    bench.pass_refresh()
    assert entry.current().value == timedelta(minutes=10)
    assert entry.run_every == timedelta(minutes=10)


def test_the_store_is_read_once_a_refresh(bench: Bench) -> None:
    """However often beat asks, and however many processes it has, the store is asked once."""
    bench.process()
    others = [bench.processes.process(f"other-{number}", schedule=60)(lambda work: None) for number in range(5)]
    entries = [bench.entry(), *(bench.app.conf.beat_schedule[f"{process.name}.schedule"]["schedule"] for process in others)]
    for entry in entries:
        entry.app, entry.nowfun = bench.app, bench.clock
    for _ in range(3):
        for entry in entries:
            entry.is_due(NOON)
    assert bench.store.reads == 1
    bench.pass_refresh()
    for entry in entries:
        entry.is_due(NOON)
    assert bench.store.reads == 2


def test_a_store_out_of_reach_stops_nothing(bench: Bench) -> None:
    """While the store does not answer the last known schedule counts, or the code's; beat goes on."""
    process = bench.process()
    entry = bench.entry()
    bench.store.broken = True
    assert entry.is_due(NOON - SECOND).is_due is True
    bench.store.broken = False
    process.update_settings(None, schedule=timedelta(minutes=10))
    bench.pass_refresh()
    assert entry.current().value == timedelta(minutes=10)
    bench.store.broken = True
    bench.pass_refresh()
    assert entry.current().value == timedelta(minutes=10)


def test_a_stored_schedule_is_clamped(bench: Bench) -> None:
    """A schedule that other code stored is at least the minimum of this code."""
    bench.process(min_schedule_frequency=900)
    bench.store.update_settings("key-gc", settings=None, schedule='{"interval": 60.0}')
    assert bench.entry().current().value == timedelta(minutes=15)


def test_nothing_fires_before_the_initial_wait(bench: Bench) -> None:
    """After beat's start the process waits for its initial wait, then its slot is due."""
    bench.process(initial_wait=60)
    entry = bench.entry()
    assert entry.is_due(NOON - SECOND) == (False, 60)
    bench.host.seconds += 59.5
    assert entry.is_due(NOON - SECOND) == (False, 0.5)
    bench.host.seconds += 0.5
    assert entry.is_due(NOON - SECOND).is_due is True


def test_it_comes_back_from_a_pickle(bench: Bench) -> None:
    """What beat keeps in its file is the same schedule, and still follows the store."""
    process = bench.process(min_schedule_frequency=2, initial_wait=5)
    entry = bench.entry()
    process.update_settings(None, schedule=timedelta(minutes=10))
    again = pickle.loads(pickle.dumps(entry))
    again.app, again.nowfun = bench.app, bench.clock
    assert type(again) is ProcessSchedule
    assert again == entry
    assert (again.process, again.minimum, again.initial_wait) == ("key-gc", 2, 5)
    assert again.current().value == timedelta(minutes=10)


def test_without_the_package_beat_has_a_plain_schedule(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the class cannot be imported any more, the file gives Celery's own schedule with the same period."""
    bench.process(schedule=90)
    kept = pickle.dumps(bench.entry())
    monkeypatch.setitem(sys.modules, "celery_process.beat.entry", None)
    again = pickle.loads(kept)
    assert type(again) is schedule
    assert again.run_every == timedelta(seconds=90)


def test_equal_by_what_was_asked_for(bench: Bench) -> None:
    """Two schedules of one process with one default are equal, whatever is in force; others are not."""
    process = bench.process()
    first = bench.entry()
    second = pickle.loads(pickle.dumps(first))
    process.update_settings(None, schedule=60)
    bench.pass_refresh()
    first.current()
    assert first == second
    second.default = '{"interval": 5.0}'
    assert first != second
    assert first != schedule(HOUR)


def test_entries_appear_by_themselves(bench: Bench) -> None:
    """A process has its entry once the app is finalized, with the options that its messages are published with."""
    bench.process(task_options={"queue": "slow", "priority": 3, "rate_limit": "10/m"})
    bench.app.finalize()
    entry = bench.app.conf.beat_schedule[KEY]
    assert (entry["task"], entry["options"]) == (KEY, {"queue": "slow", "priority": 3})
    assert entry["schedule"].process == "key-gc"


def test_a_process_defined_after_the_app_was_finalized_has_one_too(bench: Bench) -> None:
    """An app that is in use already gets the entry when the process is defined."""
    bench.app.finalize()
    bench.process()
    assert KEY in bench.app.conf.beat_schedule


def test_entries_join_a_beat_schedule_assigned_after_the_decorators(bench: Bench) -> None:
    """`app.conf.beat_schedule = {…}` below the decorators keeps its entries, and the process's comes along."""
    bench.process()
    bench.app.conf.beat_schedule = {"mine": {"task": "mine", "schedule": 5}}
    bench.app.finalize()
    assert set(bench.app.conf.beat_schedule) == {"mine", KEY}


@pytest.mark.usefixtures("keep_current_app")
def test_entries_join_a_beat_schedule_assigned_after_the_app_was_finalized(bench: Bench, tmp_path: Path) -> None:
    """Even then beat has the entry when it starts."""
    bench.process()
    bench.app.finalize()
    bench.app.conf.beat_schedule = {"mine": {"task": "mine", "schedule": 5}}
    beat = Service(bench.app, schedule_filename=str(tmp_path / "beat"), scheduler_cls=PersistentScheduler)
    try:
        assert KEY not in beat.scheduler.schedule
        signals.beat_init.send(sender=beat)
        assert {"mine", KEY} <= set(beat.scheduler.schedule)
    finally:
        beat.scheduler.close()


@pytest.mark.usefixtures("keep_current_app")
def test_what_beat_reads_from_its_file_is_of_its_own_app(bench: Bench, tmp_path: Path) -> None:
    """After beat wrote its file it uses what it reads from it, and that follows the store of beat's app."""
    process = bench.process()
    Celery("another").set_current()
    beat = Service(bench.app, schedule_filename=str(tmp_path / "beat"), scheduler_cls=PersistentScheduler)
    try:
        signals.beat_init.send(sender=beat)
        process.update_settings(None, schedule=timedelta(minutes=10))
        beat.scheduler.sync()
        assert beat.scheduler.schedule[KEY].schedule.current().value == timedelta(minutes=10)
    finally:
        beat.scheduler.close()


def test_apps_do_not_share_entries(bench: Bench) -> None:
    """The entry of one app's process is in that app's beat only."""
    bench.process()
    bench.app.finalize()
    other = Celery("other", set_as_current=False)
    other.finalize()
    assert KEY not in other.conf.beat_schedule


def test_no_schedule_is_no_entry(bench: Bench) -> None:
    """A process with schedule=None has no entry: whoever triggers decides."""
    process = bench.process(schedule=None)
    bench.app.finalize()
    assert KEY not in bench.app.conf.beat_schedule
    assert process.schedule_frequency is None


@pytest.mark.parametrize("given", [30, timedelta(seconds=30), schedule(30), crontab(minute="*/5")])
def test_an_entry_of_ones_own_is_the_schedule(bench: Bench, given: Any) -> None:
    """An entry for the task in beat_schedule wins over the decorator's schedule, and no second one is made."""
    bench.app.conf.beat_schedule = {"nightly": {"task": KEY, "schedule": given}}
    process = bench.process()
    bench.app.finalize()
    assert set(bench.app.conf.beat_schedule) == {"nightly"}
    wanted = given if isinstance(given, crontab) else timedelta(seconds=30)
    assert process.schedule_frequency == wanted


def test_an_owned_schedule_is_not_changed_elsewhere(bench: Bench) -> None:
    """update_settings(schedule=…) names the entry that is the schedule, and stores nothing; settings alone are fine."""
    bench.app.conf.beat_schedule = {"nightly": {"task": KEY, "schedule": 30}}
    process = bench.process()
    with pytest.raises(ScheduleOwned) as caught:
        process.update_settings({"ttl": 1}, schedule=60)
    assert (caught.value.process, caught.value.entry) == ("key-gc", "nightly")
    assert "'nightly'" in str(caught.value)
    assert process.state().settings == {}
    process.update_settings({"ttl": 1})
    assert process.state().settings == {"ttl": 1}


def test_an_owned_schedule_wins_over_a_stored_one(bench: Bench) -> None:
    """A schedule stored before the entry was written is not in force while the entry stands."""
    process = bench.process()
    process.update_settings(None, schedule=60)
    bench.app.conf.beat_schedule = {"nightly": {"task": KEY, "schedule": 30}}
    assert process.schedule_frequency == timedelta(seconds=30)
