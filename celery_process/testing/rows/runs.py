"""Runs, their pages and their items."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from celery_process.protocol.entities import Page, Status
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, WorkList, WorkState
from celery_process.protocol.unit import Unit
from celery_process.testing.rows.rig import Rig, epochs_of, item_row, names_of, page_row, run_row
from celery_process.testing.rows.values import AT, FULL, NAMES, STATS


def test_run(rig: Rig) -> None:
    """A run is found by its epoch, held or not, and by its uuid."""
    runs = [run_row(epoch) for epoch in (1, 10, 2)]
    rig.write(*runs)
    for run in runs:
        assert rig.read("run", run.epoch, held=False) == rig.read("run", run.epoch, held=True) == run
        assert rig.read("run_of_uuid", run.uuid) == run
    assert rig.read("run", 3, held=True) is None
    assert rig.read("run_of_uuid", runs[0].uuid[:-1]) is None


def test_runs(rig: Rig) -> None:
    """Runs come newest first, by number, below `before`, and no more than asked for."""
    rig.write(*(run_row(epoch) for epoch in (9, 100, 1, 10)))
    assert epochs_of(rig.read("runs", before=None, limit=9)) == [100, 10, 9, 1]
    assert epochs_of(rig.read("runs", before=10, limit=9)) == [9, 1]
    assert epochs_of(rig.read("runs", before=11, limit=2)) == [10, 9]
    assert rig.read("runs", before=1, limit=9) == []


def test_newest_run_of_slot(rig: Rig) -> None:
    """Of a slot the run with the highest generation is returned, whatever its epoch, and no other slot's."""
    alike = [run_row(epoch, slot=AT, generation=generation) for epoch, generation in ((1, 2), (2, 10), (3, 9))]
    rig.write(*alike, run_row(4, slot=AT + timedelta(microseconds=1), generation=11))
    assert rig.read("newest_run_of_slot", AT) == alike[1]
    assert rig.read("newest_run_of_slot", AT - timedelta(microseconds=1)) is None


@pytest.mark.parametrize("state", [RunState.ACTIVE, RunState.ABORTING])
def test_open_run(rig: Rig, state: RunState) -> None:
    """The run that is open is returned, and no closed one."""
    run = run_row(2, state=state)
    rig.write(run_row(1))
    rig.write(run)
    assert rig.read("open_run") == run


def test_closed_run(rig: Rig) -> None:
    """Once a run is closed none is open."""
    rig.need(Page)  # what folds the last page closes the run
    run = run_row(1, state=RunState.ACTIVE)
    rig.write(run)
    rig.write(replace(run, state=RunState.COMPLETED))
    assert rig.read("open_run") is None


def test_run_deleted(rig: Rig) -> None:
    """A run that is deleted is found in no way, and the other is."""
    run, other = run_row(1), run_row(2)
    rig.write(run, other)
    rig.delete(run)
    assert rig.read("run_of_uuid", run.uuid) is None
    assert rig.read("newest_run_of_slot", run.slot) is None
    assert epochs_of(rig.read("runs", before=None, limit=9)) == [2]
    assert rig.read("run_of_uuid", other.uuid) == other


def test_pages_deleted_with_run(rig: Rig) -> None:
    """The pages of a run are deleted with it, and those of another run are not."""
    rig.write(run_row(1), run_row(11), page_row(1), page_row(2), page_row(1, epoch=11))
    rig.delete(run_row(1))
    assert rig.read("pages", 1) == []
    assert rig.read("pages", 11) == [page_row(1, epoch=11)]
    rig.write(run_row(1), page_row(1))
    assert rig.read("pages", 1) == [page_row(1)]


def test_pages(rig: Rig) -> None:
    """Pages come by their numbers; one that is deleted is closed, so that its token can open another."""
    rig.write(run_row(1), *(page_row(number) for number in (10, 9, 2)), page_row(1, epoch=2))
    assert [page.number for page in rig.read("pages", 1)] == [2, 9, 10]
    rig.delete(page_row(9))
    assert [page.number for page in rig.read("pages", 1)] == [2, 10]
    rig.write(replace(page_row(11), token=page_row(9).token))
    assert [page.number for page in rig.read("pages", 1)] == [2, 10, 11]


# Items.


def test_items(rig: Rig) -> None:
    """Items are found by their run and their names, each once, and only by the same characters."""
    rig.write(page_row(1), item_row("a"), item_row("b"), page_row(1, epoch=2), item_row("a", epoch=2))
    assert sorted(names_of(rig.read("items", 1, ["a", "b", "a", "c"]))) == ["a", "b"]
    assert rig.read("items", 2, NAMES) == [item_row("a", epoch=2)]
    assert rig.read("items", 1, []) == []
    many = [f"n{number}" for number in range(1_500)]
    assert names_of(rig.read("items", 1, [*many, "b"])) == ["b"]


