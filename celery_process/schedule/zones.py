"""Time zones: the local time of an instant, the instants of a local time, and the name of a zone.

Only `instant.astimezone(zone)` is used, which is right in every `tzinfo`, also of pytz and dateutil;
`datetime.replace(tzinfo=zone)` is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from celery_process.exceptions import InvalidValue

DAY = timedelta(days=1)
_FIXED = re.compile(r"UTC([+-])(\d\d):(\d\d)")
_MOST_WEST, _MOST_EAST = -12, 14
"""Whole hours east of Greenwich for which the IANA database has a zone, named Etc/GMT with the sign turned round."""


class SystemZone(tzinfo):
    """The operating system's zone as the C library reads it: TZ may be a POSIX text, which has no IANA name."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Return the offset at a local time; None without one, since it changes."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002
        """Return None: it is not known how much of the offset is daylight saving."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Return the abbreviation in force at a local time."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time of an instant."""
        return dt.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)

    def __repr__(self) -> str:
        return "the zone of the operating system"


SYSTEM = SystemZone()


@dataclass(frozen=True)
class ClockIn:
    """A clock in a zone, equal to any other of that zone: the `nowfun` of a crontab."""

    zone: tzinfo

    def __call__(self) -> datetime:
        """Return the present time."""
        return datetime.now(self.zone)


def zone_named(name: str) -> tzinfo:
    """Return the zone with a name that `name_of` returned; raises `InvalidValue` for any other text."""
    if name == "UTC":
        return UTC
    fixed = _FIXED.fullmatch(name)
    if fixed is not None:
        offset = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        return timezone(-offset if fixed[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise InvalidValue(
            f"{name!r:.80} is no time zone here; give a name of the IANA database, such as 'Europe/Berlin', and install "
            "tzdata where the system has none.",
            argument="timezone",
            value=name,
        ) from error


def name_of(zone: tzinfo) -> str | None:
    """Return the name of a zone for `zone_named`; None for a zone without a name or a fixed offset."""
    for attribute in ("key", "zone"):  # of ZoneInfo, and of pytz
        name = getattr(zone, attribute, None)
        if isinstance(name, str):
            return name
    try:
        offset = zone.utcoffset(None)
    except Exception:  # noqa: BLE001 - a tzinfo is the user's code, and some do not take None
        offset = None
    return _dateutil_name(zone) if offset is None else _fixed_name(offset)


def _fixed_name(offset: timedelta) -> str | None:
    hours, rest = divmod(offset, timedelta(hours=1))
    if not rest and _MOST_WEST <= hours <= _MOST_EAST:
        return f"Etc/GMT{-hours:+d}" if hours else "UTC"
    if offset % timedelta(minutes=1):
        return None
    minutes = abs(offset) // timedelta(minutes=1)
    return f"UTC{'-' if offset < timedelta(0) else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _dateutil_name(zone: tzinfo) -> str | None:
    """Return the IANA name of a dateutil zone, which only its text has: `tzfile('/usr/share/zoneinfo/Europe/Berlin')`."""
    found = re.fullmatch(r"tzfile\('(?:.*/zoneinfo/)?([^']+)'\)", repr(zone))
    if found is None:
        return None
    try:
        return ZoneInfo(found[1]).key
    except (ValueError, OSError, LookupError):
        return None


def iana_name(zone: tzinfo) -> str:
    """Return the name of a zone in the IANA database; raises `InvalidValue` for a zone that is not in it."""
    name = name_of(zone)
    if name is None or _FIXED.fullmatch(name):
        raise InvalidValue(
            f"{zone!r:.80} has no name in the IANA database; set `timezone` to one that has, such as 'Europe/Berlin'.",
            argument="timezone",
            value=zone,
        )
    return name


def local_time(instant: datetime, zone: tzinfo) -> datetime:
    """Return what the clock of a zone shows at an instant, as a naive time."""
    return instant.astimezone(zone).replace(tzinfo=None)


def offset(instant: datetime, zone: tzinfo) -> timedelta:
    """Return how far the clock of a zone is ahead of UTC at an instant."""
    return local_time(instant, zone) - instant.astimezone(UTC).replace(tzinfo=None)


def around(instant: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    """Return the offsets a day before and a day after an instant; they differ where the clocks change in between."""
    return offset(_moved(instant, -DAY), zone), offset(_moved(instant, DAY), zone)


def instants(time: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return when the clock of a zone shows a naive time: none in a gap, two where clocks go back, in order."""
    middle = time.replace(tzinfo=UTC)  # at most 14 hours off, so that any change concerned is within a day of it
    before, after = around(middle, zone)
    if before == after:
        return (middle - before,)
    return tuple(middle - each for each in (before, after) if offset(middle - each, zone) == each)


def end_of_gap(time: datetime, zone: tzinfo) -> datetime | None:
    """Return when the gap ends that a naive time, which the clock never shows, is in; None for a whole day left out."""
    middle = time.replace(tzinfo=UTC)
    before, after = around(middle, zone)
    early, late = middle - after, middle - before
    if late - early >= DAY:
        return None
    while late - early > timedelta(seconds=1):
        half = early + (late - early) // timedelta(seconds=2) * timedelta(seconds=1)
        early, late = (half, late) if offset(half, zone) == before else (early, half)
    return late


def _moved(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:  # the first or the last day of the calendar
        return instant
