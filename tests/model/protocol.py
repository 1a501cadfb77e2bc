"""The transactions of the run protocol, as functions from rows to rows. Each is atomic; whoever calls may die after it.

A fault is a sentence of the protocol left out: the model has to find that out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .states import (
    ABORTING,
    ABSENT,
    ACTIVE,
    BY_ERRORS,
    CANCELLED,
    CLAIMED,
    CLEANUP,
    CLOSED,
    COMPLETED,
    DONE,
    DROPPED,
    END,
    INCOMPLETE,
    LOST,
    NO_REASON,
    PENDING,
    REMOVED,
    RUNNING,
    SUPERSEDED,
    Item,
    Page,
    Run,
    Snapshot,
    State,
    Work,
    open_items,
    open_pages,
    swap,
)


class Fault(Enum):
    """What a planted fault leaves out."""

    COUNTER_BARRIER = "a page is over when its counter is at zero, and each report counts down"
    NO_TOKEN = "a report is taken from whoever was given the item, whoever has it now"
    FENCE_BY_INSTANCE = "a report is taken for the run that is open, if the same instance holds the item in it"
    NO_SWEEP = "nobody repairs what crashes left"
    LATE_CLOSE = "a run closes when no page is open, wherever its cursor is"
    REGISTRATIONS_IGNORED = "a clean-up drops its name and keeps its status, whatever was registered meanwhile"


@dataclass(frozen=True)
class Bounds:
    """How much of everything there is in one configuration, and the fault that is planted in it."""

    names: str = "AA"
    """A letter a name: (A)ctive, (C)leanup, or `-` for one that is not there."""
    workers: int = 2
    runs: int = 1
    page: int = 1
    window: int = 2
    batch: int = 1
    attempts: int = 2
    limit: int = 1
    """Errors that a run tolerates."""
    errors: bool = True
    registrations: int = 0
    ties: bool = False
    """Whether a registration may commit late, or in the microsecond in which the run began."""
    stops: int = 0
    replace: bool = False
    pauses: int = 0
    redrive: bool = False
    releases: bool = False
    lost_answers: bool = False
    takeover: bool = False
    """Whether a claim may take an item whose lease ran out, before the sweep does."""
    fault: Fault | None = None


class Broken(Exception):
    """An invariant that only the transaction itself can see to be broken."""


def close_run(run: Run, bounds: Bounds) -> Run:
    """Close a run that is due, in the transaction that made it so."""
    if run.state not in (RUNNING, ABORTING) or open_pages(run):
        return run
    if run.cursor != END and bounds.fault is not Fault.LATE_CLOSE:
        return run
    reason = run.reason
    if run.state == RUNNING:
        reason = INCOMPLETE if any(item and item.state == LOST for item in run.items) else COMPLETED
    return Run(CLOSED, reason, *run[2:5], run.closes + 1, *run[6:])


def abort(run: Run, reason: int) -> Run:
    """Make a run ABORTING, its cursor at the end; the first reason stands."""
    return run if run.state != RUNNING else Run(ABORTING, reason, END, 0, *run[4:])


def charge(run: Run, name: int, bounds: Bounds) -> Run:
    """Add an error of an item to its run, and abort the run beyond the tolerance."""
    item = run.items[name]
    items = swap(run.items, name, Item(*item[:7], item.errors + 1, item.raised + 1))
    run = Run(*run[:4], run.errors + 1, *run[5:8], items)
    return abort(run, BY_ERRORS) if run.errors > bounds.limit else run


def with_item(run: Run, name: int, item: Item) -> Run:
    """Return a run with one item replaced."""
    return Run(*run[:8], swap(run.items, name, item))


def page_is_over(run: Run, number: int, bounds: Bounds) -> bool:
    """Whether a page has nothing open."""
    if bounds.fault is Fault.COUNTER_BARRIER:
        return run.pages[number].left <= 0
    return not any(item and item.page == number and item.state < DONE for item in run.items)


def close_page(works: tuple[Work, ...], run: Run, number: int, bounds: Bounds) -> Run:
    """Close and fold a page, by compare-and-set, and close the run if it is due."""
    page = run.pages[number]
    if not page.is_open or not page_is_over(run, number, bounds):
        return run
    for name, item in enumerate(run.items):
        if item and item.page == number and item.state == DONE:
            stale = item.version != works[name].version
            if stale and bounds.fault is Fault.REGISTRATIONS_IGNORED:
                raise Broken("W12: the status of another registration was kept")
    run = Run(*run[:7], swap(run.pages, number, Page(False, page.folds + 1, page.left)), run.items)
    return close_run(run, bounds)


def cancel_page(run: Run, number: int) -> Run:
    """Cancel what is pending on a page; of a superseded run also what is claimed, whose tokens are void."""
    states = (PENDING, CLAIMED) if run.reason == SUPERSEDED else (PENDING,)
    items = tuple(
        Item(item.on, number, CANCELLED, 0, *item[4:]) if item and item.page == number and item.state in states else item
        for item in run.items
    )
    return Run(*run[:8], items)


def open_page(state: State, number: int, bounds: Bounds) -> Run:
    """Enlist the next names under the lock of the run's row; at the end of both lists close the run."""
    run = state.runs[number]
    if run.state != RUNNING or run.cursor == END:
        return close_run(run, bounds)
    if state.paused:
        return run
    size = max(1, min(bounds.page, bounds.window // 2))
    if open_items(run) + size > bounds.window:
        return run
    on, after = run.cursor, run.position
    while on != END:
        found = _next(state, number, on, after)[:size]
        if found:
            items, page = run.items, len(run.pages)
            for name in found:
                items = swap(items, name, Item(on, page, PENDING, 0, 0, state.works[name].version, 0, 0, 0))
            pages = (*run.pages, Page(True, 0, len(found)))
            return Run(run.state, run.reason, on, found[-1] + 1, *run[4:7], pages, items)
        if on == ACTIVE and open_pages(run):
            return run
        on, after = (CLEANUP if on == ACTIVE else END), 0
    return close_run(Run(run.state, run.reason, END, 0, *run[4:]), bounds)


def _next(state: State, number: int, on: int, after: int) -> list[int]:
    run, before = state.runs[number], state.runs[number - 1]
    found = []
    for name in range(after, len(state.works)):
        work = state.works[name]
        if work.on != on or work.listed > number or run.items[name] is not None:
            continue
        old = before.items[name] if run.redrives else None
        if old is None or not is_completed(old) or old.on != on:
            found.append(name)
    return found


def is_completed(item: Item) -> bool:
    """Whether an item ended well: in the model, without an error in its last attempt."""
    return item.state == DONE and not item.reported


def land_claim(run: Run, name: int, seen: Snapshot, worker: int) -> Run | None:
    """Write a claim that was decided on `seen`; None if the row has changed since."""
    item = run.items[name]
    if (item.state, item.holder, item.attempt) != seen[2:]:
        return None
    if seen.on != item.on:
        return with_item(run, name, Item(item.on, item.page, REMOVED, 0, *item[4:]))
    claimed = Item(item.on, item.page, CLAIMED, worker + 1, item.attempt + 1, seen.version, 0, item.errors, item.raised)
    return with_item(run, name, claimed)


def finish(
    works: tuple[Work, ...], run: Run, name: int, *, holder: int, raised: int, bounds: Bounds
) -> tuple[tuple[Work, ...], Run]:
    """Write the end of an item; a clean clean-up of an unchanged registration drops its name in the same transaction."""
    item, work = run.items[name], works[name]
    done = Item(item.on, item.page, DONE, holder, item.attempt, item.version, raised, item.errors, item.raised)
    run = with_item(run, name, done)
    if bounds.fault is Fault.COUNTER_BARRIER:
        run = count_down(run, item.page)
    if item.on == CLEANUP and not raised:
        same = work.on == CLEANUP and work.version == item.version
        if same or (bounds.fault is Fault.REGISTRATIONS_IGNORED and work.on in (ACTIVE, CLEANUP)):
            if not same:
                raise Broken("I12: a name was dropped at another registration")
            works = swap(works, name, Work(DROPPED, *work[1:]))
    return works, run


def count_down(run: Run, number: int) -> Run:
    """Take one from the counter of a page."""
    page = run.pages[number]
    return Run(*run[:7], swap(run.pages, number, Page(page.is_open, page.folds, page.left - 1)), run.items)


def new_run(size: int, *, redrives: bool) -> Run:
    """Return a run as it is claimed."""
    return Run(RUNNING, NO_REASON, ACTIVE, 0, 0, 0, redrives, (), (None,) * size)


def unborn_run(size: int) -> Run:
    """Return the place of a run that is still to come."""
    return Run(0, NO_REASON, ACTIVE, 0, 0, 0, False, (), (None,) * size)


def first_works(names: str) -> tuple[Work, ...]:
    """Return the registrations that there are at the beginning."""
    return tuple(Work({"A": ACTIVE, "C": CLEANUP, "-": ABSENT}[letter], 1, 0, 0) for letter in names)
