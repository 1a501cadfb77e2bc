"""Looking at a process is no use of it: what the code or the settings say later still counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes
from celery_process.monitor.beat_slots import newest_slot
from celery_process.monitor.details import read_details
from celery_process.monitor.overview import read_overview
from celery_process.monitor.secrets import Reader

READINGS: dict[str, Callable[[Process], Any]] = {
    "state": lambda process: process.state(),
    "schedule_frequency": lambda process: process.schedule_frequency,
    "default_settings": lambda process: process.default_settings,
    "settings_history": lambda process: process.settings_history(),
    "work_counts": lambda process: process.work_counts(),
    "works": lambda process: list(process.works()),
    "work": lambda process: process.work("a"),
    "runs": lambda process: list(process.runs()),
    "slots": lambda process: list(process.slots()),
    "overview": read_overview,
    "panel": lambda process: read_details(process, Reader.CLI),
    "newest slot": newest_slot,
}


@pytest.fixture
def processes() -> Processes:
    app = Celery("reading", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    made = Processes(app, backend="memory://")
    made.process("p", schedule=3600)(lambda work: None)
    made.store.register("p", {"a": "{}"})
    return made


@pytest.mark.parametrize("reading", READINGS)
def test_reading_fixes_no_flow_control(processes: Processes, reading: str) -> None:
    """The flow control of a process that was looked at can still be set, and counts."""
    process = processes["p"]
    READINGS[reading](process)
    process.update_flow_control(30, 900, 60)
    assert process.schedule_frequency == timedelta(minutes=15)
    assert process.state().schedule_frequency == timedelta(minutes=15)
    assert process.dispatch.definition.initial_wait == timedelta(seconds=30)


@pytest.mark.parametrize("reading", READINGS)
def test_reading_fixes_no_settings(processes: Processes, reading: str) -> None:
    """A setting of the app that is set after a look is what the process works by."""
    process = processes["p"]
    READINGS[reading](process)
    processes.app.conf.process_page_size = 7
    assert process.dispatch.config.page_size == 7
