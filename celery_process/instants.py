"""Instants as whole microseconds, as the stores keep them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(instant: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970, UTC."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the aware UTC instant of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)
