"""What a worker may do next with the items in its hands."""

from __future__ import annotations

from collections.abc import Iterator

from .protocol import (
    Bounds,
    Broken,
    Fault,
    charge,
    close_page,
    count_down,
    finish,
    is_completed,
    land_claim,
    open_page,
    page_is_over,
    was_reported,
    with_item,
)
from .states import (
    ABORTING,
    CANCELLED,
    CLAIMED,
    CLAIMING,
    DONE,
    FOLDING,
    FREE,
    IDLE,
    OPENING,
    PENDING,
    RUNNING,
    SETTLING,
    WORKING,
    Gone,
    Item,
    Run,
    Snapshot,
    State,
    Worker,
    current,
    swap,
)

Step = tuple[str, State]

HELD = (PENDING, CLAIMED)
"""Where a token counts: an item whose lease ran out stays its last holder's until somebody claims it."""


def with_run(state: State, number: int, run: Run) -> State:
    """Return the state with another run in that place."""
    return State(state.works, swap(state.runs, number, run), *state[2:])


def worker_steps(state: State, place: int, worker: Worker, bounds: Bounds) -> Iterator[Step]:
    """Return what the worker in a place may do next, or what may happen to it."""
    who = f"worker {place}"
    if worker.phase == IDLE:
        yield from _begin(state, place, bounds)
        return
    yield f"crash of {who}", _leave(state, place)
    number, run = worker.run, state.runs[worker.run]
    if worker.phase == CLAIMING:
        yield from _land(state, place, worker)
    elif worker.phase == WORKING:
        yield from _work(state, place, worker, bounds)
    elif worker.phase == SETTLING:
        over = run.pages[worker.page].is_open and page_is_over(run, worker.page, bounds)
        phase = FOLDING if over else _next_phase(worker)
        yield f"{who} looks at its page", _move(state, place, Worker(phase, *worker[1:]))
    elif worker.phase == FOLDING:
        after = folded(state, number, worker.page, bounds)
        yield f"{who} folds its page", _move(after, place, Worker(_next_phase(worker), *worker[1:]))
    else:
        yield f"{who} opens a page", _leave(with_run(state, number, open_page(state, number, bounds)), place)


def _next_phase(worker: Worker) -> int:
    return WORKING if worker.names or worker.kept else OPENING


def _begin(state: State, place: int, bounds: Bounds) -> Iterator[Step]:
    if state.paused:
        return
    for number, run in enumerate(state.runs):
        if run.state != RUNNING:
            continue
        free = [name for name, item in enumerate(run.items) if item and _may_claim(item, bounds)]
        offers = [(name,) for name in free]
        if bounds.batch > 1:
            pages = (tuple(name for name in free if run.items[name].page == page) for page in range(len(run.pages)))
            offers += [names[: bounds.batch] for names in pages if len(names) > 1]
        for names in offers:
            seen = tuple(Snapshot(state.works[name].on, state.works[name].version, *run.items[name][2:5]) for name in names)
            claiming = Worker(CLAIMING, number, names, seen, 0, 0)
            yield f"worker {place} reads {names} of run {number}", _move(state, place, claiming)


def _may_claim(item: Item, bounds: Bounds) -> bool:
    return item.state == PENDING or (bounds.takeover and item.state == CLAIMED and item.attempt < bounds.attempts)


def _land(state: State, place: int, worker: Worker) -> Iterator[Step]:
    run: Run | None = state.runs[worker.run]
    for name, seen in zip(worker.names, worker.seen, strict=True):
        run = land_claim(run, name, seen, place)
        if run is None:
            yield f"worker {place} is late", _leave(state, place)
            return
    claimed = tuple(name for name in worker.names if run.items[name].state == CLAIMED)
    page = run.items[worker.names[0]].page
    attempts = tuple(run.items[name].attempt for name in claimed)
    after = Worker(WORKING if claimed else SETTLING, worker.run, claimed, (), 0, page, attempts)
    yield f"worker {place} claims", _move(with_run(state, worker.run, run), place, after)


