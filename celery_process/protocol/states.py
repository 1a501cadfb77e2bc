"""Every state and answer of the run protocol, and which state may follow which. `docs/protocol.md` draws them.

The words are the original's where it has one. Nothing here reads a clock or a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from celery_process.exceptions import IllegalTransition


class Progress(StrEnum):
    """The answer of `work.progress()`; the values are the original's words (B32)."""

    NONE = "None"
    UPDATED = "Updated"
    MERGED = "Merged"
    COMPLETED = "Completed"
    ABORTED = "Aborted"
    CONFLICT = "Conflict"


class ErrorAction(StrEnum):
    """The answer of `add_error`: go on, or stop because the tolerance is used up (B28)."""

    CONTINUE = "Continue"
    ABORT = "Abort"


class RunState(StrEnum):
    """The five states of a run."""

    ACTIVE = "ACTIVE"
    ABORTING = "ABORTING"
    COMPLETED = "COMPLETED"
    INCOMPLETE = "INCOMPLETE"
    ABORTED = "ABORTED"

    @property
    def is_open(self) -> bool:
        """Whether the run may still change (I7)."""
        return self in (RunState.ACTIVE, RunState.ABORTING)


class WorkState(StrEnum):
    """The state of a work item as people see it, and the outcome of an attempt."""

    NEW = "NEW"
    ACTIVE = "ACTIVE"
    ABORTED = "ABORTED"
    INCOMPLETE = "INCOMPLETE"
    COMPLETED = "COMPLETED"


class ItemState(StrEnum):
    """The state of one item inside one run."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DONE = "done"
    CANCELLED = "cancelled"
    LOST = "lost"
    REMOVED = "removed"

    @property
    def is_open(self) -> bool:
        """Whether the item keeps its page open."""
        return self in (ItemState.PENDING, ItemState.CLAIMED)


class WorkList(StrEnum):
    """The list that a registered item is on; exactly one (I10)."""

    ACTIVE = "active"
    CLEANUP = "cleanup"
    DROPPED = "dropped"


class SlotEnd(StrEnum):
    """How a slot ended; every slot has one in the ledger. LATE: its trigger came after a later slot had begun."""

    RAN = "ran"
    OVERLAPPED = "overlapped"
    PAUSED = "paused"
    DECLINED = "declined"
    TOO_LATE = "too late"
    LATE = "late"
    MISSED = "missed"

    @property
    def may_still_run(self) -> bool:
        """Whether a later trigger may still run the slot."""
        return self in (SlotEnd.PAUSED, SlotEnd.DECLINED)


class By(StrEnum):
    """Who triggers slots by the schedule, as the ledger keeps it; a person who runs one is kept by name.

    TASK is a message of the scheduling task without beat's header: from beat of Celery before 5.7, or from another timer.
    """

    BEAT = "beat"
    TASK = "task"
    SWEEP = "sweep"

    @classmethod
    def noted(cls, by: str, *, before: str | None) -> str:
        """Return who is kept as the trigger of a slot that is run: `before`, if that was the schedule, else `by`.

        Else nothing in the ledger would show any more that a process has a schedule once people run its slots again.
        """
        words = set(cls)
        return before if before is not None and before in words and by not in words else by


class StopReason(StrEnum):
    """Why a run went from ACTIVE to ABORTING."""

    ABORTED = "aborted"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Again(StrEnum):
    """Whether `claim_run` may run a slot again, as a new generation of it."""

    NEVER = "never"
    IF_CHANGED = "if changed"
    ALWAYS = "always"


class RunAnswer(StrEnum):
    """The answers of `claim_run` and `redrive`."""

    CLAIMED = "claimed"
    ALREADY = "already"
    NOT_DUE = "not due"
    OVERLAPPED = "overlapped"
    PAUSED = "paused"
    LOST = "lost"


class PageAnswer(StrEnum):
    """The answers of `open_page`."""

    OPENED = "opened"
    FULL = "full"
    WAITING = "waiting"
    LATER = "later"
    PAUSED = "paused"
    CLOSED = "closed"


class ClaimAnswer(StrEnum):
    """The answers of `claim`, one an item."""

    CLAIMED = "claimed"
    BUSY = "busy"
    DONE = "done"
    ABORTED = "aborted"
    PAUSED = "paused"
    REMOVED = "removed"
    CONFLICT = "conflict"


class Event(StrEnum):
    """What is emitted to others; the values name the signals and, with dashes, Celery's events."""

    RUN_STARTED = "run_started"
    RUN_FINISHED = "run_finished"
    RUN_ABORTED = "run_aborted"
    RUN_REPAIRED = "run_repaired"
    SLOT_SKIPPED = "slot_skipped"
    WORK_FINISHED = "work_finished"
    WORK_LOST = "work_lost"
    OWNERSHIP_LOST = "ownership_lost"


RUN_TRANSITIONS: dict[RunState, dict[RunState, str]] = {
    RunState.ACTIVE: {
        RunState.ABORTING: "tolerance used up, cancelled, or superseded by a newer slot",
        RunState.COMPLETED: "cursor at its end, no page open, nothing lost",
        RunState.INCOMPLETE: "cursor at its end, no page open, and an item was lost",
    },
    RunState.ABORTING: {
        RunState.ABORTED: "tolerance used up, and no page is open any more",
        RunState.INCOMPLETE: "cancelled or superseded, and no page is open any more",
    },
    RunState.COMPLETED: {},
    RunState.INCOMPLETE: {},
    RunState.ABORTED: {},
}
"""Which run state may follow which, and why. A closed run never changes again (I7)."""

ITEM_TRANSITIONS: dict[ItemState, dict[ItemState, str]] = {
    ItemState.PENDING: {
        ItemState.CLAIMED: "a delivery claimed it, or its last holder, whose lease ran out, reported",
        ItemState.CANCELLED: "the run is aborting",
        ItemState.REMOVED: "its name left the list that it was enlisted from",
    },
    ItemState.CLAIMED: {
        ItemState.CLAIMED: "the lease ran out and another delivery claimed it",
        ItemState.PENDING: "the lease ran out, or the item was released before it started",
        ItemState.DONE: "the holder reported an outcome",
        ItemState.LOST: "the lease of its last attempt ran out",
        ItemState.CANCELLED: "released while the run is aborting, or the run was superseded",
        ItemState.REMOVED: "the lease ran out and its name left the list that it was enlisted from",
    },
    ItemState.DONE: {},
    ItemState.CANCELLED: {},
    ItemState.LOST: {},
    ItemState.REMOVED: {},
}
"""Which item state may follow which, and why. An item that ended is never opened again (I3)."""

State = TypeVar("State", RunState, ItemState)


def moved(was: State, to: State) -> State:
    """Return the state to write where another was: the same, or one that may follow it; else raise `IllegalTransition`."""
    of_item = isinstance(was, ItemState)
    table: Mapping[Any, Mapping[Any, str]] = ITEM_TRANSITIONS if of_item else RUN_TRANSITIONS
    if to is not was and to not in table[was]:
        raise illegal("item" if of_item else "run", was, to)
    return to


def illegal(entity: str, was: str, to: str, **facts: str) -> IllegalTransition:
    """Return the error of a state that may not follow another."""
    return IllegalTransition(
        f"The {entity} is {was} and was to become {to}, which may not follow; it was not written. This is a fault of the "
        "library, or something else wrote under the store's names: report it, with the log.",
        entity=entity,
        was=was,
        to=to,
        **facts,
    )
