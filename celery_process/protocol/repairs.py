"""What sweeps did to a run, kept with it until it was emitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repairs:
    """What sweeps did to a run and nobody acknowledged: leases that ran out, and names given up as lost.

    `number` counts the sweeps that did something. A run keeps it when the rest is acknowledged, so it never repeats.
    """

    number: int = 0
    expired: int = 0
    lost: tuple[str, ...] = ()

    def following(self, expired: int, lost: Sequence[str]) -> Repairs:
        """Return these with what one more sweep did."""
        return Repairs(self.number + 1, self.expired + expired, (*self.lost, *lost))

    def acknowledged(self, number: int) -> Repairs:
        """Return what is kept after those of a number were emitted: all of it if another sweep did something since."""
        return Repairs(number) if number == self.number else self
