"""What the argument `schedule` may be, as what text it is stored, and which slots it has.

A schedule is seconds, a `timedelta`, or Celery's `schedule`, `crontab` or `solar`; a row of a scheduler may also be `once`.
It becomes a `Frequency`: the value that people read, the occurrence rule of `slots`, and a JSON text that is equal for
equal schedules.
"""

from __future__ import annotations

import json
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import tzlocal
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule, solar

from celery_process.checks import check_instant
from celery_process.exceptions import ConfigurationError, CorruptData, InvalidType, InvalidValue, ProcessError, short_repr
from celery_process.schedule import slots
from celery_process.schedule.slots import Calendar, Interval, Occurrences, Once, Solar
from celery_process.schedule.zones import SYSTEM, ClockIn, name_of, zone_named
from celery_process.text.durations import exact
from celery_process.text.sentences import Sentence
from celery_process.text.sentences import marked as _

LONGEST = timedelta(days=36_525)
_FIELDS = {
    "minute": range(60),
    "hour": range(24),
    "day_of_week": range(7),
    "day_of_month": range(1, 32),
    "month_of_year": range(1, 13),
}
"""The fields of a crontab and all values of each; Celery has the parsed sets as attributes of these names."""
_PACKAGES = ("celery", "django_celery_beat", "sqlalchemy_celery_beat", "celery_process")
"""The packages whose classes of schedules depend on their fields alone."""
_CRON_ORDER = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
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


def zone_of(app: Celery) -> tzinfo:
    """Return the time zone of the app's crontabs: any value that Celery takes as `timezone`, or the system's."""
    timezone = app.conf.timezone
    if isinstance(timezone, tzinfo):
        return timezone
    if timezone:
        try:
            return zone_named(str(timezone))
        except InvalidValue as error:
            raise ConfigurationError(f"timezone: {error}", setting="timezone", value=timezone) from error
    if app.conf.enable_utc:
        return UTC
    try:
        return tzlocal.get_localzone()
    except Exception:  # noqa: BLE001 - it knows no POSIX texts, such as TZ="EST5EDT,M3.2.0,M11.1.0", and says so in several ways
        return SYSTEM


def decides_itself(value: object) -> bool:
    """Whether a schedule is of a class of the user's, with methods that beat calls and slots cannot."""
    return isinstance(value, BaseSchedule) and type(value).__module__.partition(".")[0] not in _PACKAGES


def frequency(value: object, *, minimum: timedelta, zone: tzinfo = UTC) -> Frequency:
    """Return the frequency of a schedule argument; an interval is at least `minimum` (B2).

    A crontab is in the zone of its `nowfun`, else in `zone`, the app's; its text names the zone unless it is the app's.
    Raises `InvalidType` for a value that is no schedule, and `InvalidValue` for one that is not above 0 or too long.
    """
    if decides_itself(value):
        raise InvalidType(
            f"schedule is a {type(value).__qualname__}, a class of your own, whose methods the slots cannot call; give "
            "seconds, a timedelta, or Celery's schedule, crontab or solar, or schedule=None with a beat entry for "
            "<name>.schedule.",
            argument="schedule",
            value=value,
        )
    if isinstance(value, crontab):
        if not any(day <= monthrange(2000, month)[1] for month in value.month_of_year for day in value.day_of_month):
            raise InvalidValue(
                f"schedule names a day that never comes, {describe(value)}; correct its day_of_month and month_of_year.",
                argument="schedule",
                value=value,
            )
        return _crontab(value, zone, _zone_of_crontab(value) or zone)
    if isinstance(value, solar):
        event, latitude, longitude = value.event, float(value.lat), float(value.lon)
        text = json.dumps({"solar": {"event": event, "lat": latitude, "lon": longitude}})
        return Frequency(value, Solar(event, latitude, longitude), text)
    if isinstance(value, schedule):
        value = value.run_every
    every = slots.clamp(seconds(value, argument="schedule", above_zero=True), minimum)
    return Frequency(every, Interval(every), json.dumps({"interval": every.total_seconds()}))


def once(instant: datetime) -> Frequency:
    """Return the frequency of one instant, as in a clocked row; refuses an instant without a time zone."""
    at = check_instant(instant, argument="schedule").astimezone(UTC)
    return Frequency(at, Once(at), json.dumps({"clocked": at.isoformat()}))


def seconds(value: object, *, argument: str, above_zero: bool = False) -> timedelta:
    """Return seconds or a timedelta as a timedelta; refuses negative ones, NaN, and more than a hundred years."""
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        allowed = (
            "seconds, a timedelta, or celery.schedules.schedule, crontab or solar"
            if argument == "schedule"
            else "seconds or a timedelta"
        )
        raise InvalidType(f"{argument} is {allowed}, not {short_repr(value)}.", argument=argument, value=value)
    total = value.total_seconds() if isinstance(value, timedelta) else value
    # Compared with, since `math.isfinite` raises for large integers; NaN is neither below nor above.
    if not (1e-6 if above_zero else 0) <= total <= LONGEST.total_seconds():
        least = "more than 0" if above_zero else "0 or more"
        raise InvalidValue(
            f"{argument} is {least} and at most a hundred years, not {short_repr(value)}.", argument=argument, value=value
        )
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def from_text(text: str, *, minimum: timedelta, zone: tzinfo = UTC) -> Frequency:
    """Return the frequency with this `Frequency.text`; raises `CorruptData` for any other text."""
    try:
        return _from_document(json.loads(text), minimum, zone)
    except ProcessError:
        raise
    except Exception as error:  # a wrong crontab raises one of no other class
        raise CorruptData(
            f"The stored schedule {short_repr(text)} cannot be read ({type(error).__name__}): something else wrote it; "
            "store another with update_settings(schedule=…)."
        ) from error


