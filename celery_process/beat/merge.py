"""Decides between a scheduler's row and the store, which both may change: a three-way merge of pure functions.

The row keeps what both last agreed on. A side that differs from that has changed; if both changed, the later wins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Agreed:
    """What row and store last agreed on. The two texts differ if the row cannot keep the schedule exactly."""

    row: str
    store: str
    paused: bool

    @property
    def text(self) -> str:
        """The JSON that a row keeps."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: object) -> Agreed | None:
        """Return the agreement in a text, or None for any other text: then nothing was agreed yet."""
        try:
            found = cls(**json.loads(text))  # type: ignore[arg-type]
        except (TypeError, ValueError, RecursionError):
            return None
        fits = isinstance(found.row, str) and isinstance(found.store, str) and isinstance(found.paused, bool)
        return found if fits else None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its schedule as `Frequency.text`, whether it is paused, and when it changed, if that is known.

    `schedule_from_row` and `pause_from_row`: the store took them from the row. If the row differs then, a user changed it
    again before the agreement was kept in it.
    """

    schedule: str
    paused: bool
    changed_at: datetime | None = None
    schedule_from_row: bool = False
    pause_from_row: bool = False


class Follows(StrEnum):
    """Which side takes over the value of the other."""

    NEITHER = "neither"
    ROW = "row"
    STORE = "store"


def schedule_follows(row: Side, store: Side, agreed: Agreed | None) -> Follows:
    """Return which side takes over the other's schedule; a row without an agreement is the user's, and wins."""
    if row.schedule == store.schedule:
        return Follows.NEITHER
    if store.schedule_from_row:
        return Follows.STORE
    row_changed = agreed is None or row.schedule != agreed.row
    store_changed = agreed is not None and store.schedule != agreed.store
    if row_changed and store_changed:
        known = row.changed_at is not None and store.changed_at is not None
        later = known and row.changed_at < store.changed_at  # type: ignore[operator]
        return Follows.ROW if later else Follows.STORE
    if row_changed:
        return Follows.STORE
    return Follows.ROW if store_changed else Follows.NEITHER


def pause_follows(row: Side, store: Side, agreed: Agreed | None) -> Follows:
    """Return which side takes over the other's pause; without an agreement the side that is not paused becomes paused."""
    if row.paused == store.paused:
        return Follows.NEITHER
    if store.pause_from_row:
        return Follows.STORE
    paused = agreed is not None and agreed.paused
    return Follows.STORE if row.paused != paused else Follows.ROW
