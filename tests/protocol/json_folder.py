"""A store of JSON files in a folder, one a process: an example of what docs/stores.md asks for, without a database.

A unit locks its process, reads the file and replaces it. That is right for some hundred items, on one host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from fcntl import LOCK_EX, flock
from functools import cache
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from celery_process.exceptions import CannotJoin, CorruptData, SchemaMismatch, StoreError, StoreUnavailable
from celery_process.instants import from_us, to_us
from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Row, Tally, key_of
from celery_process.protocol.states import WorkList
from celery_process.protocol.unit import Unit, perform
from celery_process.stores.atomic import Answer
from celery_process.stores.one_by_one import OneByOne
from celery_process.stores.warning import StoreWarning

FORMAT = "1"
"""The version of the files, which `migrate` notes in the folder."""
HISTORY = "history"

R = TypeVar("R", bound=Row)


def encode(value: Any) -> Any:
    """Return a row, or a value in it, as what JSON has."""
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [encode(one) for one in value]
    if isinstance(value, Mapping):
        return {name: encode(one) for name, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: encode(getattr(value, name)) for name in names_of(value.__class__)}
    return value


@cache
def decoder(kind: Any) -> Callable[[Any], Any]:
    """Return what makes a value of a type of what `encode` made of it."""
    arguments = get_args(kind)
    if NoneType in arguments:
        (other,) = (decoder(one) for one in arguments if one is not NoneType)
        return lambda value: None if value is None else other(value)
    if get_origin(kind) is tuple and arguments[-1] is Ellipsis:
        of_all = decoder(arguments[0])
        return lambda values: tuple(of_all(value) for value in values)
    if get_origin(kind) is tuple:
        of_each = [decoder(one) for one in arguments]
        return lambda values: tuple(decode(value) for decode, value in zip(of_each, values, strict=True))
    if kind is datetime:
        return from_us
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind)
        of_field = {name: decoder(hints[name]) for name in names_of(kind)}
        return lambda found: kind(**{name: of_field[name](value) for name, value in found.items()})
    return lambda value: value


@cache
def names_of(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass."""
    return tuple(field.name for field in fields(kind))


class JsonRows:
    """The rows of one process, in a file that is locked until the unit ends."""

    def __init__(self, path: Path, process: str, now: datetime) -> None:
        self.process, self.now, self._path = process, now, path
        self._file: dict[str, list[Any]] = {}
        self._tables: dict[str, dict[object, Any]] = {}
        if path.exists():
            try:
                self._file = json.loads(path.read_bytes())
            except ValueError as error:
                raise CorruptData(f"{path} is no JSON; restore the file from a backup, or remove it.") from error

    # -- what a step reads

    def head(self, *, held: bool) -> Head:
        return self._table(Head).get((), Head())

    def run(self, epoch: int, *, held: bool) -> Run | None:
        return self._table(Run).get(epoch)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return next((run for run in self._all(Run) if run.uuid == uuid), None)

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        return max((run for run in self._all(Run) if run.slot == slot), key=lambda run: run.generation, default=None)

    def open_run(self) -> Run | None:
        return next((run for run in self._all(Run) if run.state.is_open), None)

    def runs(self, *, before: int | None, limit: int) -> Sequence[Run]:
        found = (run for run in self._all(Run) if before is None or run.epoch < before)
        return sorted(found, key=lambda run: run.epoch, reverse=True)[:limit]

    def pages(self, epoch: int) -> Sequence[Page]:
        return sorted((page for page in self._all(Page) if page.epoch == epoch), key=lambda page: page.number)

    def items(self, epoch: int, names: Collection[str]) -> Sequence[Item]:
        return self._picked(Item, [(epoch, name) for name in names])

    def items_on(self, epoch: int, pages: Collection[int]) -> Sequence[Item]:
        opened = self._table(Page)
        found = (
            item for item in self._all(Item) if item.epoch == epoch and item.page in pages and (epoch, item.page) in opened
        )
        return sorted(found, key=lambda item: (item.page, item.name))

    def count_open(self, epoch: int) -> int:
        return sum(item.state.is_open for item in self._on_open_pages(epoch))

    def enlisted(self, epoch: int, names: Collection[str]) -> Collection[str]:
        had = {status.name for status in self.statuses(names) if status.epoch == epoch}
        return had | {item.name for item in self.items(epoch, names)}

    def tallies(self, epoch: int) -> Sequence[Tally]:
        items = self._on_open_pages(epoch)
        return [
            Tally(item.on, item.state) if item.state.is_open else Tally(item.on, item.state, item.outcome, item.totals)
            for item in items
        ]

    def has_items(self, epoch: int) -> bool:
        return any(item.epoch == epoch for item in self._all(Item))

    def works(self, names: Collection[str]) -> Sequence[Work]:
        return self._picked(Work, names)

    def listed(self, on: WorkList, *, after: str, limit: int) -> Sequence[Work]:
        found = (work for work in self._all(Work) if work.on is on and work.name > after)
        return sorted(found, key=lambda work: work.name)[:limit]

    def dropped(self, *, kept: int, since: datetime, limit: int) -> Sequence[Work]:
        dropped = (work for work in self._all(Work) if work.on is WorkList.DROPPED)
        newest = sorted(dropped, key=lambda work: (work.listed_at, work.name), reverse=True)
        return [work for place, work in enumerate(newest) if place >= kept or work.listed_at <= since][-limit:]

    def work_counts(self) -> Mapping[WorkList, int]:
        lists = [work.on for work in self._all(Work)]
        return {on: lists.count(on) for on in WorkList}

    def statuses(self, names: Collection[str]) -> Sequence[Status]:
        return self._picked(Status, names)

    def overrides(self) -> Overrides:
        return self._table(Overrides).get((), Overrides())

    def history(self, *, limit: int) -> Sequence[Overrides]:
        versions = self._history().values()
        return sorted(versions, key=lambda one: one.version, reverse=True)[:limit]

    def changed_since(self, at: datetime) -> bool:
        stored = self.overrides().changed_at
        return (stored is not None and stored >= at) or any(work.version >= to_us(at) for work in self._all(Work))

    def entry(self, slot: datetime) -> SlotEntry | None:
        return self._table(SlotEntry).get(slot)

    def entries(self, *, before: datetime | None, limit: int) -> Sequence[SlotEntry]:
        found = (entry for entry in self._all(SlotEntry) if before is None or entry.slot < before)
        return sorted(found, key=lambda entry: entry.slot, reverse=True)[:limit]

    def oldest_entries(self, *, limit: int) -> Sequence[SlotEntry]:
        return sorted(self._all(SlotEntry), key=lambda entry: entry.slot)[:limit]

    def count_entries(self) -> int:
        return len(self._table(SlotEntry))

    # -- what a step writes

    def empty(self, epochs: Collection[int], *, limit: int) -> int:
        keys = list(islice((item.key for item in self._all(Item) if item.epoch in epochs), limit))
        for key in keys:
            del self._table(Item)[key]
        if keys:
            self._save()
        return len(keys)

    def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._write(change)
        if changes:
            self._save()

    def _write(self, change: Change) -> None:
        row, table = change.row, self._table(type(change.row))
        if change.new is not None:
            table[key_of(row)] = row
            if isinstance(row, Overrides):
                self._begin_version(row)
            return
        del table[key_of(row)]
        if isinstance(row, Work):
            self._table(Status).pop(row.name, None)
        elif isinstance(row, Run):
            for page in self.pages(row.epoch):
                del self._table(Page)[page.key]

    def _begin_version(self, overrides: Overrides) -> None:
        history = self._history()
        history.setdefault(overrides.version, overrides)
        for version in [one for one in history if one <= overrides.version - MAX_VERSIONS]:
            del history[version]

    # -- the file

    def _table(self, kind: type[R], name: str = "", key: Callable[[R], object] = key_of) -> dict[object, R]:
        name = name or kind.__name__
        if name not in self._tables:
            any_kind: Any = kind
            decode = decoder(any_kind)
            self._tables[name] = {key(row): row for row in map(decode, self._file.get(name, ()))}
        return self._tables[name]

    def _history(self) -> dict[Any, Overrides]:
        return self._table(Overrides, HISTORY, lambda overrides: overrides.version)

    def _all(self, kind: type[R]) -> Iterable[R]:
        return self._table(kind).values()

    def _picked(self, kind: type[R], keys: Iterable[object]) -> list[R]:
        table = self._table(kind)
        return [table[key] for key in set(keys) if key in table]

    def _on_open_pages(self, epoch: int) -> Sequence[Item]:
        return self.items_on(epoch, {page.number for page in self.pages(epoch)})

    def _save(self) -> None:
        tables = {name: [encode(row) for row in table.values()] for name, table in self._tables.items()}
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps(self._file | tables), encoding="ascii")
        new.replace(self._path)


