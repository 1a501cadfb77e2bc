"""What must hold in every state, and over every step. The numbers are those of the run protocol's invariants."""

from __future__ import annotations

from .protocol import Bounds, is_completed, origin
from .states import (
    ABORTING,
    ACTIVE,
    CANCELLED,
    CLEANUP,
    CLOSED,
    COMPLETED,
    DONE,
    LOST,
    RUNNING,
    Gone,
    Item,
    Run,
    State,
    current,
    is_open,
    open_pages,
)


def broken_state(state: State, bounds: Bounds) -> str | None:
    """Return the invariant that a state breaks, or None."""
    if sum(is_open(run) for run in state.runs) > 1:
        return "I2: two runs are open"
    for run in state.runs:
        if run.state:
            broken = _broken_run(run, bounds)
            if broken:
                return broken
    newest = current(state.runs)
    if newest >= 0 and state.runs[newest].reason == COMPLETED:
        return _broken_completion(state, newest)
    return None


def _broken_run(run: Run, bounds: Bounds) -> str | None:
    items, gone = [item for item in run.items if item], [item for item in run.gone if item]
    if run.closes > 1:
        return "I4: a run closed twice"
    if run.errors != sum(item.errors for item in (*items, *gone)):
        return "I8: the errors of a run are not the sum of its items'"
    if any(item.errors != item.raised for item in items):
        return "I8: an error was counted twice, or not"
    if run.state == RUNNING and run.errors > bounds.limit:
        return "I8: a run beyond its tolerance goes on"
    for number, page in enumerate(run.pages):
        if page.folds > 1:
            return "I5: a page was folded twice"
        if not page.is_open and any(item.page == number and item.state < DONE for item in items):
            return "I3: a page is closed with an open item"
    if run.state == CLOSED:
        if any(item.state < DONE for item in items) or open_pages(run):
            return "I3: a run is closed with an open item or page"
        if any(page.folds != 1 for page in run.pages):
            return "I5: a run is closed and a page of it was not folded"
    return None


def _broken_completion(state: State, newest: int) -> str | None:
    run = state.runs[newest]
    if any(item and item.state in (LOST, CANCELLED) for item in (*run.items, *run.gone)):
        return "I15: a completed run has an item that nobody worked to its end"
    for name, work in enumerate(state.works):
        if work.on in (ACTIVE, CLEANUP) and work.since <= origin(run, newest) and not (run.row(name) or run.gone[name]):
            before = [state.runs[number] for number in run.redrives]
            if not any(_ended_well(old.row(name) or old.gone[name]) for old in before):
                return "I15: a completed run passed over an item that was listed before it began"
    return None


def _ended_well(item: Item | Gone | None) -> bool:
    return item is not None and is_completed(item)


def broken_step(before: State, after: State) -> str | None:
    """Return the invariant that a step breaks, or None."""
    for old, new in zip(before.runs, after.runs, strict=True):
        if old is new or not old.state:
            continue
        if old.state == CLOSED and not _same_but_tokens(old, new):
            return "I7: a row of a closed run changed"
        if old.state == ABORTING:
            if new.state not in (ABORTING, CLOSED) or new.reason != old.reason:
                return "I9: the first reason did not stand"
            if len(new.pages) > len(old.pages) or any(
                later and not item for item, later in zip(old.items, new.items, strict=True)
            ):
                return "I9: an item was enlisted after the abort"
        if old.items and not new.items:
            continue  # purged
        for item, later in zip(old.items, new.items, strict=True):
            if item and not later:
                if item.state < DONE:
                    return "I3: an open item went"
                continue
            if item and item.state >= DONE and later.state != item.state:
                return "I3: an item that was over is open again"
            if item and later.attempt > item.attempt + 1:
                return "I9: an attempt was counted twice"
    return None


def _same_but_tokens(old: Run, new: Run) -> bool:
    items = zip(old.items, new.items or old.items, strict=True)
    if old[:8] != new[:8] or any(
        item is not later and _without_token(item) != _without_token(later) for item, later in items
    ):
        return False
    gone = zip(old.gone, new.gone, strict=True)
    return all(item is later or item is None or item[:2] + item[3:] == later[:2] + later[3:] for item, later in gone)


def _without_token(item: Item | None) -> tuple[int, ...]:
    return (*item[:3], *item[4:]) if item else ()
