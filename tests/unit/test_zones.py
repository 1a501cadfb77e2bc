"""The zones in which crontabs are meant: the app's, whatever Celery takes as one, and a crontab's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import dateutil.tz
import pytest
import pytz
from celery import Celery
from celery.schedules import crontab, schedule
from django_celery_beat.tzcrontab import TzAwareCrontab

from celery_process import Processes
from celery_process.exceptions import ConfigurationError, InvalidType, InvalidValue
from celery_process.schedule import zones
from celery_process.schedule.frequency import describe, frequency, from_text, to_input, zone_of
from celery_process.schedule.zones import iana_name, name_of, zone_named

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WINTER, SUMMER = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)
NEW_YORK, BERLIN, TOKYO = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")


class Odd(tzinfo):
    """A zone of somebody's own, five hours and a bit ahead, which does not take None."""

    def utcoffset(self, dt: Any) -> timedelta:
        return timedelta(hours=5, minutes=dt.year - dt.year)

    def dst(self, dt: Any) -> timedelta:
        return timedelta(0)

    def tzname(self, dt: Any) -> str:
        return "odd"

    def __repr__(self) -> str:
        return "Odd()"  # an address would give the test another name in each process


def app_in(zone: Any) -> Celery:
    return Celery("zones", set_as_current=False, timezone=zone)


class TestZoneOfTheApp:
    @pytest.mark.parametrize(
        ("zone", "winter", "summer"),
        [
            (BERLIN, 8, 7),
            (pytz.timezone("Europe/Berlin"), 8, 7),
            (dateutil.tz.gettz("Europe/Berlin"), 8, 7),
            ("Europe/Berlin", 8, 7),
            ("EST5EDT", 14, 13),
            (dateutil.tz.tzstr("EST5EDT"), 14, 13),
            (timezone(timedelta(hours=2)), 7, 7),
            (pytz.FixedOffset(330), 3.5, 3.5),
            (dateutil.tz.tzoffset(None, -3600), 10, 10),
            (Odd(), 4, 4),
            (None, 9, 9),
        ],
        ids=str,
    )
    def test_whatever_celery_takes(self, zone: Any, winter: float, summer: float) -> None:
        """Nine o'clock is nine o'clock of any tzinfo, over its summer and winter, and after the text was read back."""
        app = app_in(zone)
        processes = Processes(app, backend="memory://")
        process = processes.process("p", schedule=crontab(hour=9, minute=0))(lambda work: None)
        for current in (process.default_frequency(), process.in_force(stored(process))):
            assert current is not None
            assert current.occurrences.following(WINTER) == WINTER + winter * HOUR
            assert current.occurrences.following(SUMMER) == SUMMER + summer * HOUR

    @pytest.mark.parametrize("zone", [pytz.timezone("Europe/Berlin"), dateutil.tz.gettz("Europe/Berlin")], ids=str)
    def test_changes_of_the_clocks(self, zone: tzinfo) -> None:
        """A zone of another package has the slots of the same zone of the standard library."""
        for value in (crontab(minute=0), crontab(hour=2, minute=30)):
            theirs, ours = (frequency(value, minimum=MINUTE, zone=each).occurrences for each in (zone, BERLIN))
            for night in (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)):
                for hour in range(8):
                    at = night + hour * HOUR
                    assert theirs.following(at) == ours.following(at)
                    assert theirs.latest(at) == ours.latest(at)

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", 5])
    def test_what_is_no_zone(self, zone: Any) -> None:
        """The error names the setting and what it may be."""
        with pytest.raises(ConfigurationError, match=r"timezone: .*Europe/Berlin"):
            zone_of(app_in(zone))

    @pytest.mark.parametrize(
        ("text", "winter", "summer"),
        [
            ("EST5EDT", 14, 13),
            (":America/New_York", 14, 13),
            ("EST5EDT,M3.2.0,M11.1.0", 14, 13),
            ("<-03>3", 12, 12),
            ("Europe/Berlin", 8, 7),
        ],
    )
    def test_zone_of_the_system(self, text: str, winter: int, summer: int) -> None:
        """Without UTC and without a setting it is what TZ says, in each of its forms."""
        program = (
            "from celery import Celery; from celery.schedules import crontab; from datetime import *\n"
            "from celery_process.schedule.frequency import frequency, zone_of\n"
            "app = Celery('x', enable_utc=False)\n"
            "rule = frequency(crontab(hour=9, minute=0), minimum=timedelta(0), zone=zone_of(app)).occurrences\n"
            "days = [datetime(2026, month, 15, tzinfo=UTC) for month in (1, 7)]\n"
            "print([(rule.following(day) - day).total_seconds() / 3600 for day in days])\n"
            "if ',' in __import__('os').environ['TZ']:\n"
            "    rule = frequency(crontab(minute=0), minimum=timedelta(0), zone=zone_of(app)).occurrences\n"
            "    at = datetime(2026, 11, 1, 4, tzinfo=UTC)\n"
            "    assert [rule.following(at + timedelta(hours=n)).hour for n in range(4)] == [5, 6, 7, 8]\n"
        )
        environment = {**os.environ, "TZ": text}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == f"[{winter:.1f}, {summer:.1f}]", done.stderr


