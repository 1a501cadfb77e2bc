"""A stored schedule that something else wrote: an error of its process, and nothing that holds up another one."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.beat.entry import ProcessSchedule
from celery_process.exceptions import CorruptData, ProcessError
from celery_process.schedule.frequency import from_text
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

UNREADABLE = [
    *(
        "",
        "{",
        "null",
        "1",
        "[]",
        '"x"',
        "{}",
        '{"interval": null}',
        '{"interval": "60"}',
        '{"interval": [60]}',
        "[" * 100_000,
    ),
    *(
        '{"crontab": null}',
        '{"crontab": {}, "x": ',
        '{"crontab": {"minute": "99"}}',
        '{"crontab": {"second": "1"}}',
        '{"crontab": 5}',
    ),
    *(
        '{"solar": {}}',
        '{"solar": {"event": "noon", "lat": 0, "lon": 0}}',
        '{"clocked": "noon"}',
        '{"clocked": 5}',
        "60",
        "os.system",
    ),
    *(
        '{"interval": -1}',
        '{"interval": NaN}',
        '{"interval": 1e999}',
        '{"interval": true}',
        '{"crontab": {"zone": "Mars/Base"}}',
    ),
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: ascii(text)[:40])
def test_it_is_an_error_of_the_library(text: str) -> None:
    """On one line that says what to do."""
    with pytest.raises(ProcessError) as caught:
        from_text(text, minimum=timedelta(seconds=1))
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


class Shop:
    """Two processes over a memory store; what is stored as the schedule of the first cannot be read."""

    def __init__(self) -> None:
        self.clock = MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
        self.app = Celery("corrupt", set_as_current=False, broker="memory://")
        self.app.conf.task_always_eager = True
        self.processes = Processes(self.app, backend=MemoryStore(clock=self.clock))
        for name in ("bad", "good"):
            process = self.processes.process(name, schedule=3600)(lambda work: None)
            process.register_work("a")
            self.app.tasks[f"{name}.schedule"].apply()
        self.processes.store.update_settings("bad", settings=None, schedule="broken{")


def test_reading_says_so() -> None:
    """The state and the history of such a process raise `CorruptData`, until another schedule is stored."""
    bad = Shop().processes["bad"]
    for read in (bad.state, bad.current, bad.settings_history):
        with pytest.raises(CorruptData, match="update_settings"):
            read()
    bad.update_settings(None, schedule=60)
    assert bad.state().schedule_frequency == timedelta(seconds=60)


def test_beat_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Its entry keeps the schedule that it had, or takes the code's, with one line in the log."""
    shop = Shop()
    bad: Any = shop.processes["bad"]
    entry = ProcessSchedule.of(bad.definition, bad.default_frequency())
    entry.app = shop.app
    entry._text = "something"
    assert [entry._readable("broken{").value, entry.current().value] == [timedelta(hours=1)] * 2
    entry.is_due(datetime.now(UTC))
    assert {record.action for record in caplog.records if record.levelno == logging.ERROR} == {"schedule_unreadable"}


def test_late_slots_of_others_are_triggered(caplog: pytest.LogCaptureFixture) -> None:
    """The sweep leaves out the one and triggers the other."""
    shop = Shop()
    before = len(list(shop.processes["good"].runs()))
    shop.clock.advance(timedelta(hours=1, minutes=1))
    assert "good" in shop.processes.sweep(force=True)
    assert len(list(shop.processes["good"].runs())) == before + 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.process_name for record in errors} == {"bad"}
