"""What a store keeps of a process, as the steps of the protocol read and write it: its rows, in one atomic unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from celery_process.protocol import rules
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause, RunStatus, SlotEntry
from celery_process.protocol.states import RunState


@dataclass(frozen=True, slots=True)
class Head:
    """The process's own row. `epoch`: that of its last run. `rule`: the schedule that its slots follow, as text."""

    epoch: int
    last_slot: datetime | None
    rule: str
    paused: bool
    purge_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The row of a run, as far as its beginning goes."""

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
    items_purged: bool = False

    @property
    def id(self) -> str:
        """Its public id."""
        return rules.run_id(self.epoch, self.uuid)


class Rows(Protocol):
    """The rows of one process in one atomic unit.

    Reads see one moment, and all writes land together; a unit that lost a race against another is run again, so a step has
    no effect but its writes. A step reads all that it needs before it writes.
    """

    @property
    def process(self) -> str:
        """The name of the process."""

    @property
    def now(self) -> datetime:
        """The store's time."""

    def head(self) -> Head:
        """Return the row of the process, which is made if there is none; nobody else writes it until the unit ends."""

    def run_of_epoch(self, epoch: int) -> Run | None:
        """Return a run that is kept."""

    def run_of_uuid(self, uuid: str) -> Run | None:
        """Return the run that a caller began under this uuid."""

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        """Return the run of a slot with the highest generation."""

    def open_run(self) -> str | None:
        """Return the id of the run that is open."""

    def status(self, run: Run) -> RunStatus:
        """Return what people see of a run, also of one that this unit began."""

    def settings_version(self) -> int:
        """Return the version of the stored settings, 0 where there are none."""

    def changed_since(self, at: datetime) -> bool:
        """Whether the settings or a registration changed at `at` or later."""

    def active_works(self) -> int:
        """Return how many names are on the active list."""

    def entry(self, slot: datetime) -> SlotEntry | None:
        """Return the ledger's entry of a slot."""

    def last_entry_before(self, slot: datetime) -> datetime | None:
        """Return the last slot before `slot` that has an entry."""

    def entries(self) -> int:
        """Return how many entries the ledger has."""

    def begin_run(self, run: Run, last_slot: datetime) -> None:
        """Add a run, the newest of the process, and note its epoch and the last slot that the process ran."""

    def enter(self, entry: SlotEntry) -> None:
        """Write an entry of the ledger, in the place of one that the slot has."""

    def follow(self, rule: str) -> None:
        """Note the schedule that the slots follow from now on."""

    def make_purge_due(self) -> None:
        """Note that the next sweep purges."""

    def set_pause(self, pause: Pause | None) -> None:
        """Pause the process, or end its pause."""

    def limits(self) -> Limits | None:
        """Return the limits that are stored."""

    def set_limits(self, limits: Limits | None) -> None:
        """Store limits, or forget them."""

    def await_nobody(self) -> None:
        """Forget who was to come back for the next page of a run with a rate."""
