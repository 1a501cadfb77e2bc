"""`Port`: what the engine needs from where it runs, for one process. Celery is one such place, a simulation is another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any

from celery_process.protocol.states import Event, WorkList
from celery_process.schedule.frequency import Frequency


class Port(ABC):
    """The way out of the engine: messages, events, and what only the place where it runs can know."""

    @property
    def inline(self) -> bool:
        """Whether `send` works the items before it returns, as in eager mode."""
        return False

    @abstractmethod
    def current(self) -> Frequency | None:
        """Return the schedule in force; None where whoever triggers decides."""

    @abstractmethod
    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        """Publish items of a run; `single` puts each into a message of its own.

        Raises `OSError` where the broker is away.
        """

    @abstractmethod
    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        """Call `advance` for a run after some time, from anywhere, with the token of the page that waits."""

    def bring(self, valid: timedelta) -> None:  # noqa: B027 - nothing to do where only `trigger` itself brings slots
        """Have somebody call `trigger` for a slot that nobody brought; `valid` is how long that is of use."""

    @abstractmethod
    def emit(self, event: Event, **payload: Any) -> None:
        """Emit an event, as a signal and to monitors."""

    def stopping(self) -> bool:
        """Whether the worker that asks shuts down, and begins no further item."""
        return False

    def ends_worker(self, error: BaseException) -> bool:  # noqa: ARG002
        """Whether an exception out of the user's code is no error of it but ends the worker that runs it."""
        return False
