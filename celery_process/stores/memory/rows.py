"""The rows that the memory store keeps, one class an entity of the run protocol."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from celery_process.instants import from_us
from celery_process.jsontext import decode
from celery_process.protocol import rules
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.limits import Limits, Pace
from celery_process.protocol.model import (
    ErrorEntry,
    ItemCounts,
    LimitBroken,
    Overrides,
    Pause,
    RunStatus,
    SlotEntry,
    WorkInfo,
    WorkStatus,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, WorkList, WorkState, moved
from celery_process.protocol.stats import Number
from celery_process.protocol.tokens import task_of


@dataclass
class Work:
    """A registration. `version` is the store's microsecond of its last change, and never repeats for a name."""

    on: WorkList
    listed_at: datetime
    params: str
    version: int


@dataclass
class Status:
    """How the last run of a name ended."""

    version: int
    epoch: int
    status: WorkStatus


@dataclass
class Item:
    """One name in one run."""

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


@dataclass
class Page:
    """Names enlisted together: unit of publishing, of the window, and of folding. A page goes when it is folded."""

    number: int
    token: str
    on: WorkList
    names: tuple[str, ...]
    opened_at: datetime


@dataclass
class Run:
    """One run with its open pages, and its items but for those of folded pages that completed."""

    process: str
    epoch: int
    uuid: str
    slot: datetime
    generation: int
    defaults: str
    work_limit: int | None
    settings_version: int
    started_at: datetime
    listed_before: datetime
    error_limit: int | None
    redrives: tuple[int, ...] = ()
    state: RunState = RunState.ACTIVE
    reason: str = ""
    limit_broken: LimitBroken | None = None
    cursor: rules.Cursor | None = (WorkList.ACTIVE, "")
    pages_made: int = 0
    pages: dict[int, Page] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    progress_at: datetime | None = None
    finished_at: datetime | None = None
    notified_at: datetime | None = None
    folded: Counter[str] = field(default_factory=Counter)
    stats: dict[str, Number] = field(default_factory=dict)
    total_errors: int = 0
    errors: tuple[ErrorEntry, ...] = ()
    last_error_at: datetime | None = None
    items_purged: bool = False
    repairs: Repairs = Repairs()

    @property
    def id(self) -> str:
        """The run's public id."""
        return rules.run_id(self.epoch, self.uuid)

    def move(self, to: RunState, reason: str) -> None:
        """Change the state along the table of transitions."""
        self.state, self.reason = moved(self.state, to), reason

    def on_page(self, page: Page) -> list[Item]:
        """Items of an open page."""
        return [self.items[name] for name in page.names]

    def paged(self) -> list[Item]:
        """Items of all open pages."""
        return [item for page in self.pages.values() for item in self.on_page(page)]

    def open_items(self) -> list[Item]:
        """Items that a worker may still work on."""
        return [item for item in self.paged() if item.state.is_open]

    def completed(self, name: str, on: WorkList) -> bool:
        """Whether this closed run completed a name of a list: it did if it walked past it and keeps no item of it."""
        item = self.items.get(name)
        if item is None:
            return rules.walked(self.cursor, on, name)
        return item.on is on and not rules.kept_after_fold(item.state, item.outcome)

    def status(self, *, live: bool = True) -> RunStatus:
        """Return what people see of the run: the folded pages and, live, the open ones."""
        paged = self.paged() if live else []
        counts = self.folded + Counter(rules.count_name(item.state, item.outcome) for item in paged)
        ended = [
            rules.item_stats(item.state, item.outcome, item.on, item.totals) for item in paged if not item.state.is_open
        ]
        return RunStatus(
            process=self.process,
            id=self.id,
            epoch=self.epoch,
            slot=self.slot,
            generation=self.generation,
            state=self.state,
            reason=self.reason,
            settings_version=self.settings_version,
            started_at=self.started_at,
            progress_at=self.progress_at or self.started_at,
            finished_at=self.finished_at,
            counts=ItemCounts(**counts),
            stats=rules.sum_stats([self.stats, *ended]),
            total_errors=self.total_errors,
            errors=self.errors,
            last_error_at=self.last_error_at,
            limit_broken=self.limit_broken,
        )


@dataclass
class Process:
    """All that is kept of one process."""

    name: str
    epoch: int = 0
    last_slot: datetime | None = None
    rule: str = ""
    paused: Pause | None = None
    limits: Limits | None = None
    pace: Pace | None = None
    overrides: Overrides = Overrides()
    history: tuple[Overrides, ...] = ()
    aggregate: dict[str, Number] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    statuses: dict[str, Status] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    ledger: dict[datetime, SlotEntry] = field(default_factory=dict)
    swept_at: datetime | None = None
    purge_due: bool = False

    @property
    def open_run(self) -> Run | None:
        """The run that is open; at most one is (I2)."""
        return next((run for run in self.runs.values() if run.state.is_open), None)

    def ended(self, name: str, epoch: int) -> WorkStatus | None:
        """Return how an item of the run of that epoch ended, or None where its status is not of that run."""
        kept = self.statuses.get(name)
        return kept.status if kept is not None and kept.epoch == epoch else None

    def override(self, new: Overrides) -> None:
        """Replace the overrides; those of a new version begin the history."""
        if new.version > self.overrides.version:
            self.history = (new, *(old for old in self.history if old.version > new.version - MAX_VERSIONS))
        self.overrides = new

    def info(self, name: str) -> WorkInfo:
        """Return what people see of a work item; while a run has it open, its live status."""
        work, run = self.works[name], self.open_run
        item = run.items.get(name) if run else None
        kept = self.statuses.get(name)
        last = kept.status if kept is not None and kept.version == work.version else None
        live, waits_in = None, ""
        if run is not None and item is not None and item.version == work.version and item.state is not ItemState.REMOVED:
            live, waits_in = item.status(), run.id if item.state is ItemState.PENDING else ""
        status = rules.status_seen(live, last, waits_in=waits_in)
        return WorkInfo(name, work.on, decode(work.params), from_us(work.version), work.listed_at, status)
