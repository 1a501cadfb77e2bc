"""How many errors an item and a run may have before the run aborts. Pure functions of values: no store, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from celery_process.exceptions import InvalidType, InvalidValue, short_repr

MOST_ERRORS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many errors are tolerated; the first error beyond them aborts the run (B28).

    `per_work` errors of one item and `per_run` errors of a run are answered Continue. `percent` is the tolerance of a run
    as a share of the items on the active list when it starts. Of `per_run` and `percent` the stricter one counts; None
    switches one off. Exceptions of the classes in `ignore` are not counted; those in `fail` end their item at once.
    """

    per_work: int | None = 10
    per_run: int | None = 25
    percent: float | None = None
    ignore: tuple[type[BaseException], ...] = ()
    fail: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        for argument in ("per_work", "per_run"):
            value = getattr(self, argument)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InvalidType(
                    f"Tolerance({argument}=…) is an int or None, not {short_repr(value, 40)}.",
                    argument=argument,
                    value=value,
                )
            if value is not None and value < 0:
                raise InvalidValue(
                    f"Tolerance({argument}={short_repr(value, 40)}) is below 0; 0 tolerates no error, None tolerates all.",
                    argument=argument,
                    value=value,
                )
            if value is not None and value > MOST_ERRORS:
                raise InvalidValue(
                    f"Tolerance({argument}=…) is at most {MOST_ERRORS:,}, which no store counts beyond; None tolerates all.",
                    argument=argument,
                    value=value,
                )
        if self.percent is not None:
            if isinstance(self.percent, bool) or not isinstance(self.percent, int | float):
                raise InvalidType(
                    f"Tolerance(percent=…) is a number or None, not {short_repr(self.percent, 40)}.",
                    argument="percent",
                    value=self.percent,
                )
            if not 0 <= self.percent <= 100:
                raise InvalidValue(
                    f"Tolerance(percent={short_repr(self.percent, 40)}) is not between 0 and 100.",
                    argument="percent",
                    value=self.percent,
                )
        for argument in ("ignore", "fail"):
            object.__setattr__(self, argument, exception_classes(getattr(self, argument), argument=argument))

    def run_limit(self, listed: int) -> int | None:
        """Return how many errors a run over `listed` items tolerates; None is any number."""
        limits = [self.per_run] if self.per_run is not None else []
        if self.percent is not None:
            limits.append(int(listed * self.percent / 100))
        return min(limits, default=None)


def exception_classes(value: Any, *, argument: str) -> tuple[type[BaseException], ...]:
    """Return one exception class, or several, as a tuple."""
    classes = (value,) if isinstance(value, type) or not isinstance(value, Iterable) else tuple(value)
    if not all(isinstance(item, type) and issubclass(item, BaseException) for item in classes):
        raise InvalidType(f"{argument} takes exception classes, not {short_repr(value)}.", argument=argument, value=value)
    return classes


def exceeded(errors: int, limit: int | None) -> bool:
    """Whether `errors` are more than `limit` tolerates: the 11th of 10, not the 10th (B28)."""
    return limit is not None and errors > limit
