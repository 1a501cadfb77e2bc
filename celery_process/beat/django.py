"""The rows of django-celery-beat: `PeriodicTask`, as the Django admin shows and edits it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import close_old_connections, transaction
from django.db.utils import IntegrityError
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)

from celery_process.beat import columns
from celery_process.beat.merge import Agreed
from celery_process.beat.rows import Row, ScheduledProcess, name_taken
from celery_process.schedule.frequency import Frequency, frequency, in_zone, once
from celery_process.schedule.zones import zone_named

_KINDS = {"interval": IntervalSchedule, "crontab": CrontabSchedule, "solar": SolarSchedule, "clocked": ClockedSchedule}


class DjangoRows(columns.ColumnRows):
    """The rows that django-celery-beat's `DatabaseScheduler` reads."""

    by = "django-celery-beat"

    def save_sent(self, entry: Any, fields: Collection[str] = ()) -> None:
        """Save the columns of an entry that was sent."""
        model, names = entry.model, {*entry.save_fields, *fields}
        row = type(model).objects.get(pk=model.pk)
        for name in names:
            setattr(row, name, getattr(model, name))
        # An attribute that is no column is a message to receivers of Django's signals.
        row.save(update_fields=names & {field.name for field in row._meta.concrete_fields})  # noqa: SLF001 - documented

    @contextmanager
    def round(self) -> Iterator[None]:
        """Begin with a connection that works; this thread keeps one of its own."""
        close_old_connections()
        yield

    def find(self, tasks: Collection[str]) -> Mapping[str, Any]:
        """Return the rows of these tasks."""
        return columns.row_by_task(PeriodicTask.objects.select_related(*_KINDS).filter(task__in=tasks).order_by("pk"))

    def read(self, scheduled: ScheduledProcess, found: Any) -> Row:
        """Return the row of a process."""
        return self.as_read(found, _frequency(found, scheduled), aware(found.date_changed))

    def create(self, scheduled: ScheduledProcess, schedule: Frequency, *, enabled: bool) -> None:
        """Make the row of a process."""
        try:
            with transaction.atomic():
                PeriodicTask.objects.create(
                    **self.new(scheduled, schedule, enabled=enabled), **_columns(schedule, scheduled.zone)
                )
        except (IntegrityError, ValidationError):
            known = PeriodicTask.objects.filter(name=scheduled.task).first()
            if known is None:
                raise
            if known.task != scheduled.task:
                raise name_taken(scheduled, known.task) from None
            # Another beat was faster.

    def write(
        self, scheduled: ScheduledProcess, row: Row, *, schedule: Frequency | None, enabled: bool | None, agreed: Agreed
    ) -> None:
        """Change a row in one statement, unless it changed since it was read, and notify the scheduler."""
        found = row.found
        as_read = {f"{kind}_id": getattr(found, f"{kind}_id") for kind in _KINDS}
        changed: dict[str, Any] = {"headers": columns.remembering(found.headers, agreed)}
        if schedule is not None:
            changed |= _columns(schedule, scheduled.zone)
            if found.clocked_id is not None:
                changed.setdefault("one_off", False)
        if enabled is not None:
            changed["enabled"] = enabled
            if not enabled:
                changed["last_run_at"] = None
        same = PeriodicTask.objects.filter(pk=found.pk, enabled=found.enabled, headers=found.headers, **as_read)
        with transaction.atomic():
            if same.update(**changed):
                PeriodicTasks.update_changed()


def _frequency(found: Any, scheduled: ScheduledProcess) -> Frequency:
    minimum, zone = scheduled.process.definition.min_schedule_frequency, scheduled.zone
    if found.crontab is not None:
        return frequency(
            in_zone(found.crontab.schedule, zone_named(str(found.crontab.timezone))), minimum=minimum, zone=zone
        )
    if found.solar is not None:
        return columns.solar_of(found.solar.event, found.solar.latitude, found.solar.longitude)
    if found.clocked is not None:
        return once(aware(found.clocked.clocked_time))
    return frequency(timedelta(**{found.interval.period: found.interval.every}), minimum=minimum)


def _columns(schedule: Frequency, zone: tzinfo) -> dict[str, Any]:
    """Return the columns of a schedule: one of the four kinds, the others empty."""
    kind, model = columns.columns_of(schedule, zone, _one)
    found: dict[str, Any] = {**dict.fromkeys(_KINDS), kind: model}
    return {**found, "one_off": True} if kind == "clocked" else found


def _one(kind: str, **fields: Any) -> Any:
    # The tables have no unique key, and may hold a schedule twice.
    model = _KINDS[kind]
    if "clocked_time" in fields:
        fields["clocked_time"] = stored_time(fields["clocked_time"])
    return model.objects.filter(**fields).first() or model.objects.create(**fields)


def aware(instant: datetime) -> datetime:
    """Return an instant of a row with its zone: without USE_TZ it is naive, and one of the project's TIME_ZONE."""
    return timezone.make_aware(instant, timezone.get_default_timezone()) if timezone.is_naive(instant) else instant


def stored_time(instant: datetime) -> datetime:
    """Return an instant as the project's rows keep it."""
    return instant if settings.USE_TZ else timezone.make_naive(instant, timezone.get_default_timezone())
