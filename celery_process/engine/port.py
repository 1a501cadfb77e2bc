"""`Port`: all that the engine of a process needs from its surroundings: Celery, or a simulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any

from celery_process.protocol.states import Event, WorkList
from celery_process.schedule.frequency import Frequency


class Port(ABC):
    """Sends messages, emits events, and answers what only the surroundings know."""

    @property
    def inline(self) -> bool:
        """Whether `send` runs the items before it returns, as in eager mode."""
        return False

    @abstractmethod
    def current(self) -> Frequency | None:
        """Return the schedule in force; None if the process has none and each trigger makes a slot."""

    @abstractmethod
    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        """Publish items of a run; `single` puts each into a message of its own.

        Raises `OSError` if the broker is away.
        """

    @abstractmethod
    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        """Call `advance` for a run after some time, in any worker, with the token of the page that waits."""

    def publish_trigger(self, valid: timedelta) -> None:  # noqa: B027 - nothing to do where nothing but `trigger` itself triggers
        """Publish a trigger for a slot that has none; it is valid for this long."""

    @abstractmethod
    def emit(self, event: Event, **payload: Any) -> None:
        """Emit an event, as a signal and to monitors."""

    def stopping(self) -> bool:
        """Whether this worker shuts down, so that no further item begins."""
        return False

    def ends_worker(self, error: BaseException) -> bool:  # noqa: ARG002
        """Whether an exception from the user's code is no error of it but ends this worker."""
        return False
