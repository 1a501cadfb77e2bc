"""Rows of django-celery-beat, of each kind, beside a store: what each makes of the other's schedule and pause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.schedules import crontab, solar

from celery_process import Process, Processes
from celery_process.beat.sync import RowSync, rows_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KINDS = ("interval", "crontab", "solar", "clocked")


class Beat:
    """A process, its row, and who follows the two."""

    def __init__(self, registry: Processes, process: Process) -> None:
        from django_celery_beat import models
        from django_celery_beat.schedulers import DatabaseScheduler

        self.models, self.process, self.task = models, process, f"{process.name}.schedule"
        self.scheduler = DatabaseScheduler(app=registry.app, lazy=True)
        rows = rows_of(self.scheduler)
        assert rows is not None
        self.follower = RowSync(rows, registry._entries.scheduled())

    @property
    def row(self) -> Any:
        return self.models.PeriodicTask.objects.get(task=self.task)

    def add(self, **columns: Any) -> None:
        self.models.PeriodicTask.objects.create(name=f"mine-{uuid4().hex[:8]}", task=self.task, **columns)

    def following(self, instant: datetime) -> datetime:
        """Return the slot after an instant, as the store's schedule has it."""
        current = self.process.current()
        assert current is not None
        return current.occurrences.following(instant)


@pytest.fixture
def make(databases: Any) -> Iterator[Callable[..., Beat]]:
    """Give a function that makes a process with such a schedule, and the one who follows its row."""
    app = Celery(f"beat-{uuid4().hex[:6]}", set_as_current=False)
    app.conf.task_always_eager = True
    registry = Processes(app, backend="django://default")

    def make(**more: Any) -> Beat:
        process = registry.process(f"prices-{uuid4().hex[:8]}", **more)(lambda work: None)
        return Beat(registry, process)

    yield make
    registry.store.close()


def added(beat: Beat, kind: str) -> datetime:
    """Add a row of a kind; return its first slot after noon."""
    models = beat.models
    if kind == "interval":
        beat.add(interval=models.IntervalSchedule.objects.create(every=7, period="minutes"))
        return NOON - (NOON - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=7) + timedelta(minutes=7)
    if kind == "crontab":
        made = models.CrontabSchedule.objects.create(minute="30", hour="7", timezone="Asia/Tokyo")
        beat.add(crontab=made)
        return datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    if kind == "solar":
        beat.add(solar=models.SolarSchedule.objects.create(event="sunset", latitude=52.5, longitude=13.4))
        value = solar("sunset", 52.5, 13.4, nowfun=lambda: NOON)
        return NOON + value.remaining_estimate(NOON)
    beat.add(clocked=models.ClockedSchedule.objects.create(clocked_time=NOON + timedelta(days=1)), one_off=True)
    return NOON + timedelta(days=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_each_kind_gives_its_slots(make: Callable[..., Beat], kind: str) -> None:
    """Whoever adds the row, the process takes its schedule, once; the row stays as it is but for what it remembers."""
    beat = make(schedule=60)
    slot = added(beat, kind)
    beat.follower.sync()
    assert abs(beat.following(NOON) - slot) < timedelta(seconds=5)
    state = beat.process.state()
    row = beat.row
    beat.follower.sync()
    assert beat.process.state() == state
    assert (beat.row.headers, beat.row.date_changed) == (row.headers, row.date_changed)
    assert [name for name in KINDS if getattr(row, name) is not None] == [kind]


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        (90, "interval"),
        (0.5, "interval"),
        (crontab(minute="*/5"), "crontab"),
        (solar("sunrise", -33.9, 151.2), "solar"),
    ],
    ids=["seconds", "half a second", "crontab", "solar"],
)
def test_what_update_settings_stores_is_in_the_row(make: Callable[..., Beat], schedule: Any, kind: str) -> None:
    """The row gets the columns of that kind alone, and what beat would make of them has the slots of the store."""
    beat = make(schedule=60, min_schedule_frequency=timedelta(milliseconds=100))
    beat.follower.sync()
    assert beat.row.interval.every == 60
    beat.process.update_settings(None, schedule=schedule, by="ops")
    slot = beat.following(NOON)
    beat.follower.sync()
    row = beat.row
    assert [name for name in KINDS if getattr(row, name) is not None] == [kind]
    assert row.enabled
    beat.models.PeriodicTask.objects.filter(pk=row.pk).update(
        headers="{}"
    )  # as if a person had made it: the row is scheduled
    beat.follower.sync()
    assert beat.following(NOON) == slot


