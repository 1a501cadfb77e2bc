"""The contract of an adapter, which reads, makes and changes the rows of processes in one kind of scheduler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from celery_process.beat.entry import ProcessSchedule
from celery_process.beat.merge import Agreed
from celery_process.exceptions import TaskNameTaken
from celery_process.process import Process
from celery_process.schedule.frequency import Frequency

REMEMBERED = "celery_process"
"""The key in a row under which it keeps the last agreement."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read; `found` is the adapter's own form. `ends`: the scheduler disables it by itself."""

    found: Any
    schedule: Frequency
    enabled: bool
    agreed: Agreed | None
    changed_at: datetime | None = None
    ends: bool = False


@dataclass(frozen=True, slots=True)
class ScheduledProcess:
    """A process with what its row needs; `schedule` is the schedule of its entry in the live scheduler."""

    process: Process
    task: str
    options: Mapping[str, Any]
    schedule: ProcessSchedule
    zone: tzinfo


def name_taken(scheduled: ScheduledProcess, task: str) -> TaskNameTaken:
    """Return the error for a row that has the name of the row of a process and runs another task."""
    return TaskNameTaken(
        f"The periodic task named {scheduled.task!r} runs {task!r}; rename it, the process {scheduled.process.name!r} needs "
        "that name for its own.",
        task=scheduled.task,
        ours=scheduled.process.name,
        theirs=task,
    )


class Rows(ABC):
    """The rows of one kind of scheduler. A write is dropped if the row changed since it was read."""

    by = ""
    """The name under which the store keeps changes that come from rows."""

    @abstractmethod
    def align(self, schedules: Mapping[str, ProcessSchedule]) -> None:
        """Use these schedules, by task, in the live scheduler, instead of those that it makes of its rows."""

    @abstractmethod
    def find(self, tasks: Collection[str]) -> Mapping[str, Any]:
        """Return the row of each of these tasks, in one query: the one named after it, else the oldest with it."""

    @abstractmethod
    def read(self, scheduled: ScheduledProcess, found: Any) -> Row:
        """Return the row of a process, from what `find` returned for it.

        Raises `ProcessError` for a schedule that no process can have.
        """

    @abstractmethod
    def create(self, scheduled: ScheduledProcess, schedule: Frequency, *, enabled: bool) -> None:
        """Make the row of a process; if another beat just did, leave that."""

    @abstractmethod
    def write(
        self, scheduled: ScheduledProcess, row: Row, *, schedule: Frequency | None, enabled: bool | None, agreed: Agreed
    ) -> None:
        """Change a row: None keeps what it has. `agreed` is kept in it with the change."""

    def as_stored(self, schedule: Frequency) -> Frequency:
        """Return a schedule as a row can keep it, which may be less exact."""
        return schedule

    def round(self) -> AbstractContextManager[Any]:
        """Surround one round over all processes."""
        return nullcontext()
