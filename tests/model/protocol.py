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
    Gone,
    Item,
    Page,
    Run,
    Snapshot,
    State,
    Status,
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
    ALL_GO = "a fold deletes every item of its page, whether it completed or not"
    STATUS_IGNORED = "a run enlists a name that has no item, though its status is of this run"
    REPEATS_REFUSED = "a repeated outcome is a Conflict once its item is gone"
    ATTEMPT_ALONE = "an outcome is a repeat where the status is of its run and attempt, completed or not"
    CURSOR_TO_END = "a stop moves the cursor to the end"
    ROWS_ALONE = "a redrive takes a name without an item for one that was never enlisted"
    SWEEP_VOIDS = "the sweep takes the token of whoever it frees an item from"
    ANYBODY_RETURNS = "whoever was given an item may come back to it while it is free, whoever had it since"


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
    """Whether each run after the first redrives a closed one; of three runs, any but the first may be an ordinary one."""
    purge: bool = False
    hold: bool = False
    """Whether a worker may hold back an outcome, and report it together with a later one."""
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
    if run.state == RUNNING and run.cursor != END and bounds.fault is not Fault.LATE_CLOSE:
        return run
    reason = run.reason
    if run.state == RUNNING:
        lost = any(item and item.state == LOST for item in (*run.items, *run.gone))
        reason = INCOMPLETE if lost else COMPLETED
    return Run(CLOSED, reason, *run[2:5], run.closes + 1, *run[6:])


def abort(run: Run, reason: int, bounds: Bounds) -> Run:
    """Make a run ABORTING, its cursor where it is; the first reason stands."""
    if run.state != RUNNING:
        return run
    cursor = (END, 0) if bounds.fault is Fault.CURSOR_TO_END else run[2:4]
    return Run(ABORTING, reason, *cursor, *run[4:])


def charge(run: Run, name: int, bounds: Bounds) -> Run:
    """Add an error of an item to its run, and abort the run beyond the tolerance."""
    item = run.items[name]
    items = swap(run.items, name, Item(*item[:7], item.errors + 1, item.raised + 1))
    run = Run(*run[:4], run.errors + 1, *run[5:8], items, run.gone)
    return abort(run, BY_ERRORS, bounds) if run.errors > bounds.limit else run


def with_item(run: Run, name: int, item: Item) -> Run:
    """Return a run with one item replaced."""
    return Run(*run[:8], swap(run.items, name, item), run.gone)


def page_is_over(run: Run, number: int, bounds: Bounds) -> bool:
    """Whether a page has nothing open."""
    if bounds.fault is Fault.COUNTER_BARRIER:
        return run.pages[number].left <= 0
    return not any(item and item.page == number and item.state < DONE for item in run.items)


def close_page(works: tuple[Work, ...], run: Run, epoch: int, number: int, bounds: Bounds) -> tuple[tuple[Work, ...], Run]:
    """Close and fold a page, by compare-and-set: its completed items go, and the run closes if it is due."""
    page = run.pages[number]
    if not page.is_open or not page_is_over(run, number, bounds):
        return works, run
    items, gone = run.items, run.gone
    for name, item in enumerate(run.items):
        if not item or item.page != number:
            continue
        stale = item.version != works[name].version
        if item.state == DONE and stale and bounds.fault is Fault.REGISTRATIONS_IGNORED:
            raise Broken("W12: the status of another registration was kept")
        old = works[name].status
        if item.state != REMOVED and (old is None or old.run <= epoch):
            status = Status(epoch, item.attempt, is_completed(item))
            works = swap(works, name, Work(*works[name][:4], status))
        if is_completed(item) or bounds.fault is Fault.ALL_GO:
            items, gone = swap(items, name, None), swap(gone, name, buried(item))
    run = Run(*run[:7], swap(run.pages, number, Page(False, page.folds + 1, page.left)), items, gone)
    return works, close_run(run, bounds)


def buried(item: Item) -> Gone:
    """Return what is remembered of an item that goes."""
    return Gone(item.on, item.state, item.holder, item.reported, item.errors)


def purge(run: Run) -> Run:
    """Delete the items of a closed run."""
    gone = tuple(buried(item) if item else old for item, old in zip(run.items, run.gone, strict=True))
    return Run(*run[:8], (), gone)