class JsonFolder(OneByOne):
    """`json:///path/of/a/folder`, which `migrate` makes. `clock` returns the store's time; without it, this host's."""

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None, **_: Any) -> None:
        self.url, self._folder = url, Path(url.partition("://")[2])
        self._clock = clock or (lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self._clock()

    def atomically(self, operation: str, process: str, step: Callable[[Unit], Answer], *, using: Any = None) -> Answer:
        if using is not None:
            raise CannotJoin(f"A folder joins no transaction; call {operation} without using=.", using=using)
        with self._locked(operation, process):
            return perform(JsonRows(self._folder / f"{process}.json", process, self.now()), step)

    def processes(self) -> Collection[str]:
        return [path.name.removesuffix(".json") for path in self._folder.glob("*.json")]

    def check(self) -> tuple[StoreWarning, ...]:
        found = self._noted("format")
        if found != FORMAT:
            command = self.pasted("celery -A proj process migrate")
            raise SchemaMismatch(
                f"{self._folder} has files of version {found or 'none'}, not {FORMAT}; run {command}.",
                operation="check",
                found=found,
                wanted=FORMAT,
                command=command,
            )
        return ()

    def migrate(self) -> tuple[str, ...]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked("migrate", ".format"):
            if self._noted("format") == FORMAT:
                return ()
            self._note("format", FORMAT)
            return (f"made {self._folder}",)

    def deployment(self, own: str = "", *, adopt: bool = False) -> str:
        with self._locked("deployment", ".deployment"):
            known = self._noted("deployment")
            if own and (adopt or not known):
                self._note("deployment", own)
                return own
            return known

    def close(self) -> None:
        """Do nothing: a unit closes what it opened."""

    def _noted(self, name: str) -> str:
        # No process has a name that begins with a dot.
        path = self._folder / f".{name}"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _note(self, name: str, text: str) -> None:
        (self._folder / f".{name}").write_text(text, encoding="utf-8")

    @contextmanager
    def _locked(self, operation: str, name: str) -> Iterator[None]:
        # The kernel releases the lock when the file is closed, or its process has died.
        try:
            with (self._folder / f"{name}.lock").open("w") as lock:
                flock(lock, LOCK_EX)
                yield
        except StoreError:
            raise
        except OSError as error:
            raise StoreUnavailable(
                f"{operation}: {error}; look at the folder and its rights.", operation=operation
            ) from error
