"""The format of stored data: records of lines for the store's own facts, JSON for a user's values.

The scripts read lines only. JSON is stored as it came, since Lua's own turns empty lists into dicts and long ints into
floats.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from celery_process.exceptions import InvalidValue
from celery_process.instants import from_us
from celery_process.protocol import rules
from celery_process.protocol.model import (
    ErrorEntry,
    Stats,
)
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, WorkList, WorkState
from celery_process.protocol.stats import Number, add_stats

LISTS = {"a": WorkList.ACTIVE, "c": WorkList.CLEANUP, "d": WorkList.DROPPED}
LETTERS = {on: letter for letter, on in LISTS.items()}
STATES = {
    "p": ItemState.PENDING,
    "c": ItemState.CLAIMED,
    "d": ItemState.DONE,
    "x": ItemState.CANCELLED,
    "l": ItemState.LOST,
    "r": ItemState.REMOVED,
}
OUTCOMES = {"C": WorkState.COMPLETED, "I": WorkState.INCOMPLETE, "A": WorkState.ABORTED}
OUTCOME_LETTERS = {outcome: letter for letter, outcome in OUTCOMES.items()}

FOLDED = 6
"""Lines that an item keeps once its page is folded: state, outcome, list, two that are empty, token."""
FAULTLESS = 15
"""Lines of an item that had no error."""
_REST = ("0", "", "", "", "", "", "", "")
"""Lines that a faultless item leaves out."""


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Return the dict that Redis answers as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def instant(text: str | None) -> datetime | None:
    """Return the instant in a field, which may be empty."""
    return from_us(int(text)) if text else None


def encode_stats(stats: Stats) -> str:
    """Return stats as JSON; empty for none, which most items have."""
    if not stats:
        return ""
    try:
        return json.dumps(dict(stats), separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise InvalidValue(
            f"Stats are finite numbers: {dict(stats)!r:.200} cannot be kept; count something else.",
            argument="stats",
            value=dict(stats),
        ) from error


def decode_stats(text: str | None) -> dict[str, Number]:
    """Return the stats that `encode_stats` wrote."""
    return dict(json.loads(text)) if text else {}


def decode_errors(text: str | None) -> tuple[ErrorEntry, ...]:
    """Return the entries of a list that the scripts put together: text, microseconds, item."""
    return tuple(ErrorEntry(said, from_us(at), work) for said, at, work in json.loads(text)) if text else ()


def add_up(
    counted: str, stats: str, done: Sequence[str | None], groups: Sequence[Any]
) -> tuple[Counter[str], dict[str, Number]]:
    """Return the counts and stats of a run with those of items.

    `done`: how many completed without stats, from each list, beside what was counted. `groups`: the first lines of alike
    items and their number, in turns.
    """
    counts, summed = Counter(json.loads(counted)), decode_stats(stats)
    plain = [f"d\nC\n{on}\n\n\n" for on in "ac"]
    found = [*zip(plain, (int(number or 0) for number in done), strict=True), *zip(groups[::2], groups[1::2], strict=True)]
    for lines, number in found:
        if number:
            name, added = _brought(lines)
            counts[name] += number
            add_times(summed, added, number)
    return counts, summed


def _brought(lines: str) -> tuple[str, dict[str, Number]]:
    """Return the field of `ItemCounts` and the stats of an item with these first lines; of an open one, with its state."""
    letter, *more = lines.split("\n")
    state = STATES[letter]
    if state.is_open:
        return rules.count_name(state, None), {}
    outcome, on, stats, run_stats, _ = more
    ended, totals = OUTCOMES.get(outcome), Totals(stats=decode_stats(stats), run_stats=decode_stats(run_stats))
    return rules.count_name(state, ended), rules.item_stats(state, ended, LISTS[on], totals)


def add_times(into: dict[str, Number], more: Mapping[str, Number], number: int) -> None:
    """Add stats a number of times; floats one by one, as a product rounds otherwise."""
    if all(isinstance(count, int) for count in (*more.values(), *(into.get(name, 0) for name in more))):
        add_stats(into, {name: count * number for name, count in more.items()})
    else:
        for _ in range(number):
            add_stats(into, more)
