"""The rows of a process as one immutable value, and back: what the model counts as one content of a store.

Left out is what no modelled step looks at: texts, stats, the ledger, and all instants but those of registrations and runs.
So two contents that no step can tell apart are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import WorkStatus
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Totals
from celery_process.protocol.rows import Change, Row
from celery_process.protocol.states import WorkList
from celery_process.stores.memory.rows import Kept, MemoryRows

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
"""Before the year from which epochs are seconds, so that the epochs of the model are 1, 2, 3."""
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LATER = BEGAN + timedelta(days=1)
"""When every lease ends."""

Key = tuple[str, Any]


class Gone(NamedTuple):
    """What the model remembers of an item whose row was deleted, to judge by; the protocol does not see it."""

    on: WorkList
    state: str
    completed: bool
    token: str
    error_count: int


class Content(NamedTuple):
    """What a store has: the numbers of its rows; and what the model remembers of it.

    `gone`: deleted items by epoch and name. `since`: of each name the first epoch that begins after its registration.
    """

    rows: tuple[int, ...]
    gone: tuple[tuple[tuple[int, str], Gone], ...] = ()
    since: tuple[tuple[str, int], ...] = ()


class Table:
    """Every row that was ever met, each once, by number."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.rows: list[Row] = []
        self.keys: list[Key] = []

    def number(self, row: Row) -> int:
        """Return the number of a row, and of those that are the same to the model."""
        coded = code(row)
        number = self._numbers.get(coded)
        if number is None:
            number = self._numbers[coded] = len(self.rows)
            self.rows.append(_plain(row))
            self.keys.append(coded[:2])
        return number

    def kept(self, numbers: Iterable[int]) -> Kept:
        """Return rows as the memory store keeps them."""
        kept = Kept()
        for number in numbers:
            row = self.rows[number]
            match row:
                case Head():
                    kept.head = row
                case Work():
                    kept.works[row.name] = row
                case Status():
                    kept.statuses[row.name] = row
                case Run():
                    kept.runs[row.epoch] = row
                case Page():
                    kept.pages[row.key] = row
                case Item():
                    kept.items[row.epoch][row.name] = row
                    kept.paged[row.epoch, row.page].add(row.name)
        return kept

    def written(self, numbers: Iterable[int], changes: Iterable[Change]) -> tuple[int, ...]:
        """Return the numbers of the rows after changes to them."""
        rows = {self.keys[number]: number for number in numbers}
        for change in changes:
            coded = code(change.row)
            if coded is None:
                continue
            if change.new is None:
                rows.pop(coded[:2], None)
            else:
                rows[coded[:2]] = self.number(change.new)
        return tuple(sorted(rows.values()))


class ModelRows(MemoryRows):
    """The rows of one step, at a time that the model chooses. Written is by the model, which has the changes of the unit."""

    with_statuses = True

    def __init__(self, process: str, kept: Kept, now: datetime) -> None:
        super().__init__(process, kept, now)
        self.emptied: list[Change] = []

    def empty(self, epochs: Any, *, limit: int) -> int:
        found = [item for epoch in epochs for item in self.kept.items.get(epoch, {}).values()][:limit]
        self.emptied.extend(Change(item, None) for item in found)
        return len(found)

    def enlisted(self, epoch: int, names: Any) -> Any:
        if self.with_statuses:
            return super().enlisted(epoch, names)
        return {item.name for item in self.items(epoch, names)}


def code(row: Row) -> Any:
    """Return what a row is to the model, its kind and key first; None of a row that it leaves out."""
    match row:
        case Item():
            late = row.lease_until is not None
            totals = row.totals.error_count
            more = (row.on, row.page, row.version, row.state, row.token, row.sequence, row.attempt, late, row.outcome)
            return "item", row.key, *more, totals, row.error_count
        case Page():
            return "page", row.key, row.on, row.token if row.token.isdigit() else ""
        case Run():
            counts = tuple(sorted(row.counts.items()))
            more = (row.uuid, row.slot, row.generation, row.listed_before, row.error_limit, row.redrives, row.items_purged)
            state = (row.state, row.reason, row.cursor, row.pages_made, row.pages_open, row.total_errors)
            return "run", row.epoch, *state, *more, counts
        case Work():
            return "work", row.name, row.on, _listed_at(row), row.version
        case Status():
            return "status", row.name, row.epoch, row.status.state, row.status.attempt
        case Head():
            return "head", (), row.epoch, row.last_slot, row.paused is not None
    return None


def _listed_at(work: Work) -> datetime:
    return BEGAN if work.on is WorkList.DROPPED else work.listed_at


def _plain(row: Row) -> Row:
    """Return a row with nothing in it that its code has not."""
    match row:
        case Item():
            more: Mapping[str, Any] = {"started_at": None, "finished_at": None, "dispatched_at": None, "dispatches": 0}
            lease = row.lease_until and LATER
            totals = Totals(error_count=row.totals.error_count)
            return replace(row, lease_until=lease, totals=totals, errors=(), last_error_at=None, **more)
        case Page():
            return replace(row, token=row.token if row.token.isdigit() else "", opened_at=BEGAN)
        case Run():
            more = {"progress_at": None, "finished_at": None, "last_error_at": None, "limit_broken": None, "stats": {}}
            return replace(row, started_at=row.slot, errors=(), repairs=Repairs(), **more)
        case Work():
            return replace(row, listed_at=_listed_at(row))
        case Status():
            return Status(row.name, 0, row.epoch, WorkStatus(row.status.state, attempt=row.status.attempt))
        case Head():
            return Head(row.epoch, row.last_slot, paused=row.paused)
    return row
