"""What a store keeps of a process: its own row, registrations, runs, pages, items, statuses. One class an entity.

A step of the protocol changes them in place, on copies that its `Unit` hands out. A mapping or tuple inside is replaced,
never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from celery_process.protocol import rules
from celery_process.protocol.limits import Limits, Pace
from celery_process.protocol.model import ErrorEntry, LimitBroken, Pause, Stats, WorkStatus
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, WorkList, WorkState, moved
from celery_process.protocol.tokens import task_of


@dataclass(slots=True)
class Head:
    """The process's own row. `epoch`: that of its newest run. `rule`: the schedule that its slots follow, as text."""

    epoch: int = 0
    last_slot: datetime | None = None
    rule: str = ""
    paused: Pause | None = None
    limits: Limits | None = None
    pace: Pace | None = None
    aggregate: Stats = field(default_factory=dict)
    swept_at: datetime | None = None
    purge_due: bool = False

    @property
    def key(self) -> tuple[()]:
        """There is one."""
        return ()


@dataclass(slots=True)
class Work:
    """A registration. `version` is the store's microsecond of its last change, and never repeats for a name."""

    name: str
    on: WorkList
    listed_at: datetime
    params: str
    version: int

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


@dataclass(slots=True)
class Status:
    """How the last run of a name ended: the run's epoch, and the version of the registration that it worked on."""

    name: str
    version: int
    epoch: int
    status: WorkStatus

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


@dataclass(slots=True)
class Run:
    """One run. `counts` and `stats` are those of its folded pages, by the fields of `ItemCounts`."""

    epoch: int
    uuid: str
    slot: datetime
    generation: int
    started_at: datetime
    listed_before: datetime
    settings_version: int
    defaults: str = "{}"
    work_limit: int | None = None
    error_limit: int | None = None
    redrives: tuple[int, ...] = ()
    state: RunState = RunState.ACTIVE
    reason: str = ""
    limit_broken: LimitBroken | None = None
    cursor: rules.Cursor | None = (WorkList.ACTIVE, "")
    pages_made: int = 0
    pages_open: int = 0
    progress_at: datetime | None = None
    finished_at: datetime | None = None
    notified_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    stats: Stats = field(default_factory=dict)
    total_errors: int = 0
    errors: tuple[ErrorEntry, ...] = ()
    last_error_at: datetime | None = None
    items_purged: bool = False
    repairs: Repairs = Repairs()

    @property
    def key(self) -> int:
        """Its epoch."""
        return self.epoch

    @property
    def id(self) -> str:
        """Its public id."""
        return rules.run_id(self.epoch, self.uuid)

    def move(self, to: RunState, reason: str) -> None:
        """Change the state along the table of transitions."""
        self.state, self.reason = moved(self.state, to), reason


@dataclass(slots=True)
class Page:
    """Names enlisted together: unit of publishing, of the window, and of folding. Its row goes when it is folded."""

    epoch: int
    number: int
    token: str
    on: WorkList
    opened_at: datetime

    @property
    def key(self) -> tuple[int, int]:
        """Its run and its number."""
        return self.epoch, self.number


@dataclass(slots=True)
class Item:
    """One name in one run."""

    epoch: int
    name: str
    on: WorkList
    page: int
    version: int
    state: ItemState = ItemState.PENDING
    token: str = ""
    sequence: int = 0
    attempt: int = 0
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dispatched_at: datetime | None = None
    dispatches: int = 0
    outcome: WorkState | None = None
    totals: Totals = Totals()
    error_count: int = 0
    errors: tuple[ErrorEntry, ...] = ()
    last_error_at: datetime | None = None

    @property
    def key(self) -> tuple[int, str]:
        """Its run and its name."""
        return self.epoch, self.name

    def move(self, to: ItemState) -> None:
        """Change the state along the table of transitions."""
        self.state = moved(self.state, to)

    def expired(self, now: datetime) -> bool:
        """Whether its holder's lease ran out."""
        return self.state is ItemState.CLAIMED and self.lease_until is not None and self.lease_until <= now

    def cut(self, latest: datetime) -> None:
        """Let a lease end at `latest` that ends later."""
        self.lease_until = self.lease_until and min(self.lease_until, latest)

    def offer(self) -> None:
        """Make the item pending and unpublished, free for any claim; until one comes it stays its last holder's."""
        self.lease_until, self.dispatched_at, self.dispatches = None, None, 0

    def free(self) -> None:
        """Take the item from its holder: with no token that could write."""
        self.offer()
        self.token = ""

    def status(self) -> WorkStatus:
        """Return what people see of the item."""
        state = WorkState.ACTIVE if self.state is ItemState.CLAIMED else rules.work_state(self.state, self.outcome)
        return WorkStatus(
            state=state or WorkState.NEW,
            stats=dict(self.totals.stats),
            errors=self.errors,
            last_error_at=self.last_error_at,
            total_errors=self.error_count,
            started_at=self.started_at,
            finished_at=self.finished_at,
            attempt=self.attempt,
            task_id=task_of(self.token),
        )
