"""What a measure gives: figures, each with its spread and, where there is one, its goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One number of a measure. `met`: whether the goal is reached; None where the number only explains another."""

    measure: str
    what: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Options:
    """What the command line asks of a measure. `items` None: the measure's own number."""

    items: int | None = None
    rounds: int = 3
    quick: bool = False
    slow: bool = False
    broker: str | None = None
    store: str | None = None

    def size(self, usual: int, quick: int) -> int:
        """Return how many items to take."""
        return self.items or (quick if self.quick else usual)


Measure = Callable[[Options], list[Figure]]


def spread(
    measure: str,
    what: str,
    values: Sequence[float],
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
) -> Figure:
    """Return the median of the rounds with their lowest and highest; `least` and `most` are the goal."""
    value = median(values)
    goal = f"≥ {least:g}" if least is not None else f"≤ {most:g}" if most is not None else ""
    met = value >= least if least is not None else value <= most if most is not None else None
    return Figure(measure, what, value, unit, min(values), max(values), goal, met)
