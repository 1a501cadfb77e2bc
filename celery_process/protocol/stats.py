"""Stats: which names and numbers they may have, and their sum."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

from celery_process.exceptions import InvalidType, InvalidValue

Number = int | float
MAX_STATS = 100
MAX_STAT_NAME = 100
MAX_SUMMED_STATS = 1_000
"""Names of stats that a run keeps, and a process of all its runs, beside the library's own."""
OTHER_STATS = "otherStats"
"""The stat that counts what has a name beyond those."""
LARGEST = sys.float_info.max
"""Where a sum of stats stays that would overflow. Compared with, since `math.isfinite` raises for large integers."""
_RESERVED_STATS = frozenset(
    {"workItems", "workItemsCleaned", "workItemsDirty", "workItemsAborted", "errors", "runs", "duration", "otherStats"}
)
_RESERVED_PREFIXES = ("work.", "state.")


def check_stat(name: object, count: object, known: Mapping[str, Number]) -> Number:
    """Return `count` if `name` may be added to the stats `known`; reserved names are refused (W31)."""
    if not isinstance(name, str):
        raise InvalidType(f"A stat is named by a str, not {type(name).__name__}; pass one.", argument="name", value=name)
    if not 0 < len(name) <= MAX_STAT_NAME or not name.isprintable():
        raise InvalidValue(
            f"{name!r:.80} cannot name a stat; use 1 to {MAX_STAT_NAME} printable characters.",
            argument="name",
            value=name[:80],
        )
    if name in _RESERVED_STATS or name.startswith(_RESERVED_PREFIXES):
        raise InvalidValue(
            f"The stat {name!r} is kept by the library itself; choose another name.", argument="name", value=name
        )
    if isinstance(count, bool) or not isinstance(count, int | float):
        raise InvalidType(
            f"The stat {name!r} counts an int or float, not {type(count).__name__}.", argument="count", value=count
        )
    try:
        total = float(count) + float(known.get(name, 0))
    except OverflowError:  # an int beyond the range of floats
        total = math.inf
    if not math.isfinite(total):
        raise InvalidValue(
            f"The stat {name!r} would become {total}; stats are finite: add less.", argument="count", value=count
        )
    if name not in known and len(known) >= MAX_STATS:
        raise InvalidValue(
            f"An item keeps at most {MAX_STATS} stats and {name!r} would be one more; put details into a log instead.",
            argument="name",
            value=name,
        )
    return count


def add_stats(into: dict[str, Number], more: Mapping[str, Number]) -> None:
    """Add `more` to `into` name by name; a sum that would overflow stays at the largest float.

    Beyond `MAX_SUMMED_STATS` names a new one is added to `OTHER_STATS`, unless it is one of the library's own.
    """
    for given, count in more.items():
        own = given in _RESERVED_STATS or given.startswith("state.")
        name = given if own or given in into or len(into) < MAX_SUMMED_STATS else OTHER_STATS
        total = into.get(name, 0) + count
        into[name] = total if -LARGEST <= total <= LARGEST else math.copysign(LARGEST, 1 if total > 0 else -1)
