"""The contents of the store that were met, and how a step of the protocol makes one of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Any

from celery_process.protocol.entities import Head, Item, Run, Work
from celery_process.protocol.rows import Change
from celery_process.protocol.states import ItemState, WorkList, WorkState
from celery_process.protocol.unit import Unit
from celery_process.stores.memory.rows import Kept

from .bounds import Bounds, Fault
from .invariants import Before, broken_content, judge
from .rows import BEGAN, MINUTE, SECOND, Content, Gone, ModelRows, Table


def remembered(step: Callable[..., Any]) -> Callable[..., Any]:
    """Run a step once for each content and each list of arguments."""

    @wraps(step)
    def run(self: Driven, content: int, *args: Any) -> Any:
        key = (step.__name__, content, args)
        if key not in self._answers:
            self._answers[key] = step(self, content, *args)
        return self._answers[key]

    return run


class Driven:
    """Every content that was met, by number."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.table = bounds, Table()
        self.contents: list[Content] = []
        self.problems: list[str | None] = []
        self.ended = bytearray()
        """Of each content whether no run is open."""
        self._numbers: dict[Content, int] = {}
        self._answers: dict[Any, Any] = {}
        self.kept: Callable[[int], Kept] = lru_cache(maxsize=256)(self._read)

    def first(self) -> int:
        """Return the content at the beginning."""
        lists = {"A": "active", "C": "cleanup"}
        names = [chr(ord("a") + place) for place in range(len(self.bounds.names))]
        works = [
            Work(name, WorkList(lists[letter]), BEGAN, "{}", 1)
            for name, letter in zip(names, self.bounds.names, strict=True)
        ]
        rows = self.table.written((), [Change(None, row) for row in (Head(), *works)])
        return self._number(Content(rows, (), tuple((name, 1) for name in names)))

    def _read(self, content: int) -> Kept:
        return self.table.kept(self.contents[content].rows)

    def _number(self, content: Content) -> int:
        number = self._numbers.get(content)
        if number is None:
            number = self._numbers[content] = len(self.contents)
            self.contents.append(content)
            kept = self.table.kept(content.rows)
            self.problems.append(broken_content(kept, content, self.bounds.limit))
            self.ended.append(not any(run.state.is_open for run in kept.runs.values()))
        return number

    def run(self, content: int) -> Run | None:
        """Return the newest run."""
        kept = self.kept(content)
        return kept.runs.get(kept.head.epoch)

    def item(self, content: int, epoch: int, name: str) -> Item | None:
        """Return the item of a name in a run."""
        return self.kept(content).items.get(epoch, {}).get(name)

    def gone(self, content: int, epoch: int, name: str) -> Gone | None:
        """Return what is remembered of an item whose row was deleted."""
        return dict(self.contents[content].gone).get((epoch, name))

    def _now(self, content: int) -> Any:
        return BEGAN + self.kept(content).head.epoch * MINUTE + 2 * SECOND

    def _unit(self, content: int, now: Any = None, *, expired: tuple[int, Sequence[str]] | None = None) -> Unit:
        if expired is None:
            kept = self.kept(content)
        else:
            kept, (epoch, names) = self._read(content), expired
            items = kept.items[epoch]
            items.update({name: replace(items[name], lease_until=BEGAN) for name in names if items[name].lease_until})
        rows = ModelRows("p", kept, now or self._now(content))
        rows.with_statuses = self.bounds.fault is not Fault.STATUS_IGNORED
        return Unit(rows)

    def _do(self, content: int, step: Callable[..., Any], *args: Any, expired: Any = None) -> tuple[int, Any]:
        unit = self._unit(content, expired=expired)
        answer = step(unit, *args)
        return self._wrote(content, unit), answer

    def _wrote(self, content: int, unit: Unit) -> int:
        return self._write(content, [*unit.changes(), *unit.rows.emptied])

    def _write(self, content: int, changes: Sequence[Change], since: Any = None) -> int:
        was = self.contents[content]
        judge(Before(self.kept(content), dict(was.gone), self.bounds.whole), changes)
        gone = dict(was.gone)
        for change in changes:
            if isinstance(change.old, Item) and change.new is None:
                gone[change.old.key] = buried(change.old)
        rows = self.table.written(was.rows, changes)
        return self._number(Content(rows, tuple(sorted(gone.items())), since or was.since))


def buried(item: Item) -> Gone:
    """Return what is remembered of an item that is deleted; one that was open was completed by the same step."""
    completed = item.state.is_open or (item.state is ItemState.DONE and item.outcome is WorkState.COMPLETED)
    state = ItemState.DONE if item.state.is_open else item.state
    return Gone(item.on, state, completed, item.token, item.error_count)
