"""The tables of states are whole."""

import pytest

from celery_process.protocol.states import (
    ITEM_TRANSITIONS,
    RUN_TRANSITIONS,
    ItemState,
    Progress,
    RunState,
    SlotEnd,
    WorkList,
    WorkState,
)

TABLES = [(RunState, RUN_TRANSITIONS, RunState.ACTIVE), (ItemState, ITEM_TRANSITIONS, ItemState.PENDING)]


@pytest.mark.parametrize(("states", "table", "first"), TABLES, ids=["runs", "items"])
class TestTables:
    def test_every_state(self, states, table, first) -> None:
        """A table has a row for every state."""
        assert set(table) == set(states)

    def test_closed_is_closed(self, states, table, first) -> None:
        """What is not open has no way out, and what is open has one (I3, I7)."""
        for state in states:
            assert bool(table[state]) is state.is_open

    def test_every_state_is_reached(self, states, table, first) -> None:
        """Every state is reached from the first one."""
        seen, ahead = {first}, [first]
        while ahead:
            new = set(table[ahead.pop()]) - seen
            seen |= new
            ahead += new
        assert seen == set(states)

    def test_every_edge_has_its_reason(self, states, table, first) -> None:
        """Every edge says why."""
        assert all(reason for edges in table.values() for reason in edges.values())


class TestWords:
    def test_progress(self) -> None:
        """The words of progress are the original's (B32)."""
        assert [word.value for word in Progress] == ["None", "Updated", "Merged", "Completed", "Aborted", "Conflict"]

    def test_run_states(self) -> None:
        """A run is open while ACTIVE or ABORTING."""
        assert {state for state in RunState if state.is_open} == {RunState.ACTIVE, RunState.ABORTING}

    def test_work_states(self) -> None:
        """Outcomes of an item and of a run share their words."""
        shared = {state.value for state in WorkState} & {state.value for state in RunState}
        assert shared == {"ACTIVE", "ABORTED", "INCOMPLETE", "COMPLETED"}

    def test_lists(self) -> None:
        """There are three lists."""
        assert [on.value for on in WorkList] == ["active", "cleanup", "dropped"]

    def test_slot_ends(self) -> None:
        """Only slots that nobody has taken and nothing forbids may still run."""
        assert {end for end in SlotEnd if end.may_still_run} == {SlotEnd.PAUSED, SlotEnd.DECLINED}

    @pytest.mark.parametrize("words", [RunState, ItemState, WorkState, WorkList, SlotEnd, Progress])
    def test_words_are_strings(self, words) -> None:
        """A state is its word, so that stores keep it as text."""
        assert all(word == word.value == str(word) for word in words)
