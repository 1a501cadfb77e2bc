"""The rows of one process in memory, as the protocol reads and writes them."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from celery_process.instants import to_us
from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Tally
from celery_process.protocol.states import WorkList

K = TypeVar("K")
R = TypeVar("R")


@dataclass(slots=True)
class Kept:
    """All that is kept of one process. Of a run: its items by name, and the names on each of its open pages."""

    head: Head = field(default_factory=Head)
    overrides: Overrides = Overrides()
    history: tuple[Overrides, ...] = ()
    works: dict[str, Work] = field(default_factory=dict)
    statuses: dict[str, Status] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    pages: dict[tuple[int, int], Page] = field(default_factory=dict)
    items: dict[int, dict[str, Item]] = field(default_factory=lambda: defaultdict(dict))
    paged: dict[tuple[int, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    ledger: dict[datetime, SlotEntry] = field(default_factory=dict)


class MemoryRows:
    """See `Rows`. The lock of the store, which its caller holds, makes the unit atomic."""

    def __init__(self, process: str, kept: Kept, now: datetime) -> None:
        self.process, self.now, self.kept = process, now, kept

    def head(self, *, held: bool) -> Head:  # noqa: ARG002
        return self.kept.head

    def run(self, epoch: int, *, held: bool) -> Run | None:  # noqa: ARG002
        return self.kept.runs.get(epoch)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return next((run for run in self.kept.runs.values() if run.uuid == uuid), None)

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        of_slot = (run for run in self.kept.runs.values() if run.slot == slot)
        return max(of_slot, key=attrgetter("generation"), default=None)

    def open_run(self) -> Run | None:
        return next((run for run in self.kept.runs.values() if run.state.is_open), None)

    def runs(self, *, before: int | None, limit: int) -> Sequence[Run]:
        found = (run for run in self.kept.runs.values() if before is None or run.epoch < before)
        return sorted(found, key=attrgetter("epoch"), reverse=True)[:limit]

    def pages(self, epoch: int) -> Sequence[Page]:
        return [page for of_epoch, page in sorted(self.kept.pages.items()) if of_epoch[0] == epoch]

    def items(self, epoch: int, names: Collection[str]) -> Sequence[Item]:
        of_run = self.kept.items.get(epoch, {})
        return [of_run[name] for name in set(names) if name in of_run]

    def items_on(self, epoch: int, pages: Collection[int]) -> Sequence[Item]:
        of_run = self.kept.items.get(epoch, {})
        return [of_run[name] for page in sorted(pages) for name in sorted(self.kept.paged.get((epoch, page), ()))]

    def count_open(self, epoch: int) -> int:
        return sum(item.state.is_open for page in self.pages(epoch) for item in self.items_on(epoch, [page.number]))

    def enlisted(self, epoch: int, names: Collection[str]) -> Collection[str]:
        had = {status.name for status in self.statuses(names) if status.epoch == epoch}
        return had.union(item.name for item in self.items(epoch, names))

    def tallies(self, epoch: int) -> Sequence[Tally]:
        items = self.items_on(epoch, [page.number for page in self.pages(epoch)])
        return [Tally(item.on, item.state, item.outcome, item.totals) for item in items]

    def has_items(self, epoch: int) -> bool:
        return bool(self.kept.items.get(epoch))

    def empty(self, epochs: Collection[int], *, limit: int) -> int:
        found = [(epoch, name) for epoch in epochs for name in self.kept.items.get(epoch, ())][:limit]
        for epoch, name in found:
            del self.kept.items[epoch][name]
        return len(found)

    def works(self, names: Collection[str]) -> Sequence[Work]:
        return [self.kept.works[name] for name in set(names) if name in self.kept.works]

    def listed(self, on: WorkList, *, after: str, limit: int) -> Sequence[Work]:
        later = (work for work in self.kept.works.values() if work.on is on and work.name > after)
        return heapq.nsmallest(limit, later, key=attrgetter("name"))

    def dropped(self, *, kept: int, since: datetime, limit: int) -> Sequence[Work]:
        dropped = (work for work in self.kept.works.values() if work.on is WorkList.DROPPED)
        newest = sorted(dropped, key=attrgetter("listed_at", "name"), reverse=True)
        return [work for place, work in enumerate(newest) if place >= kept or work.listed_at <= since][:limit]

    def work_counts(self) -> Mapping[WorkList, int]:
        return Counter(work.on for work in self.kept.works.values())

    def statuses(self, names: Collection[str]) -> Sequence[Status]:
        return [self.kept.statuses[name] for name in set(names) if name in self.kept.statuses]

    def overrides(self) -> Overrides:
        return self.kept.overrides

    def history(self, *, limit: int) -> Sequence[Overrides]:
        return self.kept.history[:limit]

    def changed_since(self, at: datetime) -> bool:
        changed_at = self.kept.overrides.changed_at
        if changed_at is not None and changed_at >= at:
            return True
        return any(work.version >= to_us(at) for work in self.kept.works.values())

    def entry(self, slot: datetime) -> SlotEntry | None:
        return self.kept.ledger.get(slot)

    def entries(self, *, before: datetime | None, limit: int) -> Sequence[SlotEntry]:
        found = (entry for entry in self.kept.ledger.values() if before is None or entry.slot < before)
        return heapq.nlargest(limit, found, key=attrgetter("slot"))

    def oldest_entries(self, *, limit: int) -> Sequence[SlotEntry]:
        return heapq.nsmallest(limit, self.kept.ledger.values(), key=attrgetter("slot"))

    def count_entries(self) -> int:
        return len(self.kept.ledger)

    def write(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._write(change)

    def _write(self, change: Change) -> None:  # noqa: C901 - one branch a kind of row
        kept, gone = self.kept, change.new is None
        match change.row:
            case Head() as head:
                kept.head = head
            case Overrides() as overrides:
                self._override(overrides)
            case Work(name=name) as work:
                _put(kept.works, name, work, gone=gone)
                if gone:
                    kept.statuses.pop(name, None)
            case Status(name=name) as status:
                _put(kept.statuses, name, status, gone=gone)
            case Run(epoch=epoch) as run:
                _put(kept.runs, epoch, run, gone=gone)
                if gone:
                    self._forget(epoch)
            case Page() as page:
                _put(kept.pages, page.key, page, gone=gone)
                if gone:
                    kept.paged.pop(page.key, None)
            case Item(epoch=epoch, name=name) as item:
                _put(kept.items[epoch], name, item, gone=gone)
                if change.old is None:
                    kept.paged[epoch, item.page].add(name)
            case SlotEntry(slot=slot) as entry:
                _put(kept.ledger, slot, entry, gone=gone)

    def _forget(self, epoch: int) -> None:
        """Delete what goes with a run."""
        self.kept.items.pop(epoch, None)
        for page in self.pages(epoch):
            del self.kept.pages[page.key]
            self.kept.paged.pop(page.key, None)

    def _override(self, new: Overrides) -> None:
        if new.version > self.kept.overrides.version:
            kept = (old for old in self.kept.history if old.version > new.version - MAX_VERSIONS)
            self.kept.history = (new, *kept)
        self.kept.overrides = new


def _put(rows: dict[K, R], key: K, row: R, *, gone: bool) -> None:
    if gone:
        rows.pop(key, None)
    else:
        rows[key] = row
