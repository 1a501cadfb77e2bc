"""Entries of sqlalchemy-celery-beat: those of processes, and a project's own beside them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from celery import Celery
from sqlalchemy_celery_beat.models import IntervalSchedule, Period, PeriodicTask
from sqlalchemy_celery_beat.schedulers import DatabaseScheduler, ModelEntry, session_manager

from celery_process import Processes
from celery_process.beat.sync import RowSync, rows_of
from celery_process.stores.memory import MemoryStore


class OwnEntry(ModelEntry):
    """A project's own entries, which save a column more."""

    save_fields = (*ModelEntry.save_fields, "description")
    saved: ClassVar[list[str]] = []

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.saved.append(self.task)
        super().save(*args, **kwargs)


class OwnScheduler(DatabaseScheduler):
    """A project's own scheduler."""

    Entry = OwnEntry


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnScheduler:
    """Give a scheduler on a file, with a scheduled process, `prices`, and a row of the project's, `mine`."""
    app = Celery("beat", set_as_current=False)
    app.conf.update(beat_dburi=f"sqlite:///{tmp_path}/beat.db", beat_schema=None)
    registry = Processes(app, backend=MemoryStore())
    registry.process("prices", schedule=60)(lambda work: None)
    monkeypatch.setattr(session_manager, "prepared", False)  # it makes the tables of one database a program
    made = OwnScheduler(app=app, lazy=True)
    with made.Session() as session:
        every = IntervalSchedule(every=7, period=Period.MINUTES)
        session.add(every)
        session.flush()
        row = PeriodicTask(name="mine", task="mine", enabled=True)
        row.schedule_model = every
        session.add(row)
        session.commit()
    rows = rows_of(made)
    assert rows is not None
    follower = RowSync(rows, registry._entries.scheduled())
    follower.start()
    follower.stop()
    OwnEntry.saved.clear()
    return made


@pytest.mark.parametrize(("task", "by_the_project"), [("mine", True), ("prices.schedule", False)])
def test_what_was_sent_is_saved(scheduler: OwnScheduler, task: str, by_the_project: bool) -> None:
    """A row of no process is saved by the project's own entry, a scheduled one but for `date_changed`; both send events."""
    events: list[int] = []

    def note(mapper: Any, connection: Any, target: PeriodicTask) -> None:
        events.append(target.total_run_count)

    def row() -> PeriodicTask:
        with scheduler.Session() as session:
            return session.scalars(sa.select(PeriodicTask).filter_by(task=task)).one()

    with scheduler.Session() as session:
        session.execute(sa.update(PeriodicTask).values(date_changed=PeriodicTask.date_changed, description="before"))
        session.commit()
    before = row().date_changed
    entry = next(entry for entry in scheduler.schedule.values() if entry.task == task)
    sa.event.listen(PeriodicTask, "after_update", note)
    try:
        for _ in range(3):
            entry = next(entry)
            entry.model.description = "as the entry has it"
            entry.save()
    finally:
        sa.event.remove(PeriodicTask, "after_update", note)
    after = row()
    assert events == [1, 2, 3]
    assert (after.total_run_count, after.description) == (3, "as the entry has it")
    assert after.date_changed - before >= timedelta(0)
    assert (after.date_changed != before) == by_the_project
    assert OwnEntry.saved == ([task] * 3 if by_the_project else [])
