"""What a scheduler's row and the store make of each other's changes: a three-way merge. Pure decisions.

The row remembers what both last agreed on. What differs from that has changed; where both changed, the later wins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Agreed:
    """What row and store last agreed on. The texts may differ where the row cannot hold what the store does."""

    row: str
    store: str
    paused: bool

    @property
    def text(self) -> str:
        """The JSON that a row remembers."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: object) -> Agreed | None:
        """Return what `text` wrote down, or None for what is not that: then nothing was agreed yet."""
        try:
            found = cls(**json.loads(text))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        fits = isinstance(found.row, str) and isinstance(found.store, str) and isinstance(found.paused, bool)
        return found if fits else None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its schedule as `Frequency.text`, whether it is paused, and when it changed, if that is known.

    `schedule_given` and `pause_given` say of the store that it has them from the row: who differs then is the row, which
    somebody changed again before it remembered that.
    """

    schedule: str
    paused: bool
    changed_at: datetime | None = None
    schedule_given: bool = False
    pause_given: bool = False


class Follows(StrEnum):
    """Which side takes over what the other says."""

    NEITHER = "neither"
    ROW = "row"
    STORE = "store"


def schedule_follows(row: Side, store: Side, agreed: Agreed | None) -> Follows:
    """Return which side takes the other's schedule; a row that nothing was agreed with is the user's, and is scheduled."""
    if row.schedule == store.schedule:
        return Follows.NEITHER
    if store.schedule_given:
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
    """Return which side takes the other's pause; where nothing was agreed, who is not paused becomes so."""
    if row.paused == store.paused:
        return Follows.NEITHER
    if store.pause_given:
        return Follows.STORE
    paused = agreed is not None and agreed.paused
    return Follows.STORE if row.paused != paused else Follows.ROW