def _work(state: State, place: int, worker: Worker, bounds: Bounds) -> Iterator[Step]:
    who, number, run = f"worker {place}", worker.run, state.runs[worker.run]
    if not worker.names:
        told = _tell(state, place, worker, bounds)
        if bounds.lost_answers:
            yield f"{who} tells what it held back, unanswered", told
        yield f"{who} tells what it held back", _answered(told, place, worker, SETTLING)
        return
    name, item = worker.names[0], run.row(worker.names[0])
    mine = item is not None and item.holder == place + 1
    if mine and item.state in HELD and not worker.raised:
        if not item.reported and (bounds.releases or run.state == ABORTING):
            yield from _release(state, place, worker)
        if bounds.errors:
            yield from _report_error(state, place, worker, bounds)
        if bounds.hold and not item.reported:
            kept = (*worker.kept, (name, worker.attempts[0]))
            later = Worker(WORKING, number, worker.names[1:], (), 0, worker.page, worker.attempts[1:], kept)
            yield f"{who} holds {name} back", _move(state, place, later)
    target = current(state.runs) if bounds.fault is Fault.FENCE_BY_INSTANCE else number
    theirs = state.runs[target].row(name)
    if not _may_write(theirs, mine=mine, other_run=target != number, bounds=bounds):
        # Only a claim raises the attempt, and only a release lowers it: so nobody claimed the item since.
        same = item is not None and item.state == PENDING and item.attempt == worker.attempts[0]
        if same and run.state == RUNNING and not bounds.releases:
            raise Broken("late: an outcome of the last holder is refused though nobody claimed since")
        repeat = mine and item.state == DONE if item else _is_repeat(state, place, number, name, worker.attempts[0], bounds)
        if repeat and item and bounds.fault is Fault.COUNTER_BARRIER:
            state = with_run(state, number, count_down(run, item.page))
        told = _tell(state, place, worker, bounds)
        yield f"{who} is answered", _answered(told, place, worker, SETTLING if repeat or worker.kept else WORKING)
        return
    if target != number or not mine:
        raise Broken("I6: an item was written by another token")
    raised = max(worker.raised, theirs.reported)
    told = _tell(state, place, worker, bounds)
    written = _ended(told, place, number, name, raised, bounds)
    if bounds.lost_answers:
        yield f"{who} finishes {name}, unanswered", written
    yield f"{who} finishes {name}", _answered(written, place, worker, SETTLING)


def _report_error(state: State, place: int, worker: Worker, bounds: Bounds) -> Iterator[Step]:
    """Report an error at once, and what was held back with it."""
    who, name, number = f"worker {place}", worker.names[0], worker.run
    first = not state.runs[number].items[name].reported  # else a repeat, whose sequence is not newer
    told = _tell(state, place, worker, bounds)
    if first:
        run = told.runs[number]
        item = run.items[name]
        taken = Item(*item[:2], CLAIMED, *item[3:6], 1, *item[7:])
        told = with_run(told, number, charge(with_item(run, name, taken), name, bounds))
    answered = told
    for kept, _ in worker.kept:
        answered = _void(answered, place, number, kept)
    yield f"{who} reports an error", _move(answered, place, Worker(*worker[:4], 1, worker.page, worker.attempts))
    if bounds.lost_answers and first:
        yield f"{who} reports an error, unanswered", told


def _tell(state: State, place: int, worker: Worker, bounds: Bounds) -> State:
    """Write the outcomes that were held back, as part of the same report."""
    for name, attempt in worker.kept:
        item = state.runs[worker.run].row(name)
        if item is None:
            _is_repeat(state, place, worker.run, name, attempt, bounds)
        elif item.state in HELD and item.holder == place + 1:
            state = _ended(state, place, worker.run, name, 0, bounds)
    return state


def _ended(state: State, place: int, number: int, name: int, raised: int, bounds: Bounds) -> State:
    holder = place + 1 if bounds.lost_answers else 0
    works, run = finish(state.works, state.runs[number], name, holder=holder, raised=raised, bounds=bounds)
    return State(works, swap(state.runs, number, run), *state[2:])


