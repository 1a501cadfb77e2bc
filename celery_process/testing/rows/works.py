"""Registrations, statuses, overrides and the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from celery_process.instants import to_us
from celery_process.protocol.entities import Status
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.states import WorkList
from celery_process.testing.rows.rig import SECOND, Rig, entry_row, names_of, version_row, work_row
from celery_process.testing.rows.values import AT, FULL, NAMES

TICK = timedelta(microseconds=1)


def test_works(rig: Rig) -> None:
    """Registrations are found by their names, each once, on whatever list, and only by the same characters."""
    rig.write(work_row("a"), work_row("b", WorkList.DROPPED), work_row("c", WorkList.CLEANUP))
    assert sorted(names_of(rig.read("works", ["c", "b", "b", "x"]))) == ["b", "c"]
    assert names_of(rig.read("works", [name for name in NAMES if name != "b"])) == ["a"]
    assert names_of(rig.read("works", [*(f"n{number}" for number in range(1_500)), "b"])) == ["b"]


@pytest.mark.parametrize("limit", [1, 4, len(NAMES), 1_000])
def test_listed(rig: Rig, limit: int) -> None:
    """The registrations on a list come in the order of code points, after a name, and no more than asked for."""
    rig.write(*map(work_row, NAMES[::-1]), work_row("C", WorkList.CLEANUP), work_row("D", WorkList.DROPPED))
    for place, after in enumerate(("", *NAMES)):
        assert names_of(rig.read("listed", WorkList.ACTIVE, after=after, limit=limit)) == [*NAMES[place : place + limit]]
    assert names_of(rig.read("listed", WorkList.ACTIVE, after="C", limit=1)) == ["a"]
    assert names_of(rig.read("listed", WorkList.CLEANUP, after="", limit=limit)) == ["C"]


def test_list_changed(rig: Rig) -> None:
    """A registration is on one list at a time, and the lists count theirs."""
    for on in (*WorkList, *WorkList):
        rig.write(work_row("a", on), work_row("b"))
        assert [names_of(rig.read("listed", each, after="", limit=9)).count("a") for each in WorkList] == [
            int(each is on) for each in WorkList
        ]
        counts = rig.read("work_counts")
        assert [counts.get(each, 0) for each in WorkList] == [(each is on) + (each is WorkList.ACTIVE) for each in WorkList]


def test_work_deleted(rig: Rig) -> None:
    """A registration that is deleted is on no list, and may come again."""
    rig.write(work_row("a"), work_row("b"), work_row("c", WorkList.DROPPED))
    rig.delete(work_row("a"), work_row("c", WorkList.DROPPED))
    assert names_of(rig.read("listed", WorkList.ACTIVE, after="", limit=9)) == ["b"]
    assert rig.read("dropped", kept=0, since=AT, limit=9) == []
    assert sum(rig.read("work_counts").values()) == 1
    rig.write(work_row("a"))
    assert rig.kept(work_row("a")) == work_row("a")


def test_status_deleted_with_work(rig: Rig) -> None:
    """A status is deleted with its registration, and no other is."""
    rig.write(*(row for name in ("a", "b") for row in (work_row(name), replace(FULL[Status], name=name))))
    rig.delete(work_row("a"))
    assert names_of(rig.read("statuses", ["a", "b"])) == ["b"]


def test_statuses(rig: Rig) -> None:
    """Statuses are found by their names, each once."""
    rig.write(*(replace(FULL[Status], name=name) for name in ("a", "b")))
    assert sorted(names_of(rig.read("statuses", ["a", "b", "a", "c"]))) == ["a", "b"]
    assert names_of(rig.read("statuses", [name for name in NAMES if name != "b"])) == ["a"]


DROPPED = [
    (9, -2, ["a", "b"]),
    (9, -4, []),
    (2, -9, ["a", "b"]),
    (3, -3, ["a"]),
    (0, -9, ["a", "b", "c", "d"]),
    (1, 0, None),
]


@pytest.mark.parametrize(("kept", "since", "names"), DROPPED, ids=[f"{kept} or {-since} s" for kept, since, _ in DROPPED])
def test_dropped(rig: Rig, kept: int, since: int, names: list[str] | None) -> None:
    """Those dropped until then come, and those that are not among the `kept` last; and no more than asked for."""
    rig.write(
        *(work_row(name, WorkList.DROPPED, listed_at=AT - age * SECOND) for name, age in zip("dcba", range(4), strict=True))
    )
    rig.write(work_row("e", listed_at=AT - 9 * SECOND), work_row("f", WorkList.CLEANUP, listed_at=AT - 9 * SECOND))
    expected = ["a", "b", "c", "d"] if names is None else names
    assert sorted(names_of(rig.read("dropped", kept=kept, since=AT + since * SECOND, limit=9))) == expected
    some = names_of(rig.read("dropped", kept=kept, since=AT + since * SECOND, limit=1))
    assert len(some) == min(1, len(expected))
    assert set(some) <= set(expected)


# Overrides.


def test_history(rig: Rig) -> None:
    """Each new version begins the history; what is written of the same version is not in it."""
    for number in (1, 2, 3):
        rig.write(version_row(number))
    touched = replace(version_row(3), by="another")
    rig.write(touched)
    assert rig.read("overrides") == touched
    assert rig.read("history", limit=9) == [version_row(3), version_row(2), version_row(1)]
    assert rig.read("history", limit=2) == [version_row(3), version_row(2)]


def test_history_is_capped(rig: Rig) -> None:
    """No more than the newest versions are kept."""
    for number in (*range(1, MAX_VERSIONS + 3), 2 * MAX_VERSIONS):
        rig.write(version_row(number))
    numbers = [kept.version for kept in rig.read("history", limit=9 * MAX_VERSIONS)]
    assert numbers == [2 * MAX_VERSIONS, 102, 101]


def test_changed_since_overrides(rig: Rig) -> None:
    """Overrides that changed at that instant or later are noticed."""
    rig.write(version_row(1))
    assert rig.read("changed_since", AT)
    assert not rig.read("changed_since", AT + TICK)


def test_changed_since_work(rig: Rig) -> None:
    """A registration that changed at that instant or later is noticed: its version is the instant."""
    rig.write(work_row("a", version=to_us(AT)), work_row("b", version=to_us(AT - SECOND)))
    assert rig.read("changed_since", AT)
    assert not rig.read("changed_since", AT + TICK)


# The ledger.


def test_entries(rig: Rig) -> None:
    """Entries come by slot, newest first, before a slot, and no more than asked for; the oldest come from the other end."""
    rig.write(*(entry_row(second) for second in (9, 100, 1, 10)))
    every = [entry_row(second) for second in (100, 10, 9, 1)]
    assert rig.read("entries", before=None, limit=9) == every
    assert rig.read("entries", before=None, limit=2) == every[:2]
    assert rig.read("entries", before=every[1].slot, limit=9) == every[2:]
    assert rig.read("entries", before=every[1].slot + TICK, limit=1) == every[1:2]
    assert sorted(rig.read("oldest_entries", limit=2), key=lambda entry: entry.slot) == every[:1:-1]
    assert len(rig.read("oldest_entries", limit=9)) == 4
    assert rig.read("count_entries") == 4
    assert rig.read("entry", every[0].slot + TICK) is None


def test_entries_deleted(rig: Rig) -> None:
    """Entries that are deleted are counted no more."""
    rig.write(*(entry_row(second) for second in (1, 2, 3)))
    rig.delete(entry_row(2), entry_row(1))
    assert rig.read("entries", before=None, limit=9) == [entry_row(3)]
    assert rig.read("count_entries") == 1
