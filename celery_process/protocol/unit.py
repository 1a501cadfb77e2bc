"""What one step of the protocol has read, each row once, and what it changed of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar, cast

from celery_process.protocol import rules
from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Row, Rows, key_of

R = TypeVar("R", bound=Row)
Answer = TypeVar("Answer")
Key = tuple[type, object]


class Unit:
    """The rows of one process, as one step sees them: what it reads again is what it changed, and nothing is written yet.

    A step that raises has therefore written nothing. A row that it added is in none of its reads, for they ask the store.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, self.process = rows, rows.process
        self._old: dict[Key, Row | None] = {}
        self._new: dict[Key, Row | None] = {}

    @property
    def now(self) -> datetime:
        """The store's time; where a step waits for a row that it holds, it asks for the time after that."""
        return self.rows.now

    def head(self, *, held: bool = True) -> Head:
        """Return the process's own row; see `Rows.head`."""
        return self._known((Head, ()), lambda: self.rows.head(held=held))

    def run(self, run_id: str, *, held: bool = False) -> Run | None:
        """Return a run that is kept, by its public id; see `Rows.run`."""
        epoch = rules.epoch_of(run_id)
        found = self._of(self.rows.run(epoch, held=held)) if epoch else None
        return found if found is not None and found.id == run_id else None

    def run_of_epoch(self, epoch: int) -> Run | None:
        """Return a run that is kept."""
        return self._of(self.rows.run(epoch, held=False))

    def run_of_uuid(self, uuid: str) -> Run | None:
        """Return the run that a caller began under this uuid."""
        return self._of(self.rows.run_of_uuid(uuid))

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        """Return the run of a slot with the highest generation."""
        return self._of(self.rows.newest_run_of_slot(slot))

    def open_run(self) -> Run | None:
        """Return the run that was open when the unit began."""
        return self._of(self.rows.open_run())

    def runs(self, *, before: int | None = None, limit: int) -> list[Run]:
        """Return runs, newest first; see `Rows.runs`."""
        return self._all(self.rows.runs(before=before, limit=limit))

    def pages(self, run: Run) -> list[Page]:
        """Return the open pages of a run, in the order of their numbers."""
        return self._all(self.rows.pages(run.epoch)) if run.pages_open else []

    def items(self, run: Run, names: Collection[str]) -> dict[str, Item]:
        """Return the items of a run that have these names, by their names."""
        return {item.name: item for item in self._all(self.rows.items(run.epoch, names))}

    def items_on(self, run: Run, pages: Iterable[Page]) -> list[Item]:
        """Return the items of open pages, in the order of the pages and of their names."""
        numbers = [page.number for page in pages]
        return self._all(self.rows.items_on(run.epoch, numbers)) if numbers else []

    def works(self, names: Collection[str]) -> dict[str, Work]:
        """Return the registrations that have these names, by their names."""
        return {work.name: work for work in self._all(self.rows.works(names))} if names else {}

    def dropped(self, *, kept: int, since: datetime, limit: int) -> list[Work]:
        """Return dropped registrations past their time or number; see `Rows.dropped`."""
        return self._all(self.rows.dropped(kept=kept, since=since, limit=limit))

    def statuses(self, names: Collection[str]) -> dict[str, Status]:
        """Return how the last runs of these names ended, by their names."""
        return {status.name: status for status in self._all(self.rows.statuses(names))} if names else {}

    def overrides(self) -> Overrides:
        """Return the stored settings and schedule."""
        return self._known((Overrides, ()), self.rows.overrides)

    def entry(self, slot: datetime) -> SlotEntry | None:
        """Return the ledger's entry of a slot."""
        return self._of(self.rows.entry(slot))

    def add(self, row: Row) -> None:
        """Add a row, or put it in the place of the one that has its key."""
        key = _key(row)
        self._old.setdefault(key, None)
        self._new[key] = row

    def delete(self, *rows: Row) -> None:
        """Delete rows that were read."""
        for row in rows:
            self._old.setdefault(_key(row), row)
            self._new[_key(row)] = None

    def changes(self) -> list[Change]:
        """Return what the step changed, in the order in which it read or added the rows."""
        pairs = ((old, self._new[key]) for key, old in self._old.items())
        return [Change(old, new) for old, new in pairs if old != new]

    def _known(self, key: Key, read: Callable[[], R]) -> R:
        known = self._new.get(key)
        return cast("R", known) if known is not None else self._mine(key, read())

    def _of(self, row: R | None) -> R | None:
        """Return the unit's copy of a row: None for one that it deleted."""
        if row is None:
            return None
        key = _key(row)
        return cast("R | None", self._new[key]) if key in self._old else self._mine(key, row)

    def _all(self, rows: Iterable[R]) -> list[R]:
        return [mine for row in rows if (mine := self._of(row)) is not None]

    def _mine(self, key: Key, row: R) -> R:
        mine = self._new[key] = row if isinstance(row, SlotEntry | Overrides) else copied(row)
        self._old[key] = row
        return mine


def copied(row: R) -> R:
    """Return a copy of an entity. `dataclasses.replace` takes as long as the rest of a step together."""
    kind = type(row)
    return kind(*_FIELDS[kind](row))


_FIELDS: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*kind.__slots__) for kind in (Head, Work, Status, Run, Page, Item)
}


def _key(row: Row) -> Key:
    return type(row), key_of(row)


def perform(rows: Rows, step: Callable[[Unit], Answer]) -> Answer:
    """Run a step over rows and write what it changed; a step that raises writes nothing."""
    unit = Unit(rows)
    answer = step(unit)
    rows.write(unit.changes())
    return answer
