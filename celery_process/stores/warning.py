"""What a store warns of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """What a store warns of, and what to do. `fault`: something may be lost at any time, for it is wrong already."""

    text: str
    cure: str
    fault: bool = False

    def __str__(self) -> str:
        """Return the whole of it."""
        return f"{self.text} {self.cure}"
