"""How fast a run may go: items out at once, and items sent a second; both may change while it runs.

A rate is kept page by page: a page has at most what a second brings, and the next one is due when its own time has
passed. So however many workers there are, at most a page more than rate × time goes out in any time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.values import check_count

PER = {"s": 1, "m": 60, "h": 3600}
"""Seconds of the units that Celery writes a rate with."""
FASTEST = 1_000_000
SLOWEST = 1 / 86_400
"""Items a second of the fastest rate and of the slowest."""
COMEBACK = timedelta(seconds=30)
"""Whoever finds a page due within this time comes back for it; what is due later the sweep looks at again."""

_RATE = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(?:/([smh]))?")


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_in_flight`: items of a run out at once. `rate_limit`: items sent, as "50/s", "10/m" or "5/h"; None: no limit.

    As `update_limits` stored them, None is what the code says, and `at` and `by` tell when and by whom.
    """

    max_in_flight: int | None = None
    rate_limit: str | None = None
    at: datetime | None = None
    by: str = ""

    def over(self, window: int, rate: float | None) -> tuple[int, float | None]:
        """Return the window and the rate in force, given those of the code; `math.inf` is no rate, whatever is stored."""
        if rate == math.inf:
            return self.max_in_flight or window, None
        return self.max_in_flight or window, rate if self.rate_limit is None else per_second(self.rate_limit)


@dataclass(frozen=True, slots=True)
class Pace:
    """When the last page went out under a rate, with how many items, and the token of who comes back for the next one."""

    at: datetime
    items: int
    awaited: str = ""

    def due_in(self, now: datetime, rate: float) -> timedelta:
        """Return how long the next page has to wait; never longer than its rate asks for, whatever the clock did."""
        whole = timedelta(microseconds=math.ceil(self.items * 1_000_000 / rate))
        return min(max(self.at + whole - now, timedelta(0)), whole)

    def comes_back(self, token: str, due_in: timedelta) -> bool:
        """Whether the caller with this token is to come back when the page is due: one does, and the same one again."""
        return due_in <= COMEBACK and self.awaited in ("", token)


def page_size(size: int, rate: float | None) -> int:
    """Return how many items a page has at most: those of a second."""
    return size if rate is None else max(1, min(size, int(rate)))


def per_second(rate_limit: str) -> float:
    """Return a rate that `check_rate` returned as items a second."""
    number, unit = rate_limit.split("/")
    return float(number) / PER[unit]


def check_window(value: object) -> int:
    """Return a number of items that may be out at once."""
    return check_count(value, "max_in_flight", 1_000_000)


def check_rate(value: object, *, argument: str = "rate_limit") -> str:
    """Return a rate as Celery writes them, a number of items a second or "50/s", "10/m", "5/h", with its unit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidType(
            f'{argument} is a number of items a second, or "50/s", "10/m", "5/h", not {value!r:.80}.',
            argument=argument,
            value=value,
        )
    text = value.replace(" ", "") if isinstance(value, str) else f"{value:.12f}".rstrip("0").rstrip(".")
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidValue(
            f'{argument} is a number of items a second, or "50/s", "10/m", "5/h", not {value!r:.80}.',
            argument=argument,
            value=value,
        )
    rate = f"{found[1]}/{found[2] or 's'}"
    if not SLOWEST <= per_second(rate) <= FASTEST:
        raise InvalidValue(
            f"{argument} is from one item a day to {FASTEST:,} a second, not {value!r:.80}; None is no limit.",
            argument=argument,
            value=value,
        )
    return rate
