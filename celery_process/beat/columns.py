"""Rows with the columns of django-celery-beat: both packages with a database have the same four kinds of schedules."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from celery_process.beat.entry import ProcessSchedule
from celery_process.beat.merge import Agreed
from celery_process.beat.rows import REMEMBERED, Row, Rows, ScheduledProcess
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency, frequency, from_text, once
from celery_process.schedule.slots import Interval, Solar
from celery_process.schedule.zones import iana_name, zone_named

_MOST = 2**31 - 1
"""The highest number in a row's interval."""


def interval_of(period: timedelta) -> tuple[int, str]:
    """Return a period as a number and its unit: whole seconds, else microseconds if the number fits."""
    microseconds = period // timedelta(microseconds=1)
    if microseconds % 1_000_000 and microseconds <= _MOST:
        return microseconds, "microseconds"
    return min(max(round(period.total_seconds()), 1), _MOST), "seconds"


def as_stored(schedule: Frequency) -> Frequency:
    """Return a schedule as the columns can keep it: an interval as in `interval_of`, a place on earth to six digits."""
    at = schedule.occurrences
    if isinstance(at, Interval):
        every, unit = interval_of(at.period)
        return frequency(timedelta(**{unit: every}), minimum=timedelta(0))
    if isinstance(at, Solar):
        return solar_of(at.event, round(at.latitude, 6), round(at.longitude, 6))
    return schedule


def solar_of(event: str, latitude: Any, longitude: Any) -> Frequency:
    """Return the frequency of a solar row."""
    place = {"event": event, "lat": float(latitude), "lon": float(longitude)}
    return from_text(json.dumps({"solar": place}), minimum=timedelta(0))


def columns_of(schedule: Frequency, zone: tzinfo, one: Callable[..., Any]) -> tuple[str, Any]:
    """Return the kind of a schedule and its row, which `one(kind, **fields)` finds or makes."""
    if isinstance(schedule.occurrences, Interval):
        every, unit = interval_of(schedule.occurrences.period)
        return "interval", one("interval", every=every, period=unit)
    document = json.loads(schedule.text)
    kind = next(iter(document))
    if kind == "crontab":
        fields = dict(document["crontab"])
        zone_name = fields.pop("zone", None)
        fields["timezone"] = iana_name(zone if zone_name is None else zone_named(zone_name))
        return kind, one(kind, **fields)
    if kind == "solar":
        place = document["solar"]
        return kind, one(kind, event=place["event"], latitude=place["lat"], longitude=place["lon"])
    return kind, one(kind, clocked_time=schedule.value)


def headers_of(text: str | None) -> dict[str, Any]:
    """Return a row's headers; what is not an object of JSON counts as none."""
    try:
        headers = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return headers if isinstance(headers, dict) else {}


def agreed_in(text: str | None) -> Agreed | None:
    """Return what a row's headers remember."""
    return Agreed.from_text(headers_of(text).get(REMEMBERED))


def remembering(text: str | None, agreed: Agreed) -> str:
    """Return a row's headers with what was agreed."""
    return json.dumps({**headers_of(text), REMEMBERED: agreed.text})


def row_by_task(rows: Iterable[Any]) -> dict[str, Any]:
    """Return the row of each task: the one named after its task, else the first of `rows`, which are the oldest first."""
    found: dict[str, Any] = {}
    for row in rows:
        if row.task not in found or row.name == row.task:
            found[row.task] = row
    return found


class ColumnRows(Rows):
    """The rows of a `DatabaseScheduler`, which makes an entry of each row, and all entries anew when a row changed."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    @abstractmethod
    def save_sent(self, entry: Any, fields: Collection[str] = ()) -> None:
        """Save that the task of an entry was sent, and no other column of its row, which a user may be editing.

        The scheduler's own save moves `date_changed` too, which decides between two changes. Signals are sent as it sends
        them. `fields`: columns beside those that the entry always saves.
        """

    def align(self, schedules: Mapping[str, ProcessSchedule]) -> None:
        """Set a class of entries that use these schedules; entries of other tasks do not change."""
        scheduler, save_sent = self._scheduler, self.save_sent

        class AlignedEntry(scheduler.Entry):  # type: ignore[name-defined]
            def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
                scheduled = model.task in schedules
                # The scheduler makes the next entry from this one without an app; it would take the current app.
                super().__init__(model, *args, **({"app": scheduler.app, **kwargs} if scheduled else kwargs))
                if scheduled:
                    self.options["headers"].pop(REMEMBERED, None)
                    self.schedule = schedules[self.task]

            def save(self, *args: Any, **kwargs: Any) -> None:
                if self.task in schedules:
                    save_sent(self, *args, **kwargs)
                else:
                    super().save(*args, **kwargs)

        scheduler.Entry = AlignedEntry
        entries = scheduler.schedule
        entries.clear()
        entries.update(scheduler.all_as_schedule())

    def as_stored(self, schedule: Frequency) -> Frequency:
        """Return a schedule as the columns can keep it."""
        return as_stored(schedule)

    def as_read(self, row: Any, schedule: Frequency, changed_at: datetime | None) -> Row:
        """Return a row as read. One that has ended means that no slot comes any more, and is no pause."""
        ends = row.one_off or row.expires is not None
        if ends and not row.enabled:
            schedule = once(slots.NEVER)
        return Row(row, schedule, row.enabled, agreed_in(row.headers), changed_at, ends=ends)

    def new(self, scheduled: ScheduledProcess, schedule: Frequency, *, enabled: bool) -> dict[str, Any]:
        """Return the columns of a new row, without those of its schedule."""
        return {
            "name": scheduled.task,
            "task": scheduled.task,
            "enabled": enabled,
            "description": f"The schedule of the process {scheduled.process.name}.",
            "headers": remembering(None, Agreed(self.as_stored(schedule).text, schedule.text, not enabled)),
            **{key: scheduled.options.get(key) for key in ("queue", "exchange", "routing_key", "priority")},
        }
