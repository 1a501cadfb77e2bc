"""Schedules as people write them, on the command line and in forms."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery.schedules import solar

from celery_process.exceptions import InvalidValue
from celery_process.schedule.frequency import frequency, parse, to_input


@pytest.mark.parametrize("text", ["60", "0.25", "86400", "1234567.891", "*/10 2 * * *", "0 1,12 1 1 1,5"])
def test_what_is_written_reads_as_it_was(text: str) -> None:
    """Seconds and crontabs come back as the text that they were read from."""
    assert to_input(frequency(parse(text), minimum=timedelta(0)).value) == text


@pytest.mark.parametrize("value", [None, solar("sunset", 52.5, 13.4)])
def test_what_nobody_writes_is_an_empty_text(value: object) -> None:
    """A schedule that is neither seconds nor a crontab has no text to edit."""
    assert to_input(value) == ""


@pytest.mark.parametrize("text", ["", "often", "1 2 3", "61 * * * *", "* * * * MOON"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    """The error names what was written, and what may be."""
    with pytest.raises(InvalidValue, match="five"):
        parse(text)
