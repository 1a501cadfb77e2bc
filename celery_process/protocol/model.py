"""What stores keep, and what operations take and return: frozen dataclasses that do not grow with the number of items.

Instants are aware UTC datetimes. Params and settings travel as the JSON text of `values.encode`, except in what people
read (`WorkInfo`, `ProcessState`, `SettingsVersion`), where they are dicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from celery_process.protocol.limits import Limits
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import (
    ClaimAnswer,
    PageAnswer,
    RunAnswer,
    RunState,
    SlotEnd,
    WorkList,
    WorkState,
)
from celery_process.protocol.stats import Number

Stats = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One recorded error: its text (≤ 1,024 characters), when, and the item it belongs to (None: the run)."""

    text: str
    at: datetime
    work: str | None = None


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items of a run are in which state; items not yet enlisted are not among them."""

    pending: int = 0
    claimed: int = 0
    completed: int = 0
    incomplete: int = 0
    aborted: int = 0
    cancelled: int = 0
    lost: int = 0
    removed: int = 0

    @property
    def enlisted(self) -> int:
        """All items that the run has taken from the lists so far."""
        return sum(getattr(self, item.name) for item in fields(self))

    @property
    def ended(self) -> int:
        """The items of the run that ended."""
        return self.enlisted - self.pending - self.claimed


@dataclass(frozen=True, slots=True)
class LimitBroken:
    """The limit whose breach aborted a run: the errors of one item, `work`, or of the run as a whole (None)."""

    work: str | None
    errors: int
    tolerated: int

    def __str__(self) -> str:
        of = "the run" if self.work is None else f"the item {self.work!r}"
        return f"{of} had {self.errors:,} errors and may have {self.tolerated:,}"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run. `stats` of an open run include its items that ended so far; `limit_broken` is why it was aborted."""

    process: str
    id: str
    epoch: int
    slot: datetime
    generation: int
    state: RunState
    reason: str
    settings_version: int
    started_at: datetime
    progress_at: datetime
    finished_at: datetime | None
    counts: ItemCounts
    stats: Stats
    total_errors: int
    errors: tuple[ErrorEntry, ...]
    last_error_at: datetime | None = None
    limit_broken: LimitBroken | None = None

    @property
    def cause(self) -> str:
        """Why the run ended early, or ends so: its reason and, where it was aborted, the limit that was broken."""
        return self.reason if self.limit_broken is None else f"{self.reason}: {self.limit_broken}"


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of a process: why, by whom, since when."""

    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Overrides:
    """What `update_settings` stored: it wins over the code (B5). `settings` and `schedule` are JSON or None."""

    settings: str | None = None
    schedule: str | None = None
    version: int = 0
    changed_at: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class StoredProcess:
    """What a store keeps of a process, without the code's defaults."""

    name: str
    last_slot: datetime | None = None
    paused: Pause | None = None
    overrides: Overrides = Overrides()
    run: RunStatus | None = None
    aggregate_stats: Stats = field(default_factory=dict)
    epoch: int = 0
    """The number of its newest run, which may not be kept any more."""
    limits: Limits | None = None
    """What `update_limits` stored."""
    swept_at: datetime | None = None
    """When a sweep last took it; a sweep leaves out a process with nothing open."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What `Process.state()` returns: the stored state with the code's defaults filled in."""

    name: str
    schedule_frequency: Any
    settings: Mapping[str, Any]
    settings_version: int
    paused: Pause | None
    run: RunStatus | None
    aggregate_stats: Stats
    limits: Limits
    """The limits in force; with `at` and `by` if at least one of them was stored."""
    defined: bool = True
    """Whether this app's code defines it; else the store alone knows it, and settings and limits are what is stored."""


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """One version of the stored settings. None: no settings, or no schedule, were stored, and the code's were in force."""

    version: int
    settings: Mapping[str, Any] | None
    schedule_frequency: Any
    changed_at: datetime | None
    by: str


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """How the last run of an item went; NEW if its registration changed since.

    `finished_at` is when it finished its work: an INCOMPLETE item has none (B22). `waits_in` is the id of the open run
    in which the item waits to be claimed; until it is, the other fields are of the run before (B14). `task_id` is the id
    of the Celery task of the last attempt: search the worker's log for it.
    """

    state: WorkState = WorkState.NEW
    stats: Stats = field(default_factory=dict)
    errors: tuple[ErrorEntry, ...] = ()
    total_errors: int = 0
    last_error_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    waits_in: str = ""
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class WorkInfo:
    """One registered work item with its last status. `listed_at`: since when it is on its list."""

    name: str
    on: WorkList
    params: Mapping[str, Any]
    changed_at: datetime
    listed_at: datetime
    status: WorkStatus = WorkStatus()


