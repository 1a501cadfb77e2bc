"""What the protocol needs of a store: to read the rows of one process, and to write what a step changed, at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, WorkList, WorkState

Row = Head | Work | Status | Run | Page | Item | SlotEntry | Overrides


@dataclass(frozen=True, slots=True)
class Change:
    """One row before and after a step: None before where it is new, None after where it is deleted.

    The head and the overrides of a process that has none are as `Rows` returned them, never None.
    """

    old: Row | None
    new: Row | None

    @property
    def row(self) -> Row:
        """The row as it is after, or, where it is deleted, as it was."""
        row = self.old if self.new is None else self.new
        assert row is not None
        return row


def key_of(row: Row) -> object:
    """Return what identifies a row among those of its kind, and orders it."""
    if isinstance(row, SlotEntry):
        return row.slot
    return () if isinstance(row, Overrides) else row.key


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items of open pages are alike: of one list, in one state. Those that are open count without their totals.

    A store may return one for each item.
    """

    on: WorkList
    state: ItemState
    outcome: WorkState | None = None
    totals: Totals = Totals()
    items: int = 1


class Rows(Protocol):
    """The rows of one process in one atomic unit: the reads see one moment, and `write` lands whole or not at all.

    A store that finds, at the write, that something which was read has changed since runs the step again on new rows. Lists
    of names have no order and may name what is not there; what is returned of them has no order either.
    """

    @property
    def process(self) -> str:
        """The name of the process."""

    @property
    def now(self) -> datetime:
        """The store's time, the same for the whole unit."""

    def head(self, *, held: bool) -> Head:
        """Return the process's own row; with `held` nobody else writes it until the end. Without one, an empty `Head`."""

    def run(self, epoch: int, *, held: bool) -> Run | None:
        """Return a run; with `held` nobody else writes its row until the unit ends. A step holds the run before the head."""

    def run_of_uuid(self, uuid: str) -> Run | None:
        """Return the run that a caller began under this uuid."""

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        """Return the run of a slot with the highest generation."""

    def open_run(self) -> Run | None:
        """Return the run that is open; at most one is (I2)."""

    def runs(self, *, before: int | None, limit: int) -> Sequence[Run]:
        """Return runs with an epoch below `before` (None: all), newest first."""

    def pages(self, epoch: int) -> Sequence[Page]:
        """Return the open pages of a run, in the order of their numbers."""

    def items(self, epoch: int, names: Collection[str]) -> Sequence[Item]:
        """Return the items of a run that have these names."""

    def items_on(self, epoch: int, pages: Collection[int]) -> Sequence[Item]:
        """Return the items of open pages, in the order of the pages and of their names."""

    def count_open(self, epoch: int) -> int:
        """Return how many items of a run's open pages are open themselves."""

    def enlisted(self, epoch: int, names: Collection[str]) -> Collection[str]:
        """Return those of the names of which the run has an item, or had one: their status is of it."""

    def tallies(self, epoch: int) -> Sequence[Tally]:
        """Return what the items of a run's open pages are, those that are alike as one."""

    def has_items(self, epoch: int) -> bool:
        """Whether a run has any item."""

    def empty(self, epochs: Collection[int], *, limit: int) -> int:
        """Delete up to about `limit` items of closed runs, and return how many.

        At once, and not with the changes of the step: they are many, and no step decides by them.
        """

    def works(self, names: Collection[str]) -> Sequence[Work]:
        """Return the registrations that have these names."""

    def listed(self, on: WorkList, *, after: str, limit: int) -> Sequence[Work]:
        """Return the registrations on a list whose names come after a name, in name order (by code point)."""

    def dropped(self, *, kept: int, since: datetime, limit: int) -> Sequence[Work]:
        """Return registrations that were dropped at `since` or before, or are not among the `kept` that were dropped last.

        They are held; those that another unit holds may be left out.
        """

    def work_counts(self) -> Mapping[WorkList, int]:
        """Return how many registrations each list has; one that has none may be left out."""

    def statuses(self, names: Collection[str]) -> Sequence[Status]:
        """Return how the last runs of these names ended."""

    def overrides(self) -> Overrides:
        """Return the stored settings and schedule; those of version 0 where there are none."""

    def history(self, *, limit: int) -> Sequence[Overrides]:
        """Return the versions of the overrides, newest first."""

    def changed_since(self, at: datetime) -> bool:
        """Whether the overrides or a registration changed at `at` or later."""

    def entry(self, slot: datetime) -> SlotEntry | None:
        """Return the ledger's entry of a slot."""

    def entries(self, *, before: datetime | None, limit: int) -> Sequence[SlotEntry]:
        """Return the ledger's entries for slots before `before` (None: all), newest first."""

    def oldest_entries(self, *, limit: int) -> Sequence[SlotEntry]:
        """Return the ledger's oldest entries."""

    def count_entries(self) -> int:
        """Return how many entries the ledger has."""

    def write(self, changes: Sequence[Change]) -> None:
        """Write what a step changed, all of it or nothing.

        A row was read before, or was looked for and was not there; an item is new together with its page.

        A version of the overrides that is new is added to the history, and those that are lower by `kept.MAX_VERSIONS` or
        more are deleted; the same version leaves the history as it is. With a run its pages are deleted, with a
        registration its status. Called without changes too, as what was read has to be of one moment.
        """
