"""How much of everything a configuration has, and what can be planted in the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """A sentence of the protocol, and what stands in its place."""

    COUNTER_BARRIER = "a page is over when its counter is at zero, and each report counts down"
    NO_TOKEN = "a report is taken from whoever was given the item, whoever has it now"
    FENCE_BY_INSTANCE = "a report is taken for the run that is open, if an instance holds the item in it"
    NO_SWEEP = "nobody repairs what crashes left"
    LATE_CLOSE = "a run closes when no page is open, wherever its cursor is"
    REGISTRATIONS_IGNORED = "a clean-up drops its name and keeps its status, whatever was registered meanwhile"
    ALL_GO = "a fold deletes every item of its page, whether it completed or not"
    STATUS_IGNORED = "a run enlists a name that has no item, though its status is of this run"
    REPEATS_REFUSED = "a repeated outcome is a Conflict once its item is gone"
    ATTEMPT_ALONE = "an outcome is a repeat where the status is of its run and attempt, completed or not"
    CURSOR_TO_END = "a stop moves the cursor to the end"
    ROWS_ALONE = "a redrive takes a name without an item for one that was never enlisted"
    SWEEP_VOIDS = "the sweep takes the token of whoever it frees an item from"
    ANYBODY_RETURNS = "whoever was given an item may come back to it while it is free, whoever had it since"


@dataclass(frozen=True)
class Bounds:
    """How much of everything there is in one configuration, and the fault that is planted in it."""

    names: str = "AA"
    """A letter a name: on the list of (A)ctive items, or of (C)leanup."""
    whole: bool = False
    """Whether each operation is one unit, as in memory and on Redis; else its parts are units of their own, as on SQL."""
    workers: int = 2
    runs: int = 1
    page: int = 1
    window: int = 2
    batch: int = 1
    attempts: int = 2
    limit: int = 1
    """Errors that a run tolerates."""
    errors: bool = True
    registrations: int = 0
    ties: bool = False
    """Whether a registration may commit late, or in the microsecond in which the run began."""
    stops: int = 0
    replace: bool = False
    pauses: int = 0
    redrive: bool = False
    """Whether each run after the first redrives a closed one; of three runs, any but the first may be an ordinary one."""
    purge: bool = False
    hold: bool = False
    """Whether a worker may hold back an outcome, and report it together with a later one."""
    releases: bool = False
    lost_answers: bool = False
    takeover: bool = False
    """Whether a claim may take an item whose lease ran out, before the sweep does."""
    fault: Fault | None = None


class Broken(Exception):
    """An invariant that only the step itself can see to be broken."""
