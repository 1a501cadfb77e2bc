"""How fast a process may go from now on: paused or not, and its limits."""

from __future__ import annotations

from dataclasses import replace

from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause
from celery_process.protocol.unit import Unit


def pause(unit: Unit, *, note: str, by: str) -> None:
    """Note the pause, whether or not the process was heard of before; a repeat replaces the note."""
    unit.head().paused = Pause(note, by, unit.now)


def resume(unit: Unit) -> None:
    """Forget the pause, if there is one."""
    unit.head().paused = None


def update_limits(unit: Unit, *, max_in_flight: int | None, rate_limit: str | None, by: str, reset: bool) -> None:
    """Store limits, whether or not the process was heard of before; nobody is awaited any more."""
    head = unit.head()
    stored = head.limits or Limits()
    head.limits = stored.changed(max_in_flight, rate_limit, reset=reset, at=unit.now, by=by)
    head.pace = head.pace and replace(head.pace, awaited="")
