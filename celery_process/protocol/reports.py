"""What the holders of claims report to the store, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from celery_process.protocol.model import ErrorEntry, RunStatus, Stats
from celery_process.protocol.states import Progress, WorkState


@dataclass(frozen=True, slots=True)
class Totals:
    """What one attempt has counted so far, in absolute numbers. Texts: the first 10 / 25 only."""

    stats: Stats = field(default_factory=dict)
    run_stats: Stats = field(default_factory=dict)
    errors: tuple[ErrorEntry, ...] = ()
    error_count: int = 0
    run_errors: tuple[ErrorEntry, ...] = ()
    run_error_count: int = 0


@dataclass(frozen=True, slots=True)
class ItemReport:
    """What the holder of a claim reports. `sequence` rises with each report of an attempt; an older one writes nothing.

    The two versions are those that the handler works with; a report with an older one is answered Merged. `attempt` is
    that of the claim: by it a repeated outcome is recognised after the item was deleted with its page.
    """

    name: str
    sequence: int
    totals: Totals
    params_version: int
    settings_version: int
    outcome: WorkState | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """The answer to one `ItemReport`; with MERGED it has the new params and settings (JSON) and their versions."""

    name: str
    progress: Progress
    params: str = "{}"
    params_version: int = 0
    settings: str = "{}"
    settings_version: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to `report` and `release`.

    `stopping`: this call made the run ABORTING, so the caller cancels its pending items. `aborting`: the run is ABORTING,
    so nothing more of it is started. `page_closed`: the call closed a page, so another may be opened. `run`: the call
    closed the run, and the caller emits its end.
    """

    items: tuple[ItemAnswer, ...] = ()
    stopping: bool = False
    aborting: bool = False
    page_closed: bool = False
    run: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether a call closed a page, and the run if it closed that."""

    page_closed: bool = False
    run: RunStatus | None = None

    def __or__(self, other: Settled) -> Settled:
        return Settled(self.page_closed or other.page_closed, self.run or other.run)