def _from_document(document: Any, minimum: timedelta, zone: tzinfo) -> Frequency:
    if "crontab" in document:
        fields = dict(document["crontab"])
        zone_name = fields.pop("zone", None)
        plain = crontab(**fields)
        # In the value too, which may come back as an argument.
        return frequency(plain if zone_name is None else in_zone(plain, zone_named(zone_name)), minimum=minimum, zone=zone)
    if "solar" in document:
        return frequency(solar(**document["solar"]), minimum=minimum)
    if "clocked" in document:
        return once(datetime.fromisoformat(document["clocked"]))
    return frequency(document["interval"], minimum=minimum, zone=zone)


def in_zone(value: Any, zone: tzinfo) -> crontab:
    """Return a crontab in a zone of its own."""
    return crontab(*_fields_of(value).values(), nowfun=ClockIn(zone))


def _fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a crontab as its user wrote them, in the order of `_FIELDS`; it pickles as these."""
    return dict(zip(_FIELDS, value.__reduce__()[1], strict=False))


def _zone_of_crontab(value: Any) -> tzinfo | None:
    """Return the zone of the times that a crontab's own `nowfun` returns; None without a `nowfun`."""
    if value.nowfun is None:
        return None
    zone = getattr(value.nowfun(), "tzinfo", None)
    if not isinstance(zone, tzinfo):
        raise InvalidValue(
            "The nowfun of schedule returns a time without a time zone; return datetime.now(zone), or leave nowfun out.",
            argument="schedule",
            value=value,
        )
    return zone


def _crontab(value: Any, zone: tzinfo, own: tzinfo) -> Frequency:
    parsed = {name: frozenset(getattr(value, name)) for name in _FIELDS}
    fields = _canonical_fields(value)
    rule = Calendar(
        minutes=parsed["minute"],
        hours=parsed["hour"],
        days=parsed["day_of_month"],
        months=parsed["month_of_year"],
        weekdays=parsed["day_of_week"],
        zone=own,
        every_minute=fields["minute"].startswith("*"),
        every_hour=fields["hour"].startswith("*"),
    )
    if own is not zone and (name_of(own) is None or name_of(own) != name_of(zone)):
        fields["zone"] = _name(own, value)
    return Frequency(value, rule, json.dumps({"crontab": fields}))


def _name(zone: tzinfo, value: object) -> str:
    name = name_of(zone)
    if name is None:
        raise InvalidValue(
            f"The time zone of schedule, {zone!r:.80}, has no name to store it by; give a zoneinfo.ZoneInfo.",
            argument="schedule",
            value=value,
        )
    return name


def _canonical_fields(value: Any) -> dict[str, str]:
    """Return the fields of a crontab as texts that are equal for equal fields, apart from stars.

    `*/30` and `0,30` name the same minutes, but differ when clocks change.
    """
    fields = _fields_of(value)
    return {name: _spec(frozenset(getattr(value, name)), full, fields[name]) for name, full in _FIELDS.items()}


def _spec(chosen: frozenset[int], full: range, written: object) -> str:
    if chosen == set(full):
        return "*"
    if isinstance(written, str) and written.startswith("*"):
        for step in range(2, len(full)):
            if chosen == set(full[::step]) and len(chosen) > 1:
                return f"*/{step}"
    return ",".join(str(number) for number in sorted(chosen))


def parse(text: str) -> float | crontab:
    """Return the schedule in a text that a person wrote: seconds, or a crontab's five fields in their usual order."""
    fields = text.split()
    if len(fields) == len(_CRON_ORDER):
        try:
            return crontab(**dict(zip(_CRON_ORDER, fields, strict=True)))
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


def to_input(value: object) -> str:
    """Return a schedule as `parse` takes it; an empty text for one that a person cannot write so."""
    if isinstance(value, crontab):
        fields = _canonical_fields(value)
        return "" if value.nowfun is not None else " ".join(fields[name] for name in _CRON_ORDER)
    return f"{value.total_seconds():.15g}" if isinstance(value, timedelta) else ""


def as_sentence(value: object) -> Sentence:
    """Return a schedule as people read it: `every 1h`, `on demand`, or a crontab's five fields in their usual order."""
    if value is None:
        return Sentence(_("on demand"))
    if isinstance(value, timedelta):
        return Sentence(_("every %(span)s"), {"span": exact(value)})
    if isinstance(value, crontab):
        fields, zone = _canonical_fields(value), _zone_of_crontab(value)
        rule = " ".join(("crontab", *(fields[name] for name in _CRON_ORDER), *(() if zone is None else (str(zone),))))
    else:
        rule = f"solar {value.event} at {value.lat}, {value.lon}" if isinstance(value, solar) else str(value)
    return Sentence("%(rule)s", {"rule": rule})


def describe(value: object) -> str:
    """Return a schedule as people read it, in English."""
    return str(as_sentence(value))