def test_items_on(rig: Rig) -> None:
    """The items of open pages come by page and, within it, by name in the order of code points."""
    rig.write(*(page_row(page) for page in (10, 9, 8)), item_row("z", 10), *(item_row(name, 9) for name in NAMES[::-1]))
    rig.write(page_row(9, epoch=2), item_row("x", 9, epoch=2))
    assert names_of(rig.read("items_on", 1, [10, 9])) == [*NAMES, "z"]
    assert names_of(rig.read("items_on", 1, [10, 8, 7])) == ["z"]
    assert names_of(rig.read("items_on", 2, [9])) == ["x"]


def test_items_of_closed_page(rig: Rig) -> None:
    """Items whose page was deleted are of no page any more, and still of the run."""
    rig.write(page_row(1), page_row(2), item_row("a", 1), item_row("b", 2))
    rig.delete(page_row(1))
    assert names_of(rig.read("items_on", 1, [1, 2])) == ["b"]
    assert rig.read("count_open", 1) == 1
    assert sum(tally.items for tally in rig.read("tallies", 1)) == 1
    assert names_of(rig.read("items", 1, ["a"])) == ["a"]
    assert rig.read("has_items", 1)


def test_count_open(rig: Rig) -> None:
    """Items of open pages count that are pending or claimed."""
    items = [item_row(state.value, state=state) for state in ItemState]
    rig.write(page_row(1), page_row(2), *items, item_row("b", 2), page_row(1, epoch=2), item_row("c", epoch=2))
    assert rig.read("count_open", 1) == 3
    assert rig.read("count_open", 2) == 1


def test_enlisted(rig: Rig) -> None:
    """A name is enlisted that has an item in the run, or whose status is of it."""
    statuses = [replace(FULL[Status], name=name, epoch=epoch) for name, epoch in (("b", 1), ("c", 2), ("d", 1))]
    rig.write(page_row(1), item_row("a"), item_row("d"), page_row(1, epoch=2), item_row("e", epoch=2), *statuses)
    assert sorted(rig.read("enlisted", 1, ["a", "b", "c", "d", "e", "f"])) == ["a", "b", "d"]
    assert sorted(rig.read("enlisted", 1, ["b"])) == ["b"]
    assert not rig.read("enlisted", 1, [])


def test_tallies(rig: Rig) -> None:
    """Items of open pages are tallied by list, state, outcome and totals: how many, in whatever parts."""
    ended: dict[str, Any] = {"state": ItemState.DONE, "outcome": WorkState.COMPLETED}
    items = [
        *(item_row(f"a{number}", totals=Totals(STATS), **ended) for number in range(3)),
        item_row("b", totals=Totals({"n": 2}), **ended),
        item_row("c", totals=Totals(STATS), state=ItemState.DONE, outcome=WorkState.ABORTED),
        item_row("d", 2, on=WorkList.CLEANUP, totals=Totals(STATS), **ended),
        *(item_row(f"e{number}", number, totals=Totals({"n": number}), outcome=None) for number in (1, 2)),
    ]
    rig.write(page_row(1), page_row(2), *items, page_row(1, epoch=2), item_row("x", epoch=2))
    found: Counter[str] = Counter()
    for tally in rig.read("tallies", 1):
        totals = Totals() if tally.state.is_open else tally.totals
        found[repr((tally.on, tally.state, tally.outcome, totals))] += tally.items
    expected = Counter(
        repr((item.on, item.state, item.outcome, Totals() if item.state.is_open else item.totals)) for item in items
    )
    assert found == expected


def test_has_items(rig: Rig) -> None:
    """Of each run it is known whether it has items."""
    rig.write(page_row(1), item_row("a"), run_row(2))
    assert rig.read("has_items", 1)
    assert not rig.read("has_items", 2)


def test_empty(rig: Rig) -> None:
    """Items of runs are deleted about up to a limit, at once, so that the same unit sees none; other runs keep theirs."""
    for epoch in (1, 2, 3):
        rig.write(run_row(epoch), page_row(1, epoch), *(item_row(name, 1, epoch) for name in ("a", "b", "c")))
        rig.delete(page_row(1, epoch))

    def empty(unit: Unit) -> list[bool]:
        deleted = unit.rows.empty([1, 2], limit=2)
        assert 2 <= deleted <= 6
        while deleted < 6:
            more = unit.rows.empty([1, 2], limit=2)
            assert more > 0
            deleted += more
        assert unit.rows.empty([1, 2], limit=2) == 0
        return [unit.rows.has_items(epoch) for epoch in (1, 2, 3)]

    assert rig.do(empty) == [False, False, True]
    assert rig.do(lambda unit: [unit.rows.has_items(epoch) for epoch in (1, 2, 3)]) == [False, False, True]
    assert rig.read("items", 1, ["a", "b", "c"]) == []
    assert len(rig.read("items", 3, ["a", "b", "c"])) == 3


def test_emptied_run_deleted(rig: Rig) -> None:
    """A run without items is deleted with what it had, and its epoch can be that of another."""
    rig.write(run_row(1), page_row(1), item_row("a"))
    rig.do(lambda unit: unit.rows.empty([1], limit=9))
    rig.delete(run_row(1))
    rig.write(run_row(1), page_row(1), item_row("b"))
    assert names_of(rig.read("items_on", 1, [1])) == ["b"]
    assert rig.read("items", 1, ["a"]) == []
