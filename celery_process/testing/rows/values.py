"""Values of each field of each row, with which the cases of `rows` write it, and what of it steps never change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.limits import Limits, Pace
from celery_process.protocol.model import ErrorEntry, LimitBroken, Overrides, Pause, SlotEntry, WorkStatus
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, SlotEnd, WorkList, WorkState

AT = datetime(2026, 3, 2, 12, 0, 0, 123457, tzinfo=UTC)
"""An instant that no store may round."""
FIRST = datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
BIG = 2**53 - 1
"""The largest number that JSON of any language keeps."""
MOST = 2**31 - 1
"""Of what a run or an item cannot have more."""
TEXT = "a\t\"\\'%_{} ße\u0301\u00e9\U0001d518\U0001f600\uff5e " * 55
"""Some 1,000 characters, with those that are written in another way in SQL, in JSON and in patterns."""
LINES = f"\n{TEXT[:900]}\n\n"
NAME = "\U0001d518" * 191
"""The longest name, of characters that take four bytes."""
STATS: Mapping[str, Any] = {"keys \U0001d518": 10**30, "seconds": -0.25, "": 0}
ERRORS = (ErrorEntry(TEXT[:1000], AT, NAME), ErrorEntry("x", LAST), ErrorEntry("", FIRST, "a"))
NAMES = ("A", "B", "a", "a ", "aa", "b", "e\u0301", "\u00c9", "\u00e9", "\u0416", "\uff5e", "\U0001d518", "\U0001f600")
"""In the order of code points, which is not that of a language, nor that of UTF-16; alike to a careless comparison."""

INSTANTS = (FIRST, AT, LAST)
OR_NONE = (None, *INSTANTS)
COUNTS = (0, 1, BIG)
HEX = "0123456789abcdef0123456789abcdef"

FULL: Mapping[Any, Any] = {
    Head: Head(7, AT, "every day", Pause("x", "me", AT), Limits(5, "5/s", AT, "me"), Pace(AT, 5, "7:f"), {"n": 1}, AT, True),
    Work: Work("a", WorkList.ACTIVE, AT, '{"n": 1}', 7),
    Status: Status("a", 7, 1, WorkStatus(WorkState.ABORTED, {"n": 1}, ERRORS[1:], 2, AT, AT, AT, 3, task_id="task-1")),
    Run: Run(
        epoch=1,
        uuid=HEX,
        slot=AT,
        generation=1,
        started_at=AT,
        listed_before=AT,
        settings_version=1,
        defaults='{"n": 1}',
        work_limit=5,
        error_limit=5,
        redrives=(5,),
        reason="aborted",
        limit_broken=LimitBroken("a", 6, 5),
        cursor=(WorkList.CLEANUP, "a"),
        pages_made=2,
        progress_at=AT,
        finished_at=AT,
        notified_at=AT,
        counts={"completed": 1},
        stats={"n": 1},
        total_errors=1,
        errors=ERRORS[1:],
        last_error_at=AT,
        items_purged=True,
        repairs=Repairs(1, 1, ("a",)),
    ),
    Page: Page(1, 1, "token", WorkList.ACTIVE, AT),
    Item: Item(
        epoch=1,
        name="a",
        on=WorkList.ACTIVE,
        page=1,
        version=7,
        state=ItemState.CLAIMED,
        token="token.task",  # noqa: S106 - of a claim
        sequence=1,
        attempt=1,
        lease_until=AT,
        started_at=AT,
        finished_at=AT,
        dispatched_at=AT,
        dispatches=1,
        outcome=WorkState.INCOMPLETE,
        totals=Totals({"n": 1}, {"m": 1}, ERRORS[1:], 2, ERRORS[2:], 1),
        error_count=1,
        errors=ERRORS[1:],
        last_error_at=AT,
    ),
    Overrides: Overrides('{"n": 1}', '"every day"', 1, AT, "me"),
    SlotEntry: SlotEntry(AT, SlotEnd.RAN, AT, "beat", "1-a", FIRST),
}
"""A row of each kind in which no field is empty."""

_STATUSES = (
    WorkStatus(WorkState.COMPLETED),
    WorkStatus(WorkState.INCOMPLETE, STATS, ERRORS, BIG, LAST, FIRST, LAST, MOST, task_id="t" * 100),
    WorkStatus(WorkState.ABORTED, errors=ERRORS[:1], total_errors=1, last_error_at=AT, started_at=AT, attempt=1),
)

VALUES: Mapping[Any, Mapping[str, tuple[Any, ...]]] = {
    Head: {
        "epoch": COUNTS,
        "last_slot": OR_NONE,
        "rule": ("", LINES),
        "paused": (None, Pause("", "", AT), Pause(LINES, LINES, LAST)),
        "limits": (None, Limits(1, None, AT), Limits(None, "0/s", AT, LINES), Limits(1_000_000, "0.5/h", LAST, "me")),
        "pace": (None, Pace(AT, 1), Pace(LAST, MOST, f"{BIG}:{TEXT}")),
        "aggregate": ({}, STATS),
        "swept_at": OR_NONE,
        "purge_due": (False, True),
    },
    Work: {
        "name": (*NAMES, NAME),
        "on": tuple(WorkList),
        "listed_at": INSTANTS,
        "params": ("{}", LINES, TEXT * 60),
        "version": (1, BIG),
    },
    Status: {"name": NAMES, "version": COUNTS, "epoch": (1, BIG), "status": _STATUSES},
    Run: {
        "epoch": (1, BIG),
        "uuid": (HEX, HEX[::-1]),
        "slot": INSTANTS,
        "generation": (1, MOST),
        "started_at": INSTANTS,
        "listed_before": INSTANTS,
        "settings_version": COUNTS,
        "defaults": ("{}", LINES, TEXT * 60),
        "work_limit": (None, *COUNTS),
        "error_limit": (None, *COUNTS),
        "redrives": ((), (1,), (BIG, 1, 2)),
        "state": tuple(RunState),
        "reason": ("", "lost", "superseded"),
        "limit_broken": (None, LimitBroken(None, BIG, 0), LimitBroken(NAME, 1, 0)),
        "cursor": (None, (WorkList.ACTIVE, ""), (WorkList.CLEANUP, NAME)),
        "pages_made": (0, 1, MOST),
        "pages_open": (0, 1, MOST),
        "progress_at": INSTANTS,
        "finished_at": OR_NONE,
        "notified_at": OR_NONE,
        "counts": ({}, {"completed": BIG, "lost": 1}),
        "stats": ({}, STATS),
        "total_errors": COUNTS,
        "errors": ((), ERRORS),
        "last_error_at": OR_NONE,
        "items_purged": (False, True),
        "repairs": (Repairs(), Repairs(5), Repairs(BIG, BIG, (NAME, *NAMES))),
    },
    Page: {
        "epoch": (1, BIG),
        "number": (1, MOST),
        "token": (HEX, NAME),
        "on": (WorkList.ACTIVE, WorkList.CLEANUP),
        "opened_at": INSTANTS,
    },
    Item: {
        "epoch": (1, BIG),
        "name": (*NAMES, NAME),
        "on": (WorkList.ACTIVE, WorkList.CLEANUP),
        "page": (1, MOST),
        "version": (1, BIG),
        "state": tuple(ItemState),
        "token": ("", HEX, f"{HEX}.{'t' * 100}"),
        "sequence": COUNTS,
        "attempt": (0, 1, MOST),
        "lease_until": OR_NONE,
        "started_at": OR_NONE,
        "finished_at": OR_NONE,
        "dispatched_at": OR_NONE,
        "dispatches": (0, 1, MOST),
        "outcome": (None, WorkState.COMPLETED, WorkState.INCOMPLETE, WorkState.ABORTED),
        "totals": (Totals(), Totals(STATS), Totals({}, STATS, ERRORS, BIG, ERRORS[:1], BIG)),
        "error_count": COUNTS,
        "errors": ((), ERRORS),
        "last_error_at": OR_NONE,
    },
    Overrides: {
        "settings": (None, "{}", LINES, TEXT * 60),
        "schedule": (None, '"every day"', LINES),
        "version": (1, BIG),
        "changed_at": INSTANTS,
        "by": ("", LINES),
    },
    SlotEntry: {
        "slot": INSTANTS,
        "end": tuple(SlotEnd),
        "at": INSTANTS,
        "by": ("", LINES),
        "run_id": (None, f"{BIG}-{HEX}"),
        "after": OR_NONE,
    },
}
"""By row and field: those that are empty and those that are hard to keep."""

FIXED: Mapping[Any, frozenset[str]] = {
    Head: frozenset(),
    Work: frozenset(("name",)),
    Status: frozenset(("name",)),
    Run: frozenset(("epoch", "uuid", "slot", "generation")),
    Page: frozenset(VALUES[Page]),
    Item: frozenset(("epoch", "name", "on", "page")),
    Overrides: frozenset(("version",)),
    SlotEntry: frozenset(("slot",)),
}
"""Fields that are as they were when the row was new."""