def test_one_query_finds_the_rows_of_all(make: Callable[..., Beat], django_queries: Callable[[], Any]) -> None:
    """However many processes there are, a round that finds nothing new reads their rows at once, and writes nothing."""
    for _ in range(4):
        beat = make(schedule=60)
    beat.follower.sync()
    with django_queries() as seen:
        beat.follower.sync()
    assert len([query for query in seen if "periodictask" in query["sql"]]) == 1
    assert not [query for query in seen if not query["sql"].startswith("SELECT")]


@contextmanager
def following(beat: Beat) -> Iterator[None]:
    """Follow the row inside the block, as beat does; no thread is left that a later fork could trip over."""
    beat.follower.start()
    try:
        yield
    finally:
        beat.follower.stop()


def test_an_edit_made_while_a_task_is_sent_stays(make: Callable[..., Beat]) -> None:
    """Beat writes down that it sent a task, and nothing else of the row: neither its schedule nor when that changed."""
    beat = make(schedule=60)
    with following(beat):
        changed = beat.row.date_changed
        entry = next(beat.scheduler.schedule[beat.task])
        beat.models.PeriodicTask.objects.filter(task=beat.task).update(description="edited meanwhile")
        entry.save()
    row = beat.row
    assert (row.description, row.date_changed, row.total_run_count) == ("edited meanwhile", changed, 1)


def test_headers_of_the_users_own_stay(make: Callable[..., Beat]) -> None:
    """What is remembered stands beside the headers that a person gave, and no task is sent with it."""
    beat = make(schedule=60)
    interval = beat.models.IntervalSchedule.objects.create(every=5, period="seconds")
    beat.add(interval=interval, headers=json.dumps({"team": "blue"}))
    with following(beat):
        headers = json.loads(beat.row.headers)
    assert headers.pop("celery_process")
    assert headers == {"team": "blue"}
    assert beat.scheduler.schedule[beat.row.name].options["headers"] == {"team": "blue", "periodic_task_name": beat.row.name}


def test_a_row_that_is_enabled_again_before_it_remembers_ends_the_pause(
    make: Callable[..., Beat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever enables the row between the store's pause and the row's memory of it is scheduled, not undone."""
    from celery_process.beat.django import DjangoRows  # Django has to be set up first

    beat = make(schedule=60)
    beat.follower.sync()
    rows = beat.models.PeriodicTask.objects.filter(task=beat.task)
    rows.update(enabled=False)
    write = DjangoRows.write

    def late(*args: Any, **kwargs: Any) -> None:
        rows.update(enabled=True)
        write(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DjangoRows, "write", late)
        beat.follower.sync()
    assert beat.process.state().paused is not None
    beat.follower.sync()
    assert beat.process.state().paused is None
    assert beat.row.enabled


@pytest.mark.parametrize("kind", ["interval", "clocked"])
def test_a_row_that_has_ended_gives_no_slot(make: Callable[..., Beat], kind: str) -> None:
    """One that runs once and was disabled since gives none, to a sweep neither, and pauses nothing; enabled again it does."""
    beat = make(schedule=60)
    added(beat, kind)
    beat.models.PeriodicTask.objects.filter(task=beat.task).update(one_off=True)
    beat.follower.sync()
    before = beat.following(NOON)
    beat.models.PeriodicTask.objects.filter(task=beat.task).update(enabled=False)
    beat.follower.sync()
    assert beat.following(NOON).year == 9999
    assert beat.process.state().paused is None
    beat.models.PeriodicTask.objects.filter(task=beat.task).update(enabled=True)
    beat.follower.sync()
    assert beat.following(NOON) == before