class TestNames:
    @pytest.mark.parametrize(
        ("zone", "name"),
        [
            (UTC, "UTC"),
            (BERLIN, "Europe/Berlin"),
            (pytz.timezone("Asia/Tokyo"), "Asia/Tokyo"),
            (dateutil.tz.gettz("Asia/Tokyo"), "Asia/Tokyo"),
            (timezone(timedelta(0)), "UTC"),
            (timezone(timedelta(hours=2)), "Etc/GMT-2"),
            (timezone(timedelta(hours=-12)), "Etc/GMT+12"),
            (timezone(timedelta(hours=15)), "UTC+15:00"),
            (timezone(-timedelta(hours=3, minutes=30)), "UTC-03:30"),
            (pytz.FixedOffset(330), "UTC+05:30"),
        ],
        ids=str,
    )
    def test_a_name_reads_back(self, zone: tzinfo, name: str) -> None:
        """A name gives a zone with the same offsets."""
        assert name_of(zone) == name
        for instant in (WINTER, SUMMER):
            assert zones.offset(instant, zone_named(name)) == zones.offset(instant, zone)

    @pytest.mark.parametrize(
        "zone", [Odd(), zones.SYSTEM, timezone(timedelta(seconds=7)), dateutil.tz.tzstr("EST5EDT")], ids=str
    )
    def test_no_name(self, zone: tzinfo) -> None:
        """What has neither a name nor a fixed offset of whole minutes cannot be written down."""
        assert name_of(zone) is None

    def test_rows_need_a_name_of_the_database(self) -> None:
        """A zone that a row of another scheduler cannot name is refused with what to set."""
        assert iana_name(timezone(timedelta(hours=2))) == "Etc/GMT-2"
        for zone in (timezone(timedelta(minutes=330)), Odd()):
            with pytest.raises(InvalidValue, match="set `timezone`"):
                iana_name(zone)


