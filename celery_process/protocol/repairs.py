"""What sweeps did to a run, kept with it until it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repairs:
    """What sweeps did to a run and nobody acknowledged: leases that ran out, and names given up as lost.

    `number` is that of the last sweep in it. A run keeps the number when the rest is acknowledged, so that none comes twice.
    """

    number: int = 0
    expired: int = 0
    lost: tuple[str, ...] = ()

    def following(self, expired: int, lost: Sequence[str]) -> Repairs:
        """Return these and what one more sweep did."""
        return Repairs(self.number + 1, self.expired + expired, (*self.lost, *lost))

    def acknowledged(self, number: int) -> Repairs:
        """Return what is left once those of a number were told: all of it, if there was one more sweep since."""
        return Repairs(number) if number == self.number else self
