"""`Home`: all that a process needs from its app, beside its `Port`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, Protocol

from celery_process.config import Config
from celery_process.engine.port import Port
from celery_process.stores.base import Store


class Home(Protocol):
    """An app, as its processes see it; each names itself in a call."""

    @property
    def store(self) -> Store:
        """The app's present store."""

    @property
    def config(self) -> Config:
        """The app's settings as they are now."""

    @property
    def zone(self) -> tzinfo:
        """The app's time zone."""

    def port(self, process: str) -> Port:
        """Return the port of a process, one for all its life."""

    def owner(self, process: str) -> tuple[str, Any] | None:
        """Return the entry of `beat_schedule` that the user made for a process, as (key, schedule)."""

    def rescheduled(self, process: str) -> None:
        """Update beat after the code changed the schedule of a process."""
