"""Durations as people read them, the same in every view: the units are `d`, `h`, `m` and `s`."""

from __future__ import annotations

from datetime import timedelta


def humanize(span: timedelta) -> str:
    """Return a duration in its two largest units: `2d 3h`, `1h 02m`, `3m 20s`, `12s`."""
    seconds = round(span.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds % 60:02}s" if minutes else f"{seconds}s"


def exact(span: timedelta) -> str:
    """Return a duration above zero in all units that it has: `1h`, `1m 30s`, `0.25s`; no other duration reads the same."""
    minutes, rest = divmod(span, timedelta(minutes=1))
    numbers = {"d": minutes // 1_440, "h": minutes // 60 % 24, "m": minutes % 60}
    seconds = f"{rest.seconds}{f'.{rest.microseconds:06}'.rstrip('0') if rest.microseconds else ''}"
    parts = [f"{number}{unit}" for unit, number in numbers.items() if number]
    return " ".join([*parts, f"{seconds}s"] if rest or not parts else parts)