def _answered(state: State, place: int, worker: Worker, phase: int) -> State:
    """Let a worker go on with its next item, its reports answered."""
    for name in (*worker.names[:1], *(name for name, _ in worker.kept)):
        state = _void(state, place, worker.run, name)
    after = Worker(phase, worker.run, worker.names[1:], (), 0, worker.page, worker.attempts[1:])
    return _move(state, place, FREE if phase == WORKING and not after.names else after)


def _is_repeat(state: State, place: int, number: int, name: int, attempt: int, bounds: Bounds) -> bool:
    """Whether an outcome whose item is gone is answered as a repeat, and judge that answer by what is remembered."""
    work, gone = state.works[name], state.runs[number].gone[name]
    told = was_reported(work, number, attempt, bounds)
    mine = gone is not None and gone.holder == place + 1 and gone.state == DONE
    if told and not mine:
        raise Broken("I6: an outcome that was never taken is answered Completed")
    if mine and is_completed(gone) and not told and work.status is not None and work.status.run == number:
        raise Broken("repeat: an outcome that was taken is answered Conflict")
    return told


def _may_write(item: Item | None, *, mine: bool, other_run: bool, bounds: Bounds) -> bool:
    if item is None or item.state not in HELD:
        return False
    if item.state == PENDING:
        return (mine and not other_run) or (bounds.fault is Fault.ANYBODY_RETURNS and item.attempt > 0)
    return mine or other_run or bounds.fault is Fault.NO_TOKEN


def _release(state: State, place: int, worker: Worker) -> Iterator[Step]:
    """Give back what was not started, as of the run that was read: it may be ABORTING since."""
    run = state.runs[worker.run]
    for into in (PENDING,) if run.state == RUNNING else (PENDING, CANCELLED):
        freed = run
        for name in worker.names:
            item = freed.items[name]
            if item.state in HELD and item.holder == place + 1:
                given = Item(item.on, item.page, into, 0, item.attempt - 1, *item[5:])
                freed = with_item(freed, name, given)
        after = Worker(WORKING if worker.kept else SETTLING, worker.run, (), (), 0, worker.page, (), worker.kept)
        moved = with_run(state, worker.run, freed)
        stays = worker.kept or into == CANCELLED
        yield f"worker {place} releases", _move(moved, place, after) if stays else _leave(moved, place)


def _move(state: State, place: int, worker: Worker) -> State:
    return State(*state[:2], swap(state.workers, place, worker), *state[3:])


def _void(state: State, place: int, number: int, name: int) -> State:
    """Forget a token that nobody will show again."""
    run = state.runs[number]
    item, gone = run.row(name), run.gone[name]
    if item is None:
        if gone is None or gone.holder != place + 1:
            return state
        return with_run(state, number, Run(*run[:9], swap(run.gone, name, _tokenless(gone))))
    if item.holder != place + 1 or item.state == CLAIMED:
        return state
    return with_run(state, number, with_item(run, name, Item(*item[:3], 0, *item[4:])))


def _tokenless(gone: Gone) -> Gone:
    return Gone(*gone[:2], 0, *gone[3:])


def _leave(state: State, place: int) -> State:
    """Let a worker go, with its tokens."""
    for number, run in enumerate(state.runs):
        if any(item and item.holder == place + 1 for item in (*run.items, *run.gone)):
            items = tuple(Item(*item[:3], 0, *item[4:]) if item and item.holder == place + 1 else item for item in run.items)
            gone = tuple(_tokenless(item) if item and item.holder == place + 1 else item for item in run.gone)
            state = with_run(state, number, Run(*run[:8], items, gone))
    return _move(state, place, FREE)


def folded(state: State, number: int, page: int, bounds: Bounds) -> State:
    """Return the state with a page closed, if nothing of it is open."""
    works, run = close_page(state.works, state.runs[number], number, page, bounds)
    return State(works, swap(state.runs, number, run), *state[2:])
