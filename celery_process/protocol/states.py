"""Every state and answer of the run protocol, and which state may follow which.

The words are the original's where it has one. Nothing here reads a clock or a store.
"""

from __future__ import annotations

from enum import StrEnum


class Progress(StrEnum):
    """What `work.progress()` answers; the values are the original's words (B32)."""

    NONE = "None"
    UPDATED = "Updated"
    MERGED = "Merged"
    COMPLETED = "Completed"
    ABORTED = "Aborted"
    CONFLICT = "Conflict"


class ErrorAction(StrEnum):
    """What `add_error` answers: go on, or stop because the tolerance is used up (B28)."""

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
        """Whether items of the run may still change."""
        return self in (RunState.ACTIVE, RunState.ABORTING)


class WorkState(StrEnum):
    """The state of a work item as people see it, and the outcome that a handler's run gives it."""

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
        """Whether the item still holds its page open."""
        return self in (ItemState.PENDING, ItemState.CLAIMED)


class WorkList(StrEnum):
    """The list that a registered item is on; exactly one (I10)."""

    ACTIVE = "active"
    CLEANUP = "cleanup"
    DROPPED = "dropped"


class SlotEnd(StrEnum):
    """How a slot ended; every slot has one in the ledger. LATE: its trigger came, when a later slot had begun already."""

    RAN = "ran"
    OVERLAPPED = "overlapped"
    PAUSED = "paused"
    DECLINED = "declined"
    TOO_LATE = "too late"
    LATE = "late"
    MISSED = "missed"

    @property
    def may_still_run(self) -> bool:
        """A later trigger may still take the slot: nobody has taken it and nothing forbids it."""
        return self in (SlotEnd.PAUSED, SlotEnd.DECLINED)


class By(StrEnum):
    """Who brings slots by the schedule, as the ledger writes it down; who runs one by hand gives a name of their own.

    TASK is a message of the scheduling task that does not say that beat sent it: Celery before 5.7, or another timer.
    """

    BEAT = "beat"
    TASK = "task"
    SWEEP = "sweep"

    @classmethod
    def noted(cls, by: str, *, before: str | None) -> str:
        """Return who is written down with a slot that is run, where `before` was: whom the schedule has stays.

        Else the ledger of a process that people run again would not say any more that it has a schedule.
        """
        words = set(cls)
        return before if before is not None and before in words and by not in words else by


class StopReason(StrEnum):
    """Why a run went from ACTIVE to ABORTING."""

    ABORTED = "aborted"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Again(StrEnum):
    """Whether `claim_run` may run a slot that has run: as a new generation of it."""

    NEVER = "never"
    IF_CHANGED = "if changed"
    ALWAYS = "always"


class RunAnswer(StrEnum):
    """What `claim_run` and `redrive` answer."""

    CLAIMED = "claimed"
    ALREADY = "already"
    NOT_DUE = "not due"
    OVERLAPPED = "overlapped"
    PAUSED = "paused"
    LOST = "lost"


class PageAnswer(StrEnum):
    """What `open_page` answers."""

    OPENED = "opened"
    FULL = "full"
    WAITING = "waiting"
    LATER = "later"
    PAUSED = "paused"
    CLOSED = "closed"


class ClaimAnswer(StrEnum):
    """What `claim` answers for each item."""

    CLAIMED = "claimed"
    BUSY = "busy"
    DONE = "done"
    ABORTED = "aborted"
    PAUSED = "paused"
    REMOVED = "removed"
    CONFLICT = "conflict"


class Event(StrEnum):
    """What happens that others may want to hear of; the values name the signals and, with dashes, Celery's events."""

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
"""Which item state may follow which, and why. An item that is over is never opened again (I3)."""
