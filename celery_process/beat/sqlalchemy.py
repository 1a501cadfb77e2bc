"""The rows of sqlalchemy-celery-beat: `PeriodicTask` in a database of any kind that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    Period,
    PeriodicTask,
    PeriodicTaskChanged,
    SolarEvent,
    SolarSchedule,
)

from celery_process.beat import columns
from celery_process.beat.merge import Agreed
from celery_process.beat.rows import Row, ScheduledProcess, name_taken
from celery_process.schedule.frequency import Frequency, frequency, in_zone, once
from celery_process.schedule.zones import zone_named

_KINDS = {"interval": IntervalSchedule, "crontab": CrontabSchedule, "solar": SolarSchedule, "clocked": ClockedSchedule}
_ENUMS = {"period": Period, "event": SolarEvent}


class SqlAlchemyRows(columns.ColumnRows):
    """The rows that sqlalchemy-celery-beat's `DatabaseScheduler` reads."""

    by = "sqlalchemy-celery-beat"

    def save_sent(self, entry: Any, fields: Collection[str] = ()) -> None:
        """Save the columns of an entry that was sent."""
        with self._session() as session:
            row = session.get(PeriodicTask, entry.model.id, with_for_update=True)
            if row is None:
                return
            for name in {*entry.save_fields, *fields}:
                setattr(row, name, getattr(entry.model, name))
            flag_modified(row, "date_changed")  # written with its own value, else its onupdate would move it
            session.commit()

    def _session(self) -> Session:
        session: Session = self._scheduler.Session()
        return session

    def find(self, tasks: Collection[str]) -> Mapping[str, Any]:
        """Return the rows of these tasks, each with its schedule."""
        with self._session() as session:
            query = sa.select(PeriodicTask).where(PeriodicTask.task.in_(tasks)).order_by(PeriodicTask.id)
            return {task: (row, row.schedule_model) for task, row in columns.row_by_task(session.scalars(query)).items()}

    def read(self, scheduled: ScheduledProcess, found: Any) -> Row:
        """Return the row of a process."""
        row, model = found
        return self.as_read(row, _frequency(model, scheduled), _aware(row.date_changed))

    def create(self, scheduled: ScheduledProcess, schedule: Frequency, *, enabled: bool) -> None:
        """Make the row of a process."""
        with self._session() as session:
            kind, model = columns.columns_of(schedule, scheduled.zone, _finder(session))
            row = PeriodicTask(**self.new(scheduled, schedule, enabled=enabled), one_off=kind == "clocked")
            row.schedule_model = model
            session.add(row)
            try:
                session.commit()
            except IntegrityError:
                session.rollback()
                known = session.scalars(sa.select(PeriodicTask.task).where(PeriodicTask.name == scheduled.task)).first()
                if known is not None and known != scheduled.task:
                    raise name_taken(scheduled, known) from None
                # Another beat was faster.

    def write(
        self, scheduled: ScheduledProcess, row: Row, *, schedule: Frequency | None, enabled: bool | None, agreed: Agreed
    ) -> None:
        """Change a row in one statement, unless it changed since it was read, and notify the scheduler."""
        found = row.found
        with self._session() as session:
            changed: dict[str, Any] = {"headers": columns.remembering(found.headers, agreed)}
            if schedule is not None:
                kind, model = columns.columns_of(schedule, scheduled.zone, _finder(session))
                changed |= {"discriminator": model.discriminator, "schedule_id": model.id}
                if kind == "clocked" or found.discriminator == ClockedSchedule.__name__.lower():
                    changed["one_off"] = kind == "clocked"
            if enabled is not None:
                changed["enabled"] = enabled
            same = [
                getattr(PeriodicTask, name) == getattr(found, name)
                for name in ("id", "enabled", "headers", "discriminator", "schedule_id")
            ]
            written: Any = session.execute(
                sa.update(PeriodicTask).where(*same).values(**changed).execution_options(synchronize_session=False)
            )
            if written.rowcount:
                PeriodicTaskChanged.update_from_session(session, commit=False)
            session.commit()


def _finder(session: Session) -> Any:
    def one(kind: str, **fields: Any) -> Any:
        model: Any = _KINDS[kind]
        fields = {name: _ENUMS[name](value) if name in _ENUMS else value for name, value in fields.items()}
        found = session.scalars(sa.select(model).filter_by(**fields)).first()
        if found is None:
            found = model(**fields)
            session.add(found)
            session.flush()
        return found

    return one


def _aware(instant: datetime | None) -> datetime | None:
    """Return an instant with its zone, which SQLite drops."""
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant


def _frequency(model: Any, scheduled: ScheduledProcess) -> Frequency:
    minimum, zone = scheduled.process.definition.min_schedule_frequency, scheduled.zone
    if isinstance(model, CrontabSchedule):
        return frequency(in_zone(model.schedule, zone_named(str(model.timezone))), minimum=minimum, zone=zone)
    if isinstance(model, SolarSchedule):
        return columns.solar_of(SolarEvent(model.event).value, model.latitude, model.longitude)
    if isinstance(model, ClockedSchedule):
        at = _aware(model.clocked_time)
        assert at is not None
        return once(at)
    return frequency(timedelta(**{Period(model.period).value: model.every}), minimum=minimum)
