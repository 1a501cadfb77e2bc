"""docs/protocol.md agrees with the tables of states and with the contract of the stores."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from celery_process.protocol.states import ITEM_TRANSITIONS, RUN_TRANSITIONS, SlotEnd
from celery_process.stores.base import Definitions, Items, Runs, operations

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
Edges = set[tuple[str, str, str]]


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def drawn(heading: str) -> Edges:
    """Return the edges of the diagram under a heading: from, to, label."""
    [diagram] = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", section(heading), re.DOTALL)
    lines = [re.fullmatch(r" *(\S+) --> ([^\s:]+)(?:: (.+))?", line) for line in diagram.splitlines()]
    assert all(lines), diagram
    return {(line[1], line[2], line[3] or "") for line in lines}


def of_table(table: dict[StrEnum, dict[StrEnum, str]], first: StrEnum) -> Edges:
    """Return the edges of a table of transitions, with where it begins and ends."""
    edges = {(old.value, new.value, why) for old, row in table.items() for new, why in row.items()}
    ends = {(state.value, "[*]", "") for state, row in table.items() if not row}
    return edges | ends | {("[*]", first.value, "")}


@pytest.mark.parametrize(("name", "table"), [("run", RUN_TRANSITIONS), ("item", ITEM_TRANSITIONS)])
def test_states_are_drawn_as_they_are(name, table):
    """The diagrams of run and item have the edges of the tables, with their reasons, and no others."""
    assert drawn(f"The states of {'a run' if name == 'run' else 'an item'}") == of_table(table, next(iter(table)))


def test_slots_are_drawn_as_they_end():
    """A slot ends in each of the words; a trigger takes those that may still run, and people all of them."""
    words = {end: end.value.replace(" ", "_") for end in SlotEnd}
    edges = {("[*]", word, "") for word in words.values()}
    edges |= {
        (word, "ran", "a later trigger of the slot" if end.may_still_run else "by hand") for end, word in words.items()
    }
    assert drawn("The states of a slot") == edges


def test_every_operation_that_writes_is_listed_with_its_repeat():
    """The table of repeats has each operation of the contract that writes, and nothing else."""
    writes = operations(Definitions, Runs, Items)
    rows = re.findall(r"^\| (`.+?) \|", section("What is repeated, and how it is answered"), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(writes - {"repairs"})


def test_hot_operations_exist():
    """What the page calls hot are operations of the contract."""
    assert set(re.findall(r"`([a-z]\w+)`", section("What is hot"))) <= operations()


def test_the_invariants_are_numbered_without_a_gap():
    """I1 to I16 have a sentence each."""
    numbers = re.findall(r"^\| (I\d+) \| .{20,} \|$", section("The invariants"), re.MULTILINE)
    assert numbers == [f"I{number}" for number in range(1, 17)]
