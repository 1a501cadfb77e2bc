"""A document of a process that lacks a line is refused whole, wherever the line is missing."""

from __future__ import annotations

import json

import pytest

from celery_process.exceptions import InvalidValue
from celery_process.stores.memory import MemoryStore
from celery_process.transfer.lines import export, load

NAMES = [f"item-{number}" for number in range(5)]


@pytest.fixture
def lines() -> list[str]:
    """Give the document of a process of five items: a head, a line an item, and an end."""
    store = MemoryStore()
    store.register("p", dict.fromkeys(NAMES, "{}"))
    lines = list(export(store, "p"))
    assert [next(iter(json.loads(line))) for line in lines] == ["celery_process", *["work"] * 5, "end"]
    return lines


def counts(store: MemoryStore) -> dict[str, int]:
    return {str(on): count for on, count in store.work_counts("p").items() if count}


def test_a_whole_document(lines: list[str]) -> None:
    """Empty lines between the others are none."""
    store = MemoryStore()
    assert load(store, lambda: [line for pair in zip(lines, ["", "  \n"] * 4, strict=False) for line in pair]) == {"p": 5}
    assert counts(store) == {"active": 5}


@pytest.mark.parametrize("gone", [1, 3, 5], ids=["first", "middle", "last"])
def test_an_item_is_missing(lines: list[str], gone: int) -> None:
    """The end counts the items, so a document that lost one in its middle is as little taken as one that was cut off."""
    del lines[gone]
    store = MemoryStore()
    with pytest.raises(InvalidValue, match=r"Line 6 .* does not end 'p' and its 4 items; nothing was written"):
        load(store, lambda: lines)
    assert counts(store) == {}


def test_an_item_is_there_too_often(lines: list[str]) -> None:
    """A line that was doubled is no more taken."""
    store = MemoryStore()
    with pytest.raises(InvalidValue, match="does not end 'p' and its 6 items"):
        load(store, lambda: [*lines[:3], lines[2], *lines[3:]])
    assert counts(store) == {}


@pytest.mark.parametrize("kept", range(1, 7))
def test_it_is_cut_off(lines: list[str], kept: int) -> None:
    """Without its end a document is no document, however much of it is there."""
    store = MemoryStore()
    with pytest.raises(InvalidValue, match="ends before the items of 'p' do: it was cut off"):
        load(store, lambda: lines[:kept])
    assert counts(store) == {}


def test_its_head_is_missing(lines: list[str]) -> None:
    """An item without a process belongs to none."""
    with pytest.raises(InvalidValue, match="Line 1 of the document is of version None"):
        load(MemoryStore(), lambda: lines[1:])
