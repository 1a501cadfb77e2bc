"""Each field of each row comes back, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

import pytest

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Row
from celery_process.protocol.states import WorkList
from celery_process.testing.rows.rig import SECOND, Rig, entry_row, item_row, page_row, run_row, version_row, work_row
from celery_process.testing.rows.values import AT, FIXED, FULL, VALUES


@pytest.mark.parametrize(
    ("kind", "field"), [pytest.param(kind, name, id=f"{kind.__name__}-{name}") for kind in VALUES for name in VALUES[kind]]
)
def test_field(rig: Rig, kind: type[Row], field: str) -> None:
    """Each value of a field comes back, from a new row and, if steps change it, from one that had another value."""
    if field == "pages_open":
        rig.need(Page)  # what writes pages counts them
    values = VALUES[kind][field]
    rows = [replace(FULL[kind], **{field: value}) for value in values]
    if field not in FIXED[kind]:
        rows += [FULL[kind], rows[0]]
    for number, row in enumerate(rows):
        own = rig.beside(f"{rig.process}-{number}") if field in FIXED[kind] else rig
        before = [page_row(row.page, row.epoch)] if isinstance(row, Item) and own.kept(row) is None else []
        own.write(*before, row)
        assert own.kept(row) == row


@pytest.mark.parametrize("kind", [Work, Status, Run, SlotEntry, Item], ids=attrgetter("__name__"))
def test_change_of_one(rig: Rig, kind: type[Row]) -> None:
    """A change and a deletion of one row leave the others as they are."""
    pairs: Mapping[type[Row], tuple[list[Any], Mapping[str, Any]]] = {
        Work: ([work_row("a"), work_row("A"), work_row("a ")], {"params": "[]"}),
        Status: ([replace(FULL[Status], name=name) for name in ("a", "A", "a ")], {"epoch": 99}),
        Run: ([run_row(1), run_row(2), run_row(11)], {"total_errors": 99}),
        SlotEntry: ([entry_row(1), entry_row(2), entry_row(11)], {"by": "another"}),
        Item: ([item_row("a"), item_row("A"), item_row("a ")], {"sequence": 99}),
    }
    rows, change = pairs[kind]
    rig.write(*([page_row(1)] if kind is Item else []), *rows)
    changed = replace(rows[0], **change)
    rig.write(changed)
    assert [rig.kept(row) for row in rows] == [changed, *rows[1:]]
    if kind is not Item:  # items are deleted with their page
        rig.delete(changed)
        assert [rig.kept(row) for row in rows] == [None, *rows[1:]]


def test_no_change(rig: Rig) -> None:
    """A step that changes nothing, or puts in place what is there, leaves what is there."""
    rows = (work_row("a"), run_row(1), entry_row(1), version_row(1), FULL[Head])
    rig.write(*rows)
    for _ in range(2):
        rig.write(*rows)
        assert [rig.kept(row) for row in rows] == list(rows)
    assert rig.read("history", limit=9) == [version_row(1)]


EMPTY: Mapping[str, tuple[Any, tuple[Any, ...], Mapping[str, Any]]] = {
    "head": (Head(), (), {"held": False}),
    "run": (None, (1,), {"held": False}),
    "run_of_uuid": (None, (FULL[Run].uuid,), {}),
    "newest_run_of_slot": (None, (FULL[Run].slot,), {}),
    "open_run": (None, (), {}),
    "runs": ([], (), {"before": None, "limit": 9}),
    "pages": ([], (1,), {}),
    "items": ([], (1, ["a", "b"]), {}),
    "items_on": ([], (1, [1, 2]), {}),
    "count_open": (0, (1,), {}),
    "enlisted": ([], (1, ["a", "b"]), {}),
    "tallies": ([], (1,), {}),
    "has_items": (False, (1,), {}),
    "empty": (0, ([1],), {"limit": 9}),
    "works": ([], (["a", "b"],), {}),
    "listed": ([], (WorkList.ACTIVE,), {"after": "", "limit": 9}),
    "dropped": ([], (), {"kept": 0, "since": AT, "limit": 9}),
    "work_counts": ({}, (), {}),
    "statuses": ([], (["a", "b"],), {}),
    "overrides": (Overrides(), (), {}),
    "history": ([], (), {"limit": 9}),
    "changed_since": (False, (AT - SECOND,), {}),
    "entry": (None, (FULL[SlotEntry].slot,), {}),
    "entries": ([], (), {"before": None, "limit": 9}),
    "oldest_entries": ([], (), {"limit": 9}),
    "count_entries": (0, (), {}),
}


@pytest.mark.parametrize("read", EMPTY)
def test_nothing(rig: Rig, read: str) -> None:
    """A read of a process that has nothing returns nothing, whatever processes with a name alike have."""
    if read in ("tallies", "has_items", "empty"):
        rig.need(Item)
    expected, args, more = EMPTY[read]
    rows = [
        FULL[Head],
        work_row("a"),
        work_row("b", WorkList.DROPPED),
        FULL[Run],
        FULL[SlotEntry],
        FULL[Overrides],
        FULL[Status],
    ]
    filled = [row for row in (*rows, page_row(1), item_row("a")) if type(row) not in rig.native]
    for process in ("", rig.process.upper(), f"{rig.process}-", rig.process[:-1]):
        if process:
            rig.beside(process).write(*filled)
        found: Any = rig.read(read, *args, **more)
        if isinstance(expected, list):
            found = list(found)
        if read == "work_counts":
            found = {on: count for on, count in found.items() if count}
        assert found == expected
