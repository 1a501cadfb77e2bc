"""Slots of a calendar: hours of a day in a time zone, over the changes of its clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from celery_process.exceptions import InvalidValue
from celery_process.instants import from_us, to_us
from celery_process.schedule.slots import Calendar, period

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # at midnight
    "America/Nuuk",  # an hour before midnight, so that the gap ends on the next day
    "Africa/Casablanca",  # twice a year the other way round
    "Antarctica/Casey",  # three hours
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # which left out a day
]


def calendar(
    *,
    minutes=range(60),
    hours=range(24),
    days=range(1, 32),
    months=range(1, 13),
    weekdays=range(7),
    zone="UTC",
    every_minute=False,
    every_hour=False,
) -> Calendar:
    fields = [frozenset(numbers) for numbers in (minutes, hours, days, months, weekdays)]
    return Calendar(*fields, ZoneInfo(zone), every_minute=every_minute, every_hour=every_hour)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def some(low: int, high: int):
    return st.sets(st.integers(low, high), min_size=1, max_size=4)


def changes(zone: str) -> list[datetime]:
    """Return when the clocks of a zone change, to the hour."""

    def differ(start: datetime, step: timedelta) -> bool:
        return (start + step).astimezone(ZoneInfo(zone)).utcoffset() != start.astimezone(ZoneInfo(zone)).utcoffset()

    days = [utc(2009, 1, 1) + number * DAY for number in range(18 * 365)]
    hours = [day + number * HOUR for day in days if differ(day, DAY) for number in range(24)]
    return [hour + HOUR for hour in hours if differ(hour, HOUR)]


CHANGES = {zone: changes(zone) for zone in ZONES}
rules = st.builds(
    calendar,
    minutes=some(0, 59),
    hours=some(0, 23),
    days=some(1, 28),
    months=some(1, 12),
    zone=st.sampled_from(ZONES),
    every_minute=st.booleans(),
    every_hour=st.booleans(),
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

    @given(st.data(), st.sampled_from([zone for zone in ZONES if CHANGES[zone]]))
    def test_neighbours_where_the_clocks_change(self, data: st.DataObject, zone: str) -> None:
        """Around a change of the clocks following and latest tell the same slots, in the order of time."""
        change = data.draw(st.sampled_from(CHANGES[zone]))
        some_hours = st.sets(st.integers(0, 23), min_size=1)
        rule = calendar(
            minutes=data.draw(some(0, 59)),
            hours=data.draw(some_hours),
            zone=zone,
            every_minute=data.draw(st.booleans()),
            every_hour=data.draw(st.booleans()),
        )
        at = change + data.draw(st.integers(-1500, 1500)) * MINUTE
        found = [rule.following(at)]
        for _ in range(20):
            found.append(rule.following(found[-1]))
            assert found[-1] > found[-2]
            assert rule.latest(found[-1] - timedelta(microseconds=1)) == found[-2]
            assert rule.latest(found[-1]) == found[-1]
        assert rule.latest(at) <= at < found[0]
        assert rule.following(rule.latest(at)) == found[0]

    @given(rules, instants)
    def test_names_its_local_time(self, rule: Calendar, instant: datetime) -> None:
        """A slot that is not the end of a gap has a minute, an hour, a day and a month that the rule names."""
        slot = rule.latest(instant)
        local = slot.astimezone(rule.zone)
        assume((slot - timedelta(microseconds=1)).astimezone(rule.zone).utcoffset() == local.utcoffset())
        assert local.minute in rule.minutes
        assert local.hour in rule.hours
        assert local.day in rule.days
        assert local.month in rule.months

    @pytest.mark.parametrize("stars", ["", "minute", "hour"])
    @pytest.mark.parametrize("zone", [zone for zone in ZONES if CHANGES[zone]])
    def test_against_counting(self, zone: str, stars: str) -> None:
        """Around the changes of the clocks the slots are those that cron, looking minute by minute, would start."""
        rule = calendar(
            minutes=[0, 7, 30], hours=[0, 1, 2, 3, 23], zone=zone, every_minute=stars == "minute", every_hour=stars == "hour"
        )
        for change in CHANGES[zone][-6:]:
            start = change - DAY
            counted = cron(rule, start, change + DAY)
            found = [rule.following(start - timedelta(microseconds=1))]
            while found[-1] < counted[-1]:
                found.append(rule.following(found[-1]))
            assert found == counted


def cron(rule: Calendar, start: datetime, end: datetime) -> list[datetime]:
    """Return when cron would start a job: it looks at the clock every minute."""
    counted, seen, last = [], set(), None
    instant = start - DAY  # a local time that comes twice may have come a day before
    while instant < end:
        local = instant.astimezone(rule.zone).replace(tzinfo=None)
        skipped = [] if last is None or local - last >= DAY else range(1, max((local - last) // MINUTE, 1))
        due = names(rule, local) and (rule.every_minute or rule.every_hour or local not in seen)
        if due or (not rule.every_hour and any(names(rule, last + minute * MINUTE) for minute in skipped)):
            counted.append(instant)
        seen.add(local)
        last, instant = local, instant + MINUTE
    return [instant for instant in counted if instant >= start]


def names(rule: Calendar, local: datetime) -> bool:
    return local.minute in rule.minutes and local.hour in rule.hours


class TestClocksGoForward:
    @pytest.mark.parametrize(
        ("zone", "eve", "gap_ends", "after"),
        [
            ("Europe/Berlin", utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)),
            ("America/New_York", utc(2026, 3, 7, 7, 30), utc(2026, 3, 8, 7), utc(2026, 3, 9, 6, 30)),
        ],
    )
    def test_time_that_does_not_exist(self, zone: str, eve: datetime, gap_ends: datetime, after: datetime) -> None:
        """Half past two has its slot right after the gap on the day that skips it."""
        rule = calendar(hours=[2], minutes=[30], zone=zone)
        assert rule.latest(eve) == eve
        assert rule.following(eve) == gap_ends
        assert rule.following(gap_ends) == after
        assert rule.latest(after - MINUTE) == gap_ends

    def test_several_times_that_do_not_exist(self) -> None:
        """All times in one gap have one slot, and share it with a time at its end."""
        rule = calendar(hours=[2, 3], minutes=[0, 15, 30], zone="Europe/Berlin")
        assert rule.following(utc(2026, 3, 29, 0)) == utc(2026, 3, 29, 1)
        assert rule.following(utc(2026, 3, 29, 1)) == utc(2026, 3, 29, 1, 15)

    def test_midnight_that_does_not_exist(self) -> None:
        """Midnight in Havana comes at one on that day."""
        rule = calendar(hours=[0], minutes=[0], zone="America/Havana")
        assert rule.following(utc(2026, 3, 8, 4)) == utc(2026, 3, 8, 5)
        assert utc(2026, 3, 8, 5).astimezone(ZoneInfo("America/Havana")).hour == 1

    def test_gap_over_midnight(self) -> None:
        """A time late on Saturday in a gap that ends on Sunday belongs to Saturday's rule."""
        rule = calendar(hours=[23], minutes=[30], weekdays=[6], zone="America/Nuuk")
        assert rule.following(utc(2026, 3, 28, 12)).astimezone(ZoneInfo("America/Nuuk")) == datetime(
            2026, 3, 29, 0, 0, tzinfo=ZoneInfo("America/Nuuk")
        )

    def test_hour_before_and_after(self) -> None:
        """The hours around the gap are next to each other, and what repeats has no slot of its own for the gap."""
        rule = calendar(minutes=[5], zone="Europe/Berlin", every_hour=True)
        assert period(rule, utc(2026, 3, 29, 0, 5)) == HOUR
        assert rule.following(utc(2026, 3, 29, 0, 5)).astimezone(ZoneInfo("Europe/Berlin")).hour == 3


