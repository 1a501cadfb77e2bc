"""How fast a run may go: items out at once, and items sent a second. Both may change while it runs.

A rate is kept page by page. A page has at most the items of one second, and the next page is due when the time of those
items has passed. If a page is late, the next one is due sooner, so that the rate is reached. In any span of time at most
rate × time items and two pages are sent, however many workers there are.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from celery_process.checks import check_count
from celery_process.exceptions import InvalidType, InvalidValue, short_repr

PER = {"s": 1, "m": 60, "h": 3600}
"""Seconds of the units that Celery writes a rate with."""
FASTEST = 1_000_000
SLOWEST = 1 / 86_400
"""Items a second of the fastest rate and of the slowest."""
COMEBACK = timedelta(seconds=30)
"""A caller comes back for a page that is due within this time; a page that is due later is left to the sweep."""

MAX_LOST = 200
"""Names of lost items that a run keeps until they are emitted, and so what one sweep gives up at most."""

NO_RATE = "0/s"
"""A stored rate that lifts the code's; Celery writes none as 0 as well."""

_RATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,24})?)(?:/([smh]))?")


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_in_flight`: items of a run out at once. `rate_limit`: items sent, as "50/s", "10/m" or "5/h"; None: no limit.

    Stored limits have None for a limit that stays as in the code; `at` and `by` are when and by whom they were stored.
    """

    max_in_flight: int | None = None
    rate_limit: str | None = None
    at: datetime | None = None
    by: str = ""

    def over(self, window: int, rate: float | None) -> tuple[int, float | None]:
        """Return the window and the rate in force: what is stored, else those of the code. `math.inf`: no rate at all."""
        if self.rate_limit is not None and rate != math.inf:
            rate = per_second(self.rate_limit)
        return self.max_in_flight or window, rate if rate and rate != math.inf else None

    def changed(
        self, max_in_flight: int | None, rate_limit: str | None, *, reset: bool, at: datetime, by: str
    ) -> Limits | None:
        """Return what is stored after a change, in which None keeps what was stored, unless `reset` forgets it."""
        kept = Limits() if reset else self
        window = kept.max_in_flight if max_in_flight is None else max_in_flight
        rate = kept.rate_limit if rate_limit is None else rate_limit
        return None if (window, rate) == (None, None) else Limits(window, rate, at, by)


@dataclass(frozen=True, slots=True)
class Pace:
    """The last page that was opened under a rate: when it was due, how many items it had, and who comes back for the next.

    `awaited` is the epoch of a run and the token of the caller that comes back, "7:3f2a"; that of another run is void.
    """

    at: datetime
    items: int
    awaited: str = ""

    def due_in(self, now: datetime, rate: float) -> timedelta:
        """Return how long the next page waits: at most the time of one page at this rate, whatever the clock did."""
        return max(self.at + page_time(self.items, rate) - now, timedelta(0)) if now >= self.at else timedelta(0)

    def promised(self, epoch: int, token: str, due_in: timedelta) -> Pace | None:
        """Return the pace with this caller as the one that comes back; None if another one does, or it is due too late."""
        mine = f"{epoch}:{token}"
        taken = self.awaited.startswith(f"{epoch}:") and self.awaited != mine
        return None if taken or due_in > COMEBACK else replace(self, awaited=mine)

    def following(self, now: datetime, items: int, rate: float) -> Pace:
        """Return the pace after the next page; if it was late, the one after it is due earlier, by at most a page's time."""
        if now < self.at:
            return Pace(now, items)
        return Pace(max(self.at + page_time(self.items, rate), now - page_time(items, rate)), items)


def page_time(items: int, rate: float) -> timedelta:
    """Return the time of a page at this rate; a page opened under a higher rate counts as the largest page of this one."""
    return timedelta(microseconds=math.ceil(page_size(items, rate) * 1_000_000 / rate))


def page_size(size: int, rate: float | None) -> int:
    """Return how many items a page has at most: those of a second."""
    return size if rate is None else max(1, min(size, int(rate)))


def per_second(rate_limit: str) -> float:
    """Return a rate that `check_rate` returned as items a second."""
    number, unit = rate_limit.split("/")
    return float(number) / PER[unit]


def check_window(value: object, *, argument: str = "max_in_flight") -> int:
    """Return a number of items that may be out at once."""
    return check_count(value, argument, 1_000_000)


def check_rate(value: object, *, argument: str = "rate_limit") -> str:
    """Return a rate as Celery writes them, a number of items a second or "50/s", "10/m", "5/h", with its unit; 0 is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidType(
            f'{argument} is a number of items a second, or "50/s", "10/m", "5/h", not {short_repr(value)}.',
            argument=argument,
            value=value,
        )
    text = value.replace(" ", "") if isinstance(value, str) else _digits(value)
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidValue(
            f'{argument} is a number of items a second, or "50/s", "10/m", "5/h", not {short_repr(value)}.',
            argument=argument,
            value=value,
        )
    rate = f"{found[1]}/{found[2] or 's'}"
    if not per_second(rate):
        return NO_RATE
    if not SLOWEST <= per_second(rate) <= FASTEST:
        raise InvalidValue(
            f"{argument} is from one item a day to {FASTEST:,} a second, not {short_repr(value)}; 0 is no limit.",
            argument=argument,
            value=value,
        )
    return rate


def _digits(number: float) -> str:
    """Return a number as its digits; an int of more than a rate may have is not worked out."""
    if isinstance(number, int):
        return str(int(number)) if abs(number) <= FASTEST else str(FASTEST + 1)
    return f"{Decimal(repr(number)):f}"