class TestOwnZone:
    @pytest.mark.parametrize(
        "value",
        [
            crontab(hour=9, minute=0, nowfun=partial(datetime.now, TOKYO)),
            crontab(hour=9, minute=0, nowfun=lambda: datetime.now(UTC).astimezone(pytz.timezone("Asia/Tokyo"))),
            TzAwareCrontab(hour=9, minute=0, tz=TOKYO),
        ],
        ids=["nowfun", "pytz", "TzAwareCrontab"],
    )
    def test_it_is_taken(self, value: Any) -> None:
        """Nine in Tokyo is midnight in UTC, when it is given, when it is read back, and when that is given again."""
        given = frequency(value, minimum=MINUTE, zone=NEW_YORK)
        again = from_text(given.text, minimum=MINUTE, zone=NEW_YORK)
        for current in (given, again, frequency(again.value, minimum=MINUTE, zone=NEW_YORK)):
            assert current.occurrences.following(WINTER) == WINTER + 24 * HOUR
            assert json.loads(current.text)["crontab"]["zone"] == "Asia/Tokyo"
        assert describe(again.value) == "crontab 0 9 * * * Asia/Tokyo"
        assert to_input(again.value) == ""  # a form that holds five fields would lose the zone

    def test_the_zone_of_the_app_has_no_name_in_the_text(self) -> None:
        """A zone that is the app's own follows the app."""
        value = crontab(hour=9, nowfun=partial(datetime.now, TOKYO))
        assert frequency(value, minimum=MINUTE, zone=TOKYO).text == frequency(crontab(hour=9), minimum=MINUTE).text

    def test_a_time_without_a_zone(self) -> None:
        """A `nowfun` that returns a naive time is refused: whose hour it is cannot be known."""
        with pytest.raises(InvalidValue, match=r"without a time zone; return datetime\.now"):
            frequency(crontab(hour=9, nowfun=datetime.now), minimum=MINUTE)

    def test_a_zone_without_a_name(self) -> None:
        """A zone that cannot be stored is refused where it is given."""
        with pytest.raises(InvalidValue, match=r"no name to store it by; give a zoneinfo\.ZoneInfo"):
            frequency(crontab(hour=9, nowfun=partial(datetime.now, Odd())), minimum=MINUTE)


class Workdays(schedule):
    def is_due(self, last_run_at: Any) -> Any:
        return super().is_due(last_run_at)


class Quiet(crontab):
    def remaining_estimate(self, *args: Any, **options: Any) -> Any:
        return super().remaining_estimate(*args, **options)


class TestOtherClasses:
    @pytest.mark.parametrize("value", [Workdays(60), Quiet(hour=9)], ids=["schedule", "crontab"])
    def test_they_are_refused_where_they_are_given(self, value: Any) -> None:
        """A subclass decides by methods that the slots do not ask; the sentence says what to give instead."""
        processes = Processes(app_in(None), backend="memory://")
        with pytest.raises(InvalidType, match=r"a class of your own.*schedule=None"):
            processes.process("p", schedule=value)(lambda work: None)
        process = processes.process("q", schedule=60)(lambda work: None)
        with pytest.raises(InvalidType, match="a class of your own"):
            process.update_settings(None, schedule=value)

    def test_an_entry_of_beat_with_one(self) -> None:
        """Beat asks such a schedule itself, so its triggers decide, as with schedule=None."""
        processes = Processes(app_in(None), backend="memory://")
        process = processes.process("p", schedule=60)(lambda work: None)
        processes.app.conf.beat_schedule = {"own": {"task": "p.schedule", "schedule": Workdays(60)}}
        assert process.default_frequency() is None


class TestStars:
    @pytest.mark.parametrize(
        ("given", "text", "repeats"),
        [
            ("*/30 2 * * *", "*/30 2 * * *", True),
            ("0,30 2 * * *", "0,30 2 * * *", False),
            ("0 */2 * * *", "0 */2 * * *", True),
            ("0 0-22/2 * * *", "0 0,2,4,6,8,10,12,14,16,18,20,22 * * *", False),
            ("0 0-23 * * *", "0 * * * *", True),
        ],
    )
    def test_a_star_stays_one(self, given: str, text: str, *, repeats: bool) -> None:
        """A star says that a rule repeats, and is still there after the text was stored and read."""
        value = crontab.from_string(given)
        assert to_input(value) == text
        for current in (frequency(value, minimum=MINUTE), from_text(frequency(value, minimum=MINUTE).text, minimum=MINUTE)):
            rule = current.occurrences
            assert (rule.every_minute or rule.every_hour) is repeats  # type: ignore[union-attr]


def stored(process: Any) -> Any:
    """Return the stored settings of a process once its own schedule was stored."""
    process.update_settings(None, schedule=process.definition.schedule)
    return process.dispatch.store.overrides(process.name)
