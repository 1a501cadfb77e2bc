"""One process in a store under test, and rows to write there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Row
from celery_process.protocol.states import RunState, WorkList
from celery_process.protocol.unit import Unit
from celery_process.stores.atomic import Atomic
from celery_process.testing.clock import MovableClock
from celery_process.testing.rows.values import AT, FULL

Answer = TypeVar("Answer")
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Rig:
    """One process in a store. `native`: kinds of rows that its steps never write; a case that writes one is skipped."""

    store: Atomic
    process: str
    native: frozenset[type[Row]]

    def do(self, step: Callable[[Unit], Answer]) -> Answer:
        """Run a step."""
        return self.store.atomically("conformance", self.process, step)

    def read(self, name: str, *args: Any, **more: Any) -> Any:
        """Return what a read of `Rows` returns; rows as a list."""
        found = self.do(lambda unit: getattr(unit.rows, name)(*args, **more))
        return list(found) if isinstance(found, tuple) else found

    def write(self, *rows: Row) -> None:
        """Write rows, by one step that has read what is there under their keys."""
        self.need(*map(type, rows))

        def step(unit: Unit) -> None:
            for row in rows:
                _found(unit, row)
                unit.add(row)

        self.do(step)

    def delete(self, *rows: Row) -> None:
        """Delete rows, by one step that has read them."""
        self.need(*map(type, rows))
        self.do(lambda unit: unit.delete(*(found for row in rows if (found := _found(unit, row)) is not None)))

    def kept(self, row: Row) -> Row | None:
        """Return what is kept under the key of a row."""
        return self.do(lambda unit: _found(unit, row))

    def need(self, *kinds: type[Row]) -> None:
        """Skip the case if steps never write one of these kinds of rows."""
        for kind in kinds:
            if kind in self.native:
                pytest.skip(f"The store writes a {kind.__name__} in its own way.")

    def beside(self, process: str) -> Rig:
        """Return another process of the store."""
        return replace(self, process=process)


def _found(unit: Unit, row: Row) -> Row | None:
    match row:
        case Head():
            return unit.head()
        case Overrides():
            return unit.overrides()
        case Work(name=name):
            return unit.works([name]).get(name)
        case Status(name=name):
            return unit.statuses([name]).get(name)
        case Run(epoch=epoch):
            return unit.run_of_epoch(epoch)
        case Page(number=number, epoch=epoch):
            return next((page for page in unit.pages(run_row(epoch, pages_open=1)) if page.number == number), None)
        case Item(epoch=epoch, name=name):
            return unit.items(run_row(epoch), [name]).get(name)
        case SlotEntry(slot=slot):
            return unit.entry(slot)


@pytest.fixture
def clock() -> MovableClock:
    """Give the clock that the store under test is made with."""
    return MovableClock()


@pytest.fixture
def process() -> str:
    """Give a process name that no other case uses."""
    return f"rows-{uuid4().hex[:12]}"


@pytest.fixture
def native() -> Collection[type[Row]]:
    """Give the kinds of rows that steps never write in this store: a module may have its own."""
    return ()


@pytest.fixture
def rig(store: Atomic, process: str, native: Collection[type[Row]]) -> Rig:
    """Give a process that the store has never heard of."""
    return Rig(store, process, frozenset(native))


def run_row(epoch: int, **more: Any) -> Run:
    """Return a closed run of its own slot, unless `more` says otherwise."""
    of = {
        "epoch": epoch,
        "uuid": f"{epoch:032x}",
        "slot": AT + epoch % 10_000 * SECOND,
        "state": RunState.COMPLETED,
        "pages_open": 0,
    }
    full: Run = FULL[Run]
    return replace(full, **{**of, **more})


def work_row(name: str, on: WorkList = WorkList.ACTIVE, **more: Any) -> Work:
    """Return a registration."""
    full: Work = FULL[Work]
    return replace(full, name=name, on=on, **more)


def entry_row(second: int) -> SlotEntry:
    """Return an entry of the ledger, for a slot so many seconds later."""
    full: SlotEntry = FULL[SlotEntry]
    return replace(full, slot=AT + second * SECOND)


def page_row(number: int, epoch: int = 1) -> Page:
    """Return an open page."""
    full: Page = FULL[Page]
    return replace(full, epoch=epoch, number=number, token=f"{epoch}-{number}")


def item_row(name: str, page: int = 1, epoch: int = 1, **more: Any) -> Item:
    """Return an item, which is claimed."""
    full: Item = FULL[Item]
    return replace(full, name=name, page=page, epoch=epoch, **more)


def version_row(number: int) -> Overrides:
    """Return the overrides of a version."""
    full: Overrides = FULL[Overrides]
    return replace(full, version=number, settings=f'{{"number": {number}}}')


def names_of(rows: Collection[Any]) -> list[str]:
    """Return the names of rows."""
    return [row.name for row in rows]


def epochs_of(rows: Collection[Any]) -> list[int]:
    """Return the epochs of rows."""
    return [row.epoch for row in rows]


@pytest.fixture
def reopen() -> Callable[[Any], Atomic]:
    """Give what closes a store and returns it, or another one on the same rows."""

    def reopen(store: Any) -> Atomic:
        store.close()
        assert isinstance(store, Atomic)
        return store

    return reopen