class TestClocksGoBack:
    @pytest.mark.parametrize(
        ("zone", "hour", "first", "after"),
        [
            ("Europe/Berlin", 2, utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)),
            ("America/New_York", 1, utc(2026, 11, 1, 5, 30), utc(2026, 11, 2, 6, 30)),
            ("America/Havana", 0, utc(2026, 11, 1, 4, 30), utc(2026, 11, 2, 5, 30)),
        ],
    )
    def test_time_that_comes_twice(self, zone: str, hour: int, first: datetime, after: datetime) -> None:
        """A named time that comes twice has its slot the first time only."""
        rule = calendar(hours=[hour], minutes=[30], zone=zone)
        assert rule.following(first - MINUTE) == first
        assert rule.latest(first + HOUR) == first
        assert rule.following(first) == after

    @pytest.mark.parametrize(("every", "minutes"), [(60, [0]), (5, range(0, 60, 5))])
    @pytest.mark.parametrize("day", [utc(2026, 10, 24, 20), utc(2026, 3, 28, 20), utc(2026, 10, 31, 20)])
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Havana"])
    def test_what_repeats_never_pauses(self, every: int, minutes: list[int], day: datetime, zone: str) -> None:
        """What runs every hour or every five minutes does so through any change of the clocks."""
        rule, at = calendar(minutes=minutes, zone=zone, every_hour=True), day
        for _ in range(24 * 60 // every):
            assert rule.following(at) == at + every * MINUTE
            assert rule.latest(at + every * MINUTE - timedelta(microseconds=1)) == at
            at += every * MINUTE

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
