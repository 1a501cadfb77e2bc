"""Slots of a calendar: hours of a day in a time zone, over the changes of its clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_process.exceptions import InvalidValue
from celery_process.slots import Calendar, period
from celery_process.values import from_us, to_us

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]


def calendar(
    *, minutes=range(60), hours=range(24), days=range(1, 32), months=range(1, 13), weekdays=range(7), zone="UTC"
) -> Calendar:
    return Calendar(frozenset(minutes), frozenset(hours), frozenset(days), frozenset(months), frozenset(weekdays), zone)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def some(low: int, high: int):
    return st.sets(st.integers(low, high), min_size=1, max_size=4)


rules = st.builds(
    calendar, minutes=some(0, 59), hours=some(0, 23), days=some(1, 28), months=some(1, 12), zone=st.sampled_from(ZONES)
)
instants = st.integers(to_us(datetime(1990, 1, 1, tzinfo=UTC)), to_us(datetime(2090, 1, 1, tzinfo=UTC))).map(from_us)


class TestAnyCalendar:
    @given(rules, instants)
    def test_slot_holds_its_instant(self, rule: Calendar, instant: datetime) -> None:
        """An instant lies in its slot: at or after its begin, before the next one."""
        assert rule.latest(instant) <= instant < rule.following(instant)

    @given(rules, instants)
    def test_neighbours(self, rule: Calendar, instant: datetime) -> None:
        """Between a slot and the next there is none, seen from either side."""
        latest, following = rule.latest(instant), rule.following(instant)
        assert rule.latest(latest) == latest
        assert rule.latest(following) == following
        assert rule.following(latest) == following
        assert rule.latest(following - timedelta(microseconds=1)) == latest

    @given(rules, instants)
    def test_names_its_local_time(self, rule: Calendar, instant: datetime) -> None:
        """A slot has a minute, an hour, a day and a month that the rule names."""
        local = rule.latest(instant).astimezone(ZoneInfo(rule.zone))
        assert local.minute in rule.minutes
        assert local.hour in rule.hours
        assert local.day in rule.days
        assert local.month in rule.months

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize(
        "start", [utc(2026, 3, 7, 20), utc(2026, 3, 28, 20), utc(2026, 10, 24, 20), utc(2026, 10, 31, 20)]
    )
    def test_against_counting(self, zone: str, start: datetime) -> None:
        """Around the changes of the clocks the slots are those that counting minute by minute finds."""
        rule = calendar(minutes=[0, 30], zone=zone)
        seen: set[datetime] = set()
        counted = []
        for minute in range(-24 * 60, 36 * 60):  # a local time that comes twice may have come a day before
            instant = start + minute * MINUTE
            local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            if local.minute in rule.minutes and local not in seen:
                counted.append(instant)
            seen.add(local)
        found = [rule.following(start - MINUTE)]
        while found[-1] < counted[-1]:
            found.append(rule.following(found[-1]))
        assert found == [instant for instant in counted if instant >= start]


class TestClocksGoForward:
    @pytest.mark.parametrize(
        ("zone", "eve", "after"),
        [
            ("Europe/Berlin", utc(2026, 3, 28, 1, 30), utc(2026, 3, 30, 0, 30)),
            ("America/New_York", utc(2026, 3, 7, 7, 30), utc(2026, 3, 9, 6, 30)),
        ],
    )
    def test_time_that_does_not_exist(self, zone: str, eve: datetime, after: datetime) -> None:
        """Half past two has no slot on the day that skips it."""
        rule = calendar(hours=[2], minutes=[30], zone=zone)
        assert rule.latest(eve) == eve
        assert rule.following(eve) == after

    def test_hour_before_and_after(self) -> None:
        """The hours around the gap are next to each other."""
        rule = calendar(minutes=[0], zone="Europe/Berlin")
        assert period(rule, utc(2026, 3, 29, 0)) == HOUR
        assert rule.following(utc(2026, 3, 29, 0)).astimezone(ZoneInfo("Europe/Berlin")).hour == 3


class TestClocksGoBack:
    @pytest.mark.parametrize(
        ("zone", "hour", "first", "after"),
        [
            ("Europe/Berlin", 2, utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)),
            ("America/New_York", 1, utc(2026, 11, 1, 5, 30), utc(2026, 11, 2, 6, 30)),
        ],
    )
    def test_time_that_comes_twice(self, zone: str, hour: int, first: datetime, after: datetime) -> None:
        """A time that comes twice has its slot the first time only."""
        rule = calendar(hours=[hour], minutes=[30], zone=zone)
        assert rule.following(first - MINUTE) == first
        assert rule.latest(first + HOUR) == first
        assert rule.following(first) == after

    def test_day_of_25_hours(self) -> None:
        """A daily slot comes once on a day of 25 hours."""
        rule = calendar(hours=[12], minutes=[0], zone="Europe/Berlin")
        assert period(rule, utc(2026, 10, 24, 12)) == DAY + HOUR
        assert period(rule, utc(2026, 3, 28, 12)) == DAY - HOUR


class TestDays:
    def test_leap_day(self) -> None:
        """29 February comes every four years, and after 2096 in 2104."""
        rule = calendar(minutes=[0], hours=[0], days=[29], months=[2])
        assert rule.latest(utc(2026, 1, 1)) == utc(2024, 2, 29)
        assert rule.following(utc(2026, 1, 1)) == utc(2028, 2, 29)
        assert rule.following(utc(2096, 3, 1)) == utc(2104, 2, 29)

    def test_leap_day_on_a_weekday(self) -> None:
        """29 February on a Thursday comes every 28 years, and around 2100 after 40."""
        rule = calendar(minutes=[0], hours=[0], days=[29], months=[2], weekdays=[4])
        assert rule.latest(utc(2026, 1, 1)) == utc(2024, 2, 29)
        assert rule.following(utc(2026, 1, 1)) == utc(2052, 2, 29)
        assert rule.following(utc(2080, 3, 1)) == utc(2120, 2, 29)

    def test_last_days(self) -> None:
        """The 31st skips the short months."""
        rule = calendar(minutes=[0], hours=[0], days=[31])
        assert rule.following(utc(2026, 1, 31)) == utc(2026, 3, 31)

    def test_weekdays_count_from_sunday(self) -> None:
        """Weekday 0 is Sunday."""
        rule = calendar(minutes=[0], hours=[0], weekdays=[0])
        assert rule.following(utc(2026, 3, 2)) == utc(2026, 3, 8)

    def test_local_day(self) -> None:
        """A day is a day of the zone, not of UTC."""
        rule = calendar(minutes=[0], hours=[0], days=[1], zone="Europe/Berlin")
        assert rule.following(utc(2026, 3, 15)) == utc(2026, 3, 31, 22)

    def test_day_that_a_zone_left_out(self) -> None:
        """30 December 2011 did not exist in Apia, so it has no slot."""
        rule = calendar(minutes=[0], hours=[12], zone="Pacific/Apia")
        before = rule.latest(utc(2011, 12, 30, 5))
        assert before.astimezone(ZoneInfo("Pacific/Apia")).day == 29
        assert rule.following(before).astimezone(ZoneInfo("Pacific/Apia")).day == 31

    def test_never(self) -> None:
        """A rule without a day that comes is a typed error."""
        with pytest.raises(InvalidValue):
            calendar(days=[31], months=[2]).latest(utc(2026, 3, 2))
        with pytest.raises(InvalidValue):
            calendar(days=[31], months=[2]).following(utc(2026, 3, 2))

    def test_end_of_time(self) -> None:
        """On the last day of the calendar there is a latest slot, and none that follows."""
        rule, last = calendar(minutes=[0], hours=[6]), utc(9999, 12, 31, 12)
        assert rule.latest(last) == utc(9999, 12, 31, 6)
        with pytest.raises(InvalidValue):
            rule.following(last)

    def test_begin_of_time(self) -> None:
        """On the first day of the calendar there is a slot that follows, and none before."""
        rule, first = calendar(minutes=[0], hours=[6]), utc(1, 1, 1)
        assert rule.following(first) == utc(1, 1, 1, 6)
        with pytest.raises(InvalidValue):
            rule.latest(first)
