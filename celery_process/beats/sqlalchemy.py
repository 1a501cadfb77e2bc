"""The rows of sqlalchemy-celery-beat: `PeriodicTask` in a database of any kind that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
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

from celery_process.beats import columns
from celery_process.beats.merge import Agreed
from celery_process.beats.rows import REMEMBERED, Followed, Row, Rows
from celery_process.frequency import Frequency, frequency
from celery_process.schedule import ProcessSchedule

_KINDS = {"interval": IntervalSchedule, "crontab": CrontabSchedule, "solar": SolarSchedule, "clocked": ClockedSchedule}
_ENUMS = {"period": Period, "event": SolarEvent}


class SqlAlchemyRows(Rows):
    """The rows that this package's `DatabaseScheduler` works from."""

    by = "sqlalchemy-celery-beat"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    def _session(self) -> Session:
        session: Session = self._scheduler.Session()
        return session

    def align(self, schedules: Mapping[str, ProcessSchedule]) -> None:
        """Give the scheduler a class of entries that ask these schedules; what else a row says stays as it is."""
        scheduler = self._scheduler

        class AlignedEntry(scheduler.Entry):  # type: ignore[name-defined]
            def __init__(self, model: Any, Session: Any, app: Any = None, **kwargs: Any) -> None:  # noqa: N803 - its name there
                super().__init__(model, Session=Session, app=app or scheduler.app, **kwargs)
                self.options["headers"].pop(REMEMBERED, None)
                if self.task in schedules:
                    self.schedule = schedules[self.task]

        scheduler.Entry = AlignedEntry
        entries = scheduler.schedule
        entries.clear()
        entries.update(scheduler.all_as_schedule())

    def held(self, schedule: Frequency) -> Frequency:
        """Return what the columns make of a schedule."""
        return columns.held(schedule)

    def read(self, followed: Followed) -> Row | None:
        """Return the row of a process."""
        with self._session() as session:
            asked = sa.select(PeriodicTask).where(PeriodicTask.task == followed.task).order_by(PeriodicTask.id)
            rows = session.scalars(asked).all()
            found = min(rows, key=lambda row: row.name != followed.task, default=None)
            if found is None:
                return None
            return Row(
                found,
                _frequency(found.schedule_model, followed),
                found.enabled,
                columns.agreed_in(found.headers),
                _aware(found.date_changed),
                ends=found.one_off or found.expires is not None,
            )

    def create(self, followed: Followed, schedule: Frequency, *, enabled: bool) -> None:
        """Make the row of a process."""
        with self._session() as session:
            kind, model = columns.columns_of(schedule, followed.zone, _finder(session))
            made = PeriodicTask(
                name=followed.task,
                task=followed.task,
                enabled=enabled,
                one_off=kind == "clocked",
                description=f"The schedule of the process {followed.process.name}.",
                headers=columns.remembering(None, Agreed(self.held(schedule).text, schedule.text, not enabled)),
                **{key: followed.options.get(key) for key in ("queue", "exchange", "routing_key", "priority")},
            )
            made.schedule_model = model
            session.add(made)
            try:
                session.commit()
            except IntegrityError:
                return  # another beat was faster

    def write(
        self, followed: Followed, row: Row, *, schedule: Frequency | None, enabled: bool | None, agreed: Agreed
    ) -> None:
        """Change a row that is as it was read, in one statement, and tell the scheduler."""
        found = row.found
        with self._session() as session:
            changed: dict[str, Any] = {"headers": columns.remembering(found.headers, agreed)}
            if schedule is not None:
                kind, model = columns.columns_of(schedule, followed.zone, _finder(session))
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


def _frequency(model: Any, followed: Followed) -> Frequency:
    minimum, zone = followed.process.definition.min_schedule_frequency, followed.zone
    if isinstance(model, CrontabSchedule):
        return frequency(model.schedule, minimum=minimum, zone=zone, own_zone=str(model.timezone))
    if isinstance(model, SolarSchedule):
        return columns.solar_of(SolarEvent(model.event).value, model.latitude, model.longitude)
    if isinstance(model, ClockedSchedule):
        at = _aware(model.clocked_time)
        assert at is not None
        return columns.clocked_of(at)
    return frequency(timedelta(**{Period(model.period).value: model.every}), minimum=minimum)
