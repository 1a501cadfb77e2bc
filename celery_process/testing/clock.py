"""A clock that stands until it is moved. Must not read the host's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovableClock:
    """Called, it returns an aware UTC datetime; stores take it as `clock`."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock, backwards too, and return the new time."""
        self._now += by
        return self._now

    def set(self, to: datetime) -> datetime:
        """Put the clock at an instant."""
        self._now = to.astimezone(UTC)
        return self._now
