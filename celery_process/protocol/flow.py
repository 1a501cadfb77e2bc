"""How fast a process may go from now on: paused or not, and its limits."""

from __future__ import annotations

from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause
from celery_process.protocol.rows import Rows


def pause(rows: Rows, *, note: str, by: str) -> None:
    """Note the pause, whether or not the process was heard of before; a repeat replaces the note."""
    rows.head()
    rows.set_pause(Pause(note, by, rows.now))


def resume(rows: Rows) -> None:
    """Forget the pause, if there is one."""
    rows.set_pause(None)


def update_limits(rows: Rows, *, max_in_flight: int | None, rate_limit: str | None, by: str, reset: bool) -> None:
    """Store limits, whether or not the process was heard of before; nobody is awaited any more."""
    rows.head()
    stored = rows.limits() or Limits()
    rows.set_limits(stored.changed(max_in_flight, rate_limit, reset=reset, at=rows.now, by=by))
    rows.await_nobody()
