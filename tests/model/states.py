"""What the model remembers beside the rows: what each worker has in its hands, and what the world may still do."""

from __future__ import annotations

from typing import NamedTuple

IDLE, CLAIMING, WORKING, SETTLING, FOLDING, OPENING = range(6)
"""What a worker does next."""


class Worker(NamedTuple):
    """A worker with the names of its message that are still to do. `raised`: the first of them has had its error.

    `seen`: the claim that it decided on and has not written, as the numbers of rows before and after. `attempts` are those
    of its claims on `names`; `kept` are names and attempts of items whose outcomes it holds back.
    """

    phase: int
    epoch: int = 0
    names: tuple[str, ...] = ()
    seen: tuple[tuple[int, int], ...] = ()
    raised: bool = False
    page: int = 0
    attempts: tuple[int, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()


class Outside(NamedTuple):
    """What may still come from outside; `claimed`: a scheduler claimed a run and has not opened its first page yet."""

    registrations: int
    stops: int
    pauses: int
    claimed: bool = False


FREE = Worker(IDLE)
