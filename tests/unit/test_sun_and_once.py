"""Schedules that rows of other schedulers say: the sun's events, one instant, and a crontab's own zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery import VERSION
from celery.schedules import crontab, solar

from celery_process.schedule.frequency import describe, frequency, from_text, in_zone, once
from celery_process.schedule.slots import period

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
EVENTS = sorted(solar._all_events)


@pytest.mark.parametrize("event", EVENTS)
def test_events_of_the_sun_are_those_of_celery(event):
    """Each event comes when Celery says, once a day."""
    value = solar(event, 52.5, 13.4, nowfun=lambda: NOON)
    rule = frequency(value, minimum=MINUTE).occurrences
    following = rule.following(NOON)
    if VERSION >= (5, 6) or event != "dusk_astronomical":  # 5.5 takes this dusk for 18 degrees above the horizon
        assert abs(following - (NOON + value.remaining_estimate(NOON))) < timedelta(seconds=5)
    assert rule.latest(following) == following
    assert rule.latest(following - timedelta(seconds=1)) < following - DAY + timedelta(minutes=10)
    assert abs(period(rule, NOON) - DAY) < timedelta(minutes=10)


def test_a_polar_night_has_no_sunrise():
    """Days without the event have no slot."""
    rule = frequency(solar("sunrise", 78.2, 15.6), minimum=MINUTE).occurrences
    christmas = datetime(2026, 12, 24, tzinfo=UTC)
    assert rule.following(christmas) - rule.latest(christmas) > 60 * DAY


@pytest.mark.parametrize("longitude", [84.0, -96.0])
def test_an_event_around_midnight_comes_each_day(longitude):
    """Where sunrise or sunset wanders over midnight (UTC), a day with two of them loses none."""
    for event in ("sunrise", "sunset"):
        rule, at = frequency(solar(event, 45.0, longitude), minimum=MINUTE).occurrences, NOON
        while at < NOON + 366 * DAY:
            following = rule.following(at)
            assert abs(following - at - DAY) < timedelta(minutes=10) or at == NOON
            assert rule.latest(following - timedelta(seconds=1)) == at or at == NOON
            at = following


def test_one_instant_has_one_slot():
    """Before it and after it there is none that comes."""
    rule = once(NOON).occurrences
    assert rule.following(NOON - DAY) == NOON == rule.latest(NOON) == rule.latest(NOON + DAY)
    assert rule.latest(NOON - DAY) < NOON - 1000 * DAY
    assert rule.following(NOON) > NOON + 1000 * DAY


def test_a_crontab_keeps_its_own_zone():
    """Seven in Berlin is six in UTC in winter."""
    own = frequency(in_zone(crontab(hour=7, minute=0), ZoneInfo("Europe/Berlin")), minimum=MINUTE)
    assert own.occurrences.following(NOON) == NOON + timedelta(hours=18)
    assert json.loads(own.text)["crontab"]["zone"] == "Europe/Berlin"
    same = frequency(in_zone(crontab(hour=7, minute=0), ZoneInfo("UTC")), minimum=MINUTE)
    assert same.text == frequency(crontab(hour=7, minute=0), minimum=MINUTE).text


@pytest.mark.parametrize(
    "given",
    [
        once(NOON),
        frequency(solar("sunset", 52.5, 13.4), minimum=MINUTE),
        frequency(in_zone(crontab(hour=7), ZoneInfo("Europe/Berlin")), minimum=MINUTE),
    ],
)
def test_texts_are_read_back(given):
    """A text gives the same slots and the same text."""
    again = from_text(given.text, minimum=MINUTE)
    assert (again.text, again.occurrences, describe(again.value)) == (given.text, given.occurrences, describe(given.value))
