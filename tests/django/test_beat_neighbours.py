"""A project's own periodic tasks beside scheduled ones: their entries are saved as if this package were not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from celery import Celery, current_app
from celery.signals import beat_init

from celery_process import Processes
from celery_process.beat.sync import RowSync, rows_of


@pytest.fixture
def scheduler(databases: Any) -> Any:
    """Give a project's own scheduler, whose entries save a column more, and count their saves by task."""
    from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

    class OwnEntry(ModelEntry):
        save_fields = (*ModelEntry.save_fields, "description")
        saved: ClassVar[list[str]] = []

        def save(self) -> None:
            self.saved.append(self.task)
            super().save()

    class OwnScheduler(DatabaseScheduler):
        Entry = OwnEntry

    app = Celery(f"beat-{uuid4().hex[:6]}", set_as_current=False)
    registry = Processes(app, backend="django://default")
    made = OwnScheduler(app=app, lazy=True)
    made.registry = registry
    before = current_app._get_current_object()
    yield made
    before.set_current()
    registry.store.close()


@contextmanager
def signals_of(task: str) -> Iterator[list[Any]]:
    """Give a list of what post_save says of the rows of a task."""
    from django.db.models.signals import post_save
    from django_celery_beat.models import PeriodicTask

    seen: list[Any] = []

    def note(instance: Any, **_: Any) -> None:
        if instance.task == task:
            seen.append((instance.total_run_count, instance.no_changes))

    post_save.connect(note, sender=PeriodicTask)
    try:
        yield seen
    finally:
        post_save.disconnect(note, sender=PeriodicTask)


def row_of(task: str) -> Any:
    from django_celery_beat.models import PeriodicTask

    return PeriodicTask.objects.get(task=task)


@pytest.fixture
def own(databases: Any) -> str:
    """Give the name of a task of the project's with a row."""
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    name = f"mine-{uuid4().hex[:8]}"
    every = IntervalSchedule.objects.create(every=7, period="minutes")
    PeriodicTask.objects.create(name=name, task=name, interval=every, enabled=True)
    return name


def scheduled(scheduler: Any) -> str:
    """Define a process, follow its row, and return its task."""
    process = scheduler.registry.process(f"prices-{uuid4().hex[:8]}", schedule=60)(lambda work: None)
    rows = rows_of(scheduler)
    assert rows is not None
    follower = RowSync(rows, scheduler.registry._entries.scheduled())
    follower.start()
    follower.stop()
    return f"{process.name}.schedule"


def sent(scheduler: Any, task: str) -> None:
    """Let the scheduler take its task for sent ten times, and write it down each time."""
    entry = next(entry for entry in scheduler.schedule.values() if entry.task == task)
    for _ in range(10):
        entry = next(entry)
        entry.model.description = "as the entry has it"
        entry.save()


def test_a_row_of_no_process_is_saved_as_ever(scheduler: Any, own: str) -> None:
    """The project's own save is called, each sends its signal, and all that it saves is saved, `date_changed` too."""
    scheduled(scheduler)
    before = row_of(own).date_changed
    with signals_of(own) as seen:
        sent(scheduler, own)
    row = row_of(own)
    assert scheduler.Entry.saved == [own] * 10
    assert seen == [(count, True) for count in range(1, 11)]
    assert (row.total_run_count, row.description, row.date_changed > before) == (10, "as the entry has it", True)


def test_a_row_of_a_process_sends_its_signals_too(scheduler: Any) -> None:
    """A scheduled row is saved by its columns, of which those that the project added are some; its signals are sent."""
    task = scheduled(scheduler)
    before = row_of(task).date_changed
    with signals_of(task) as seen:
        sent(scheduler, task)
    row = row_of(task)
    assert seen == [(count, True) for count in range(1, 11)]
    assert (row.total_run_count, row.description, row.date_changed) == (10, "as the entry has it", before)


@pytest.mark.parametrize("processes", [0, 1], ids=["no process", "one with an entry of its own"])
def test_a_beat_that_follows_nothing_is_left_alone(scheduler: Any, processes: int) -> None:
    """Neither its class of entries nor its longest sleep changes where no row belongs to a process."""
    app, entry = scheduler.app, scheduler.Entry
    if processes:
        process = scheduler.registry.process(f"prices-{uuid4().hex[:8]}", schedule=60)(lambda work: None)
        app.conf.beat_schedule = {"mine": {"task": f"{process.name}.schedule", "schedule": 60}}
    scheduler.max_interval = 300
    beat_init.send(sender=type("Service", (), {"app": app, "scheduler": scheduler}))
    assert (scheduler.Entry, scheduler.max_interval) == (entry, 300)


def test_a_beat_that_follows_looks_every_second(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a process no sleep is so long that a change of its schedule would be seen late."""
    begun: list[Callable[..., Any]] = []
    monkeypatch.setattr(RowSync, "start", lambda self: begun.append(self.start))
    scheduler.registry.process(f"prices-{uuid4().hex[:8]}", schedule=60)(lambda work: None)
    scheduler.max_interval = 300
    beat_init.send(sender=type("Service", (), {"app": scheduler.app, "scheduler": scheduler}))
    assert (len(begun), scheduler.max_interval) == (1, 1)