@dataclass(frozen=True, slots=True)
class SlotEntry:
    """How a slot ended. With `after`, the entry stands for every slot later than `after`, up to `slot`.

    `by`: who triggered it, by the schedule or by hand; a trigger by the schedule (`states.By`) stays when it is run again.
    """

    slot: datetime
    end: SlotEnd
    at: datetime
    by: str
    run_id: str | None = None
    after: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewestSlot:
    """The newest entry of a process's ledger, without the process's name.

    `scheduled`: whether the ledger has any slot that the schedule triggered (`states.By`); else people alone run it.
    """

    slot: datetime
    end: SlotEnd
    by: str
    scheduled: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class RunSpec:
    """The default settings (JSON) and the tolerance of the code, kept with the run."""

    defaults: str = "{}"
    work_limit: int | None = 10
    run_limit: int | None = 25
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class SlotRef:
    """A slot to claim or to end. `due_at` is the slot plus its jitter.

    With `after`, the slots later than that, up to `slot`, end together. `previous` is the occurrence before the first of
    them by `schedule`, the schedule in force as text; slots between the last one in the ledger and `previous` were missed.
    Nothing was missed if the schedule changed since that last one, for nobody knows which slots were due then.
    """

    slot: datetime
    due_at: datetime
    previous: datetime | None = None
    schedule: str = ""
    after: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunClaim:
    """The answer to `claim_run`: the run claimed, or the id of the open one in the way; `due_in` with NOT_DUE."""

    answer: RunAnswer
    run: RunStatus | None = None
    due_in: timedelta = timedelta(0)
    open_run: str | None = None

    @property
    def run_id(self) -> str:
        """The id of the run claimed or in the way, or an empty text."""
        return self.run.id if self.run is not None else self.open_run or ""


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to `open_page`: the names to publish, all from one list; `run` where the call closed the run.

    With LATER the rate allows no page yet: this caller asks again after `due_in`, and no other caller is answered LATER.
    """

    answer: PageAnswer
    on: WorkList = WorkList.ACTIVE
    names: tuple[str, ...] = ()
    run: RunStatus | None = None
    due_in: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ItemClaim:
    """The answer to `claim` for one item. The fields after `answer` are set with CLAIMED only."""

    name: str
    answer: ClaimAnswer
    on: WorkList = WorkList.ACTIVE
    attempt: int = 0
    epoch: int = 0
    params: str = "{}"
    params_version: int = 0
    settings: str = "{}"
    settings_version: int = 0
    slot: datetime | None = None
    generation: int = 0
    run_started_at: datetime | None = None
    limits: Limits | None = None
    """The stored limits of the process; None: those of the code."""

    @property
    def fencing_token(self) -> int:
        """Epoch · 2¹⁶ + attempt: rises with every claim of the item, so a resource can refuse an older one.

        Over what a store loses as well, since epochs are at least its seconds since 2026: see `begin`.
        """
        return self.epoch * 2**16 + self.attempt


@dataclass(frozen=True, slots=True)
class SweepTarget:
    """A process that a sweep took; `last_sweep` is when the sweep before took it."""

    process: str
    open_run: str | None = None
    unnotified: tuple[str, ...] = ()
    purge_due: bool = False
    last_sweep: datetime | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """The repair of one open run: items to publish by list, repairs to emit, the run if it closed."""

    publish: tuple[tuple[WorkList, tuple[str, ...]], ...] = ()
    single: frozenset[str] = frozenset()
    """Names to publish that had an attempt before: each goes into a message of its own, as it may have killed its worker."""
    repairs: Repairs = Repairs()
    stopping: bool = False
    run: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept of dropped items, closed runs and ended slots; see `purge`."""

    dropped_for: timedelta = timedelta(days=30)
    dropped: int = 10_000
    runs_with_items: int = 2
    runs: int = 50
    slots: int = 1_000


REASON_LOST = "lost"
"""`RunStatus.reason` of a run that is INCOMPLETE because an item was lost; else a `StopReason` or empty."""
