"""What the argument `schedule` may be, how the store writes it down, and which slots it gives.

A schedule is seconds, a `timedelta`, or Celery's `schedule`, `crontab` or `solar`; a row of a scheduler may also say `once`.
It becomes a `Frequency`: the value that people read, the occurrence rule of `slots`, and a JSON text that is the same
wherever the same schedule is meant.
"""

from __future__ import annotations

import json
import math
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import tzlocal
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule, solar

from celery_process import slots
from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.slots import Calendar, Interval, Occurrences, Once, Solar
from celery_process.values import check_instant

LONGEST = timedelta(days=36_525)
_FIELDS = {
    "minute": range(60),
    "hour": range(24),
    "day_of_week": range(7),
    "day_of_month": range(1, 32),
    "month_of_year": range(1, 13),
}
"""A crontab's fields and all that each may hold; Celery gives the parsed sets as attributes of these names."""
_SPELLED = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
"""The fields in the order in which people write them."""


@dataclass(frozen=True, slots=True)
class Frequency:
    """A schedule in its three forms."""

    value: Any
    occurrences: Occurrences
    text: str

    def celery_schedule(self) -> BaseSchedule:
        """Return the schedule as Celery has it."""
        return schedule(self.value) if isinstance(self.value, timedelta) else self.value


def zone_of(app: Celery) -> str:
    """Return the name of the time zone that the app's crontabs are meant in."""
    if app.conf.timezone:
        return str(app.conf.timezone)
    return "UTC" if app.conf.enable_utc else str(tzlocal.get_localzone_name())


def frequency(value: object, *, minimum: timedelta, zone: str = "UTC", own_zone: str | None = None) -> Frequency:
    """Return the frequency that a schedule argument means; an interval is at least `minimum` (B2).

    A crontab is meant in `zone`, which is the app's; with `own_zone`, in that one, which its text then names.
    Raises `InvalidType` for what is not a schedule and `InvalidValue` for one that is not above 0 or too long.
    """
    if isinstance(value, crontab):
        if not any(day <= monthrange(2000, month)[1] for month in value.month_of_year for day in value.day_of_month):
            raise InvalidValue(
                f"schedule names a day that never comes, {shown(value)}; correct its day_of_month and month_of_year.",
                argument="schedule",
                value=value,
            )
        return _crontab(value, zone, own_zone if own_zone != zone else None)
    if isinstance(value, solar):
        event, latitude, longitude = value.event, float(value.lat), float(value.lon)
        text = json.dumps({"solar": {"event": event, "lat": latitude, "lon": longitude}})
        return Frequency(value, Solar(event, latitude, longitude), text)
    if isinstance(value, schedule):
        value = value.run_every
    every = slots.clamp(seconds(value, argument="schedule", above_zero=True), minimum)
    return Frequency(every, Interval(every), json.dumps({"interval": every.total_seconds()}))


def once(instant: datetime) -> Frequency:
    """Return the frequency of one instant, which a clocked row says; refuses an instant without a time zone."""
    at = check_instant(instant, argument="schedule").astimezone(UTC)
    return Frequency(at, Once(at), json.dumps({"clocked": at.isoformat()}))


def seconds(value: object, *, argument: str, above_zero: bool = False) -> timedelta:
    """Return seconds or a timedelta as a timedelta; refuses negative ones, NaN, and more than a hundred years."""
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        wanted = (
            "seconds, a timedelta, or celery.schedules.schedule, crontab or solar"
            if argument == "schedule"
            else "seconds or a timedelta"
        )
        raise InvalidType(f"{argument} is {wanted}, not {value!r:.80}.", argument=argument, value=value)
    total = value.total_seconds() if isinstance(value, timedelta) else value
    if not math.isfinite(total) or total < 0 or (above_zero and total < 1e-6) or total > LONGEST.total_seconds():
        least = "more than 0" if above_zero else "0 or more"
        raise InvalidValue(
            f"{argument} is {least} and at most a hundred years, not {value!r:.80}.", argument=argument, value=value
        )
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def from_text(text: str, *, minimum: timedelta, zone: str = "UTC") -> Frequency:
    """Return the frequency that `Frequency.text` wrote down."""
    document = json.loads(text)
    if "crontab" in document:
        fields = dict(document["crontab"])
        own_zone = fields.pop("zone", None)
        return _crontab(crontab(**fields), zone, own_zone)
    if "solar" in document:
        return frequency(solar(**document["solar"]), minimum=minimum)
    if "clocked" in document:
        return once(datetime.fromisoformat(document["clocked"]))
    return frequency(document["interval"], minimum=minimum, zone=zone)


def _crontab(value: Any, zone: str, own_zone: str | None = None) -> Frequency:
    parsed = {name: frozenset(getattr(value, name)) for name in _FIELDS}
    rule = Calendar(
        minutes=parsed["minute"],
        hours=parsed["hour"],
        days=parsed["day_of_month"],
        months=parsed["month_of_year"],
        weekdays=parsed["day_of_week"],
        zone=own_zone or zone,
    )
    fields = {name: _spec(parsed[name], full) for name, full in _FIELDS.items()}
    text = json.dumps({"crontab": fields if own_zone is None else {**fields, "zone": own_zone}})
    return Frequency(value, rule, text)


def _spec(chosen: frozenset[int], full: range) -> str:
    if chosen == set(full):
        return "*"
    for step in range(2, len(full)):
        if chosen == set(full[::step]) and len(chosen) > 1:
            return f"*/{step}"
    return ",".join(str(number) for number in sorted(chosen))


def read(text: str) -> float | crontab:
    """Return the schedule that a person wrote: seconds, or a crontab's five fields in their usual order."""
    fields = text.split()
    if len(fields) == len(_SPELLED):
        try:
            return crontab(**dict(zip(_SPELLED, fields, strict=True)))
        except Exception as error:  # Celery raises several, ValueError and its own ParseException among them
            raise InvalidValue(
                f"{text!r:.80} is no crontab: {error}; give five fields, m h dom mon dow.", argument="schedule", value=text
            ) from error
    try:
        return float(text)
    except ValueError:
        raise InvalidValue(
            f"{text!r:.80} is neither seconds nor five crontab fields, such as '*/10 * * * *'.",
            argument="schedule",
            value=text,
        ) from None


def spelled(value: object) -> str:
    """Return a schedule as `read` takes it; an empty text for one that a person cannot write so."""
    if isinstance(value, crontab):
        return " ".join(_spec(frozenset(getattr(value, name)), _FIELDS[name]) for name in _SPELLED)
    return f"{value.total_seconds():.15g}" if isinstance(value, timedelta) else ""


def shown(value: object) -> str:
    """Return a schedule as people read it: `1:00:00`, or a crontab's five fields in their usual order."""
    if isinstance(value, crontab):
        return f"crontab {spelled(value)}"
    if isinstance(value, solar):
        return f"solar {value.event} at {value.lat}, {value.lon}"
    return "on demand" if value is None else str(value)