def was_reported(work: Work, epoch: int, attempt: int, bounds: Bounds) -> bool:
    """Whether an outcome is the repeat of one whose item is gone, as far as the status of its name says."""
    status = work.status
    if status is None or bounds.fault is Fault.REPEATS_REFUSED:
        return False
    known = status.completed or bounds.fault is Fault.ATTEMPT_ALONE
    return known and (status.run, status.attempt) == (epoch, attempt)


def cancel_page(run: Run, number: int) -> Run:
    """Cancel what is pending on a page; of a superseded run also what is claimed, whose tokens are void."""
    states = (PENDING, CLAIMED) if run.reason == SUPERSEDED else (PENDING,)
    items = tuple(
        Item(item.on, number, CANCELLED, 0, *item[4:]) if item and item.page == number and item.state in states else item
        for item in run.items
    )
    return Run(*run[:8], items, run.gone)


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
        found = _next(state, number, on, after, bounds)[:size]
        if found:
            items, page = run.items, len(run.pages)
            for name in found:
                items = swap(items, name, Item(on, page, PENDING, 0, 0, state.works[name].version, 0, 0, 0))
            pages = (*run.pages, Page(True, 0, len(found)))
            _check_enlisted(state, number, on, found)
            return Run(run.state, run.reason, on, found[-1] + 1, *run[4:7], pages, items, run.gone)
        if on == ACTIVE and open_pages(run):
            return run
        on, after = (CLEANUP if on == ACTIVE else END), 0
    return close_run(Run(run.state, run.reason, END, 0, *run[4:]), bounds)


def _next(state: State, number: int, on: int, after: int, bounds: Bounds) -> list[int]:
    run, found = state.runs[number], []
    for name in range(after, len(state.works)):
        work = state.works[name]
        if work.on != on or work.listed > origin(run, number) or run.items[name] is not None:
            continue
        if work.status is not None and work.status.run == number and bounds.fault is not Fault.STATUS_IGNORED:
            continue
        if not any(_left_out(state.runs[old], name, on, bounds) for old in run.redrives):
            found.append(name)
    return found


def origin(run: Run, number: int) -> int:
    """Return the run by whose beginning the lists are taken: its own, or the one that was redriven first."""
    return run.redrives[-1] if run.redrives else number


def _left_out(old: Run, name: int, on: int, bounds: Bounds) -> bool:
    """Whether a closed run completed a name: it keeps it as such, or walked past it and keeps nothing of it."""
    item = old.items[name]
    if item is not None:
        return is_completed(item) and item.on == on
    return walked(old, name, on) and bounds.fault is not Fault.ROWS_ALONE


def walked(run: Run, name: int, on: int) -> bool:
    """Whether the cursor of a run has passed a name of a list."""
    if run.cursor == on:
        return name < run.position
    return run.cursor == END or (run.cursor == CLEANUP and on == ACTIVE)


def _check_enlisted(state: State, number: int, on: int, names: list[int]) -> None:
    """Judge what is enlisted by what is remembered of the items that went."""
    run = state.runs[number]
    for name in names:
        if run.gone[name]:
            raise Broken("I15: an item that completed was enlisted again in its run")
        for old in run.redrives:
            item = state.runs[old].items[name] or state.runs[old].gone[name]
            if item and is_completed(item) and item.on == on:
                raise Broken("I15: a redrive enlisted an item that had completed")


def is_completed(item: Item | Gone) -> bool:
    """Whether an item ended well: in the model, without an error in its last attempt."""
    return item.state == DONE and not item.reported


def land_claim(run: Run, name: int, seen: Snapshot, worker: int) -> Run | None:
    """Write a claim that was decided on `seen`; None if the row has changed since."""
    item = run.row(name)
    if item is None or (item.state, item.holder, item.attempt) != seen[2:]:
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
    return Run(*run[:7], swap(run.pages, number, Page(page.is_open, page.folds, page.left - 1)), *run[8:])


def new_run(size: int, redrives: tuple[int, ...] = ()) -> Run:
    """Return a run as it is claimed."""
    return Run(RUNNING, NO_REASON, ACTIVE, 0, 0, 0, redrives, (), (None,) * size, (None,) * size)


def unborn_run(size: int) -> Run:
    """Return the place of a run that is still to come."""
    return Run(0, NO_REASON, ACTIVE, 0, 0, 0, (), (), (None,) * size, (None,) * size)


def first_works(names: str) -> tuple[Work, ...]:
    """Return the registrations that there are at the beginning."""
    return tuple(Work({"A": ACTIVE, "C": CLEANUP, "-": ABSENT}[letter], 1, 0, 0) for letter in names)
