"""Who may do what next. Each step is one transaction, or one statement whose snapshot was taken before.

A message may come to any worker at any time, twice or never: so every item that may be claimed is offered to every worker
that is free, and nobody is made to take it. A lease may run out at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from .hands import Step, folded, with_run, worker_steps
from .protocol import (
    Bounds,
    Fault,
    abort,
    cancel_page,
    charge,
    close_run,
    new_run,
    open_page,
    page_is_over,
    purge,
    with_item,
)
from .states import (
    ABORTING,
    ACTIVE,
    CANCELLED_BY_HAND,
    CLAIMED,
    CLEANUP,
    CLOSED,
    COMPLETED,
    LOST,
    PENDING,
    RUNNING,
    SUPERSEDED,
    UNBORN,
    Item,
    Left,
    State,
    Work,
    current,
    is_open,
    swap,
)

HELPFUL = ("sweep", "worker 0", "resume", "scheduler")
"""Steps that may be relied on: a store and one worker that stay up. Their crashes are named otherwise."""


def steps(state: State, bounds: Bounds) -> Iterator[Step]:
    """Return every step that may come next, with the state it leads to."""
    number = current(state.runs)
    yield from _scheduler(state, number, bounds)
    yield from _people(state, number, bounds)
    yield from _callers(state, number, bounds)
    if number >= 0 and state.runs[number].state in (RUNNING, ABORTING) and bounds.fault is not Fault.NO_SWEEP:
        yield from _sweep(state, number, bounds)
    for place, worker in enumerate(state.workers):
        yield from worker_steps(state, place, worker, bounds)


def _scheduler(state: State, number: int, bounds: Bounds) -> Iterator[Step]:
    if state.claimed:
        yield "scheduler opens", State(*with_run(state, number, open_page(state, number, bounds))[:5], False)
        yield "crash of the scheduler", State(*state[:5], False)
    if bounds.purge:
        needed = state.runs[number].redrives if number >= 0 and is_open(state.runs[number]) else ()
        for old, run in enumerate(state.runs):
            if run.state == CLOSED and run.items and old not in needed:
                yield f"purge of run {old}", with_run(state, old, purge(run))
    if number + 1 == len(state.runs) or state.paused:
        return
    if number >= 0 and state.runs[number].state != CLOSED:
        return
    size = len(state.works)
    if number < 0 or not bounds.redrive or bounds.runs > 2:
        yield "claim_run", State(*with_run(state, number + 1, new_run(size))[:5], True)
    for old, run in enumerate(state.runs[: number + 1]) if bounds.redrive else ():
        chain = (old, *run.redrives)
        if run.reason != COMPLETED and all(state.runs[kept].items for kept in chain):
            yield f"redrive of run {old}", State(*with_run(state, number + 1, new_run(size, chain))[:5], True)


def _people(state: State, number: int, bounds: Bounds) -> Iterator[Step]:
    left = state.left
    if left.stops and number >= 0 and state.runs[number].state == RUNNING:
        reason = SUPERSEDED if bounds.replace else CANCELLED_BY_HAND
        stopped = with_run(state, number, close_run(abort(state.runs[number], reason, bounds), bounds))
        yield "stop_run", State(*stopped[:3], Left(left.registrations, left.stops - 1, left.pauses), *stopped[4:])
    if left.pauses and not state.paused:
        yield "pause", State(*state[:3], Left(left.registrations, left.stops, left.pauses - 1), True, state.claimed)
    if state.paused:
        yield "resume", State(*state[:4], False, state.claimed)


def _callers(state: State, number: int, bounds: Bounds) -> Iterator[Step]:
    if not state.left.registrations:
        return
    left = Left(state.left.registrations - 1, *state.left[1:])
    late = (number,) if bounds.ties and number >= 0 else ()
    for name, work in enumerate(state.works):
        for listed in (number + 1, *late):
            for verb, on in (("register", ACTIVE), ("unregister", CLEANUP)):
                if on == CLEANUP and work.on not in (UNBORN, ACTIVE):
                    continue
                if work.on == on:  # new params: the name keeps its place in time
                    if listed != number + 1:
                        continue
                    new = Work(on, work.version + 1, work.listed, number + 1, work.status)
                else:
                    new = Work(on, work.version + 1, listed, number + 1, work.status)
                yield f"{verb} {name}", State(swap(state.works, name, new), *state[1:3], left, *state[4:])


def _sweep(state: State, number: int, bounds: Bounds) -> Iterator[Step]:
    run = state.runs[number]
    for name, item in enumerate(run.items):
        if item and item.state == CLAIMED:
            if item.attempt >= bounds.attempts:
                lost = with_item(run, name, Item(item.on, item.page, LOST, 0, *item[4:]))
                yield f"sweep gives {name} up", with_run(state, number, charge(lost, name, bounds))
            else:
                holder = 0 if bounds.fault is Fault.SWEEP_VOIDS else item.holder
                freed = Item(item.on, item.page, PENDING, holder, *item[4:])
                yield f"sweep frees {name}", with_run(state, number, with_item(run, name, freed))
    for page in range(len(run.pages)):
        if not run.pages[page].is_open:
            continue
        if page_is_over(run, page, bounds):
            yield f"sweep closes page {page}", folded(state, number, page, bounds)
        if run.state == ABORTING:
            cancelled = cancel_page(run, page)
            if cancelled.items != run.items:
                yield f"sweep cancels page {page}", with_run(state, number, cancelled)
    opened = open_page(state, number, bounds)
    if opened is not run:
        yield "sweep opens a page", with_run(state, number, opened)
