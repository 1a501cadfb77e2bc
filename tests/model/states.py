"""What the model remembers: one immutable tuple a row of the store, one a worker, and no clock.

Numbers stand for names: a work item is its place in the lists, a run the number of its slot. A holder is the number of a
worker plus one, or 0 where nobody who lives has the token, so that states which nobody can tell apart are one state.
"""

from __future__ import annotations

from typing import NamedTuple

# The lists of a registration; a run walks ACTIVE, then CLEANUP.
ABSENT, ACTIVE, CLEANUP, DROPPED = range(4)
END = 3
"""Where a run's cursor is behind both lists."""

# A run.
UNBORN, RUNNING, ABORTING, CLOSED = range(4)
NO_REASON, BY_ERRORS, CANCELLED_BY_HAND, SUPERSEDED, COMPLETED, INCOMPLETE = range(6)

# An item; those below DONE are open.
PENDING, CLAIMED, DONE, CANCELLED, LOST, REMOVED = range(6)

# A worker.
IDLE, CLAIMING, WORKING, SETTLING, FOLDING, OPENING = range(6)


class Status(NamedTuple):
    """How the last run that came to a name ended it: the run, the attempt, and whether it completed."""

    run: int
    attempt: int
    completed: bool


class Work(NamedTuple):
    """A registration. `listed` is the first run that finds it, `since` the first that began after it was there."""

    on: int
    version: int
    listed: int
    since: int
    status: Status | None = None


class Item(NamedTuple):
    """An item of a run. `reported` are the errors of its attempt, `errors` those charged, `raised` those that there were."""

    on: int
    page: int
    state: int
    holder: int
    attempt: int
    version: int
    reported: int
    errors: int
    raised: int


class Gone(NamedTuple):
    """What the model remembers of an item whose row was deleted, to judge by; the protocol does not see it."""

    on: int
    state: int
    holder: int
    reported: int
    errors: int


class Page(NamedTuple):
    """A page: whether it is open, how often it was folded, and a counter that only a faulty protocol looks at."""

    is_open: bool
    folds: int
    left: int


class Run(NamedTuple):
    """A run with its cursor (a list and the next name), pages and items; None for a name that has no row.

    `redrives`: the closed runs whose completed items it leaves out, the oldest last. No items at all: they were purged.
    """

    state: int
    reason: int
    cursor: int
    position: int
    errors: int
    closes: int
    redrives: tuple[int, ...]
    pages: tuple[Page, ...]
    items: tuple[Item | None, ...]
    gone: tuple[Gone | None, ...]

    def row(self, name: int) -> Item | None:
        """Return the item of a name, if there is one."""
        return self.items[name] if self.items else None


class Snapshot(NamedTuple):
    """What a claim read of an item before it wrote: the list and version of the name, and what the row was."""

    on: int
    version: int
    state: int
    holder: int
    attempt: int


class Worker(NamedTuple):
    """A worker with the names of its message that are still to do. `raised`: the first of them has had its error.

    `attempts` are those of its claims on `names`; `kept` are names and attempts of items that it worked to their end and
    whose outcomes it holds back.
    """

    phase: int
    run: int
    names: tuple[int, ...]
    seen: tuple[Snapshot, ...]
    raised: int
    page: int
    attempts: tuple[int, ...] = ()
    kept: tuple[tuple[int, int], ...] = ()


class Left(NamedTuple):
    """What the world outside may still do: registrations, stops, pauses."""

    registrations: int
    stops: int
    pauses: int


class State(NamedTuple):
    """Everything. `claimed`: the scheduler has claimed a run and not yet opened its first page."""

    works: tuple[Work, ...]
    runs: tuple[Run, ...]
    workers: tuple[Worker, ...]
    left: Left
    paused: bool
    claimed: bool


FREE = Worker(IDLE, 0, (), (), 0, 0)


def swap(row: tuple, place: int, value: object) -> tuple:
    """Return a tuple with one part replaced."""
    return (*row[:place], value, *row[place + 1 :])


def current(runs: tuple[Run, ...]) -> int:
    """Return the number of the newest run, or -1."""
    for number in range(len(runs) - 1, -1, -1):
        if runs[number].state:
            return number
    return -1


def is_open(run: Run) -> bool:
    """Whether a run is neither unborn nor closed."""
    return run.state in (RUNNING, ABORTING)


def open_pages(run: Run) -> int:
    """Return how many pages are open."""
    return sum(page.is_open for page in run.pages)


def open_items(run: Run) -> int:
    """Return how many items are open."""
    return sum(item is not None and item.state < DONE for item in run.items)
