"""A port of the engine without Celery, whose messages, comebacks and events go where a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery_process.engine.port import Port
from celery_process.protocol.states import Event, WorkList
from celery_process.schedule.frequency import Frequency


def nowhere(*_: Any, **__: Any) -> None:
    """Drop what comes."""


class LoosePort(Port):
    """Each function takes what the method of its name does; what is not given is dropped."""

    def __init__(
        self,
        *,
        send: Callable[..., object] = nowhere,
        come_back: Callable[[str, str, timedelta], object] = nowhere,
        emit: Callable[..., object] = nowhere,
        schedule: Frequency | None = None,
        inline: bool = False,
    ) -> None:
        self._send, self._come_back, self._emit, self._schedule, self._inline = send, come_back, emit, schedule, inline

    @property
    def inline(self) -> bool:
        return self._inline

    def current(self) -> Frequency | None:
        return self._schedule

    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        self._send(on, names, run_id, single=single)

    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        self._come_back(run_id, token, due_in)

    def emit(self, event: Event, **payload: Any) -> None:
        self._emit(event, **payload)
