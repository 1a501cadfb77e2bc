"""Which slot an instant belongs to, when the next one begins, and when a slot is due. Pure functions of time.

An occurrence rule is an `Interval`, a `Calendar`, `Solar` or `Once`. Each has `latest(t)`, the last occurrence at or before
`t`, and `following(t)`, the first one after it. Must not read a clock, and must not know Celery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock_time
from functools import lru_cache

from celery_process.exceptions import InvalidValue
from celery_process.instants import from_us, to_us
from celery_process.schedule import zones

SECOND = timedelta(seconds=1)
REPUBLISH_WITHIN = timedelta(seconds=30)
"""An early trigger is published again only within this time: on Redis longer countdowns may be delivered twice."""
_MAX_DAYS = 366 * 41
"""Farthest search of a calendar: 29 February on a fixed weekday is 28 years apart, and 40 around 2100."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `period`, counted from 1970-01-01T00:00Z, whatever the time zone (B11)."""

    period: timedelta

    def latest(self, instant: datetime) -> datetime:
        """Return the slot of `instant`: floor(instant / period) · period."""
        every = self.period // timedelta(microseconds=1)
        return from_us(to_us(instant) // every * every)

    def following(self, instant: datetime) -> datetime:
        """Return the first slot after `instant`."""
        return self.latest(instant) + self.period


@dataclass(frozen=True, slots=True)
class Calendar:
    """Minutes of a calendar in a time zone, as a crontab names them; `weekdays` count from Sunday = 0.

    When clocks change, slots come as cron starts jobs. A time that comes twice has two slots if the rule has a star in its
    minutes or hours, else one, the first. A time that is skipped has its slot at the end of the gap; with a star in the
    hours it has none, since the next one comes soon. A day that a zone skips has no slot.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: tzinfo = UTC
    every_minute: bool = False
    every_hour: bool = False

    def latest(self, instant: datetime) -> datetime:
        """Return the last occurrence at or before `instant`."""
        clock, found = zones.local_time(instant, self.zone), None
        for time in self._times(_shifted(clock, self._turned_back(instant)), -1):
            found = max((at for at in (found, *self._instants(time)) if at is not None and at <= instant), default=None)
            if found is not None and time <= clock:
                break
        return self._found_or_raise(found)

    def following(self, instant: datetime) -> datetime:
        """Return the first occurrence after `instant`."""
        clock, found = zones.local_time(instant, self.zone), None
        for time in self._times(_shifted(clock, -self._turned_back(instant)), 1):
            found = min((at for at in (found, *self._instants(time)) if at is not None and at > instant), default=None)
            if found is not None and time > clock:
                break
        return self._found_or_raise(found)

    def _turned_back(self, instant: datetime) -> timedelta:
        """Return by how much the clock is turned back near `instant`: that span of time comes twice."""
        before, after = zones.around(instant, self.zone)
        return max(before - after, timedelta(0))

    def _times(self, start: datetime, step: int) -> Iterator[datetime]:
        """Yield the local times of the rule from the hour of `start`, forward or backward by `step`."""
        hours, minutes = sorted(self.hours)[::step], sorted(self.minutes)[::step]
        for day in self._days(start.date(), step):
            for hour in hours:
                if day != start.date() or (hour - start.hour) * step >= 0:
                    for minute in minutes:
                        yield datetime.combine(day, clock_time(hour, minute))

    def _days(self, start: date, step: int) -> Iterator[date]:
        for offset in range(_MAX_DAYS):
            try:
                day = start + timedelta(days=offset * step)
            except OverflowError:
                return
            if day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                yield day

    def _instants(self, time: datetime) -> tuple[datetime, ...]:
        found = zones.instants(time, self.zone)
        if found:
            return found if self.every_minute or self.every_hour else found[:1]
        end = None if self.every_hour else zones.end_of_gap(time, self.zone)
        return () if end is None else (end,)

    def _found_or_raise(self, found: datetime | None) -> datetime:
        if found is None:
            raise InvalidValue(
                f"{self} names no day that comes; correct its days and months.", argument="schedule", value=self
            )
        return found


def _shifted(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        return time


@dataclass(frozen=True, slots=True)
class Solar:
    """An event of the sun at a place, named as in Celery's `solar`; needs the package `ephem`, as Celery does.

    Each day (UTC) is computed by itself, so that every beat and worker gets the same second. A day without the event has
    no slot. If the event is a little earlier each day, a day may have two, just after midnight and just before the next.
    """

    event: str
    latitude: float
    longitude: float

    def latest(self, instant: datetime) -> datetime:
        """Return the last event at or before `instant`."""
        return self._first(instant, -1, lambda day: max((found for found in day if found <= instant), default=None))

    def following(self, instant: datetime) -> datetime:
        """Return the first event after `instant`."""
        return self._first(instant, 1, lambda day: min((found for found in day if found > instant), default=None))

    def _first(self, instant: datetime, step: int, choose: Callable[[tuple[datetime, ...]], datetime | None]) -> datetime:
        start = instant.astimezone(UTC).date()
        for offset in range(_MAX_SOLAR_DAYS):
            found = choose(_sun(self.event, self.latitude, self.longitude, start + timedelta(days=offset * step)))
            if found is not None:
                return found
        raise InvalidValue(f"{self} does not come within a year; choose another event.", argument="schedule", value=self)


@dataclass(frozen=True, slots=True)
class Once:
    """One instant. The slot before it is the beginning of 1970, the one after it is in the year 9999."""

    at: datetime

    def latest(self, instant: datetime) -> datetime:
        """Return `at` from then on, else the beginning of 1970."""
        return self.at if instant >= self.at else _BEGINNING

    def following(self, instant: datetime) -> datetime:
        """Return `at` before it, else `NEVER`."""
        return self.at if instant < self.at else NEVER


Occurrences = Interval | Calendar | Solar | Once

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""An instant that is never reached."""
_MAX_SOLAR_DAYS = 400
"""Farthest search: where the sun does not rise in winter or set in summer, an event is less than a year away."""
_HORIZONS = {"astronomical": "-18", "nautical": "-12", "civil": "-6"}
"""Degrees of the sun's centre below the horizon at dawn and dusk; sunrise and sunset are -34 minutes of its upper edge."""


@lru_cache(maxsize=4096)
def _sun(event: str, latitude: float, longitude: float, day: date) -> tuple[datetime, ...]:
    """Return when an event happens on a day (UTC), to the second."""
    import ephem  # noqa: PLC0415 - an optional package

    kind, _, twilight = event.partition("_")
    place = ephem.Observer()
    place.lat, place.lon, place.elevation, place.pressure = str(latitude), str(longitude), 0, 0
    place.horizon = _HORIZONS.get(twilight, "0" if kind == "solar" else "-0:34")
    sun, start = ephem.Sun(), datetime.combine(day, clock_time(0))
    events: list[datetime] = []
    while True:
        try:
            if kind == "solar":
                found = place.next_transit(sun, start=start)
            else:
                find = place.next_rising if kind in ("dawn", "sunrise") else place.next_setting
                found = find(sun, start=start, use_center=twilight in _HORIZONS)
        except ephem.CircumpolarError:
            return tuple(events)
        instant: datetime = found.datetime()
        if instant.date() != day:
            return tuple(events)
        events.append(instant.replace(microsecond=0, tzinfo=UTC))
        start = instant + timedelta(minutes=1)


def period(occurrences: Occurrences, instant: datetime) -> timedelta:
    """Return the time from the slot of `instant` to the next one."""
    return occurrences.following(instant) - occurrences.latest(instant)


def jitter_of(process: str, slot: datetime, jitter: timedelta) -> timedelta:
    """Return how much later than its slot a run is due: the same for every beat, spread evenly below `jitter` (B16)."""
    if not jitter:
        return timedelta(0)
    digest = hashlib.sha256(f"{process}\0{to_us(slot)}".encode()).digest()
    return jitter * (int.from_bytes(digest[:8]) / 2**64)


def comes_back(due_in: timedelta, whole: timedelta) -> bool:
    """Whether an early trigger publishes itself once more: at most 30 s and half the period away."""
    return timedelta(0) < due_in <= min(REPUBLISH_WITHIN, whole / 2)


def clamp(schedule: timedelta, minimum: timedelta) -> timedelta:
    """Return the schedule frequency, at least `minimum`; there is no upper clamp (B2)."""
    return max(schedule, minimum)


def progress_of(schedule: timedelta, minimum: timedelta | None) -> timedelta:
    """Return how often progress is written: schedule/10, at most a third of a minimum that was set (B2).

    Without a minimum it is between 1 and 30 seconds, so that a run with a long schedule has progress too.
    """
    if minimum is not None:
        return min(schedule / 10, minimum / 3)
    return min(max(schedule / 10, SECOND), 30 * SECOND)
