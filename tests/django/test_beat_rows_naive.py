"""Rows of django-celery-beat in a project without USE_TZ, whose times are naive and meant in its TIME_ZONE."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from tests.django.test_beat_rows import NOON, Beat, make

__all__ = ["make"]

NAIVE = {"USE_TZ": False, "TIME_ZONE": "Asia/Tokyo"}


def test_row_and_store_both_changed(make: Callable[..., Beat]) -> None:
    """The later of two changes wins, as it does with aware times."""
    with override_settings(**NAIVE):
        beat = make(schedule=60)
        beat.follower.sync()
        interval = beat.models.IntervalSchedule.objects.create(every=7, period="minutes")
        beat.models.PeriodicTask.objects.filter(task=beat.task).update(
            interval=interval, date_changed=datetime.fromisoformat("2026-03-01T12:00")
        )
        beat.process.update_settings(None, schedule=600)
        beat.follower.sync()
        assert beat.row.interval.every == 600
        assert beat.process.schedule_frequency == timedelta(seconds=600)


def test_a_clocked_row(make: Callable[..., Beat]) -> None:
    """A naive instant of a row is one of the project's zone, and is scheduled."""
    with override_settings(**NAIVE):
        beat = make(schedule=60)
        at = datetime.fromisoformat("2026-03-03T21:00")
        beat.add(clocked=beat.models.ClockedSchedule.objects.create(clocked_time=at), one_off=True)
        beat.follower.sync()
        assert beat.following(NOON) == datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize("use_tz", [True, False])
def test_an_instant_comes_back(use_tz: bool) -> None:
    """What a row is given is read back as the same instant, whatever the project's times are like."""
    from celery_process.beat.django import aware, stored_time

    with override_settings(USE_TZ=use_tz, TIME_ZONE="Asia/Tokyo"):
        written: Any = stored_time(NOON)
        assert (written.tzinfo is not None) is use_tz
        assert aware(written) == NOON
