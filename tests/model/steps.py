"""What may come next that no worker does. Each step is one unit, or one whose rows were read before.

A message may come to any worker at any time, twice or never: so every item that may be claimed is offered to every worker
that is free, and nobody is made to take it. A lease may run out at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from celery_process.protocol.entities import Run
from celery_process.protocol.states import ItemState, RunState, WorkList

from .bounds import Fault
from .protocol import Steps
from .states import Outside

Step = tuple[str, int, Outside]
"""What happens, and the content and what may still come from outside after it."""

HELPFUL = ("sweep", "worker 0", "resume", "scheduler")
"""Steps that may be relied on: a store and one worker that stay up. Their crashes are named otherwise."""


def outside_steps(driven: Steps, content: int, outside: Outside) -> Iterator[Step]:
    """Return the steps of the scheduler, of people, of callers and of the sweep."""
    run = driven.run(content)
    yield from _scheduler(driven, content, outside, run)
    yield from _people(driven, content, outside, run)
    if outside.registrations:
        yield from _callers(driven, content, outside._replace(registrations=outside.registrations - 1), run)
    if run is not None and run.state.is_open and driven.bounds.fault is not Fault.NO_SWEEP:
        yield from ((name, after, outside) for name, after in _sweep(driven, content, run))


def _scheduler(driven: Steps, content: int, outside: Outside, run: Run | None) -> Iterator[Step]:
    bounds, kept = driven.bounds, driven.kept(content)
    if outside.claimed and run is not None:
        over = outside._replace(claimed=False)
        yield "scheduler opens", driven.open_page(content, run.epoch), over
        yield "crash of the scheduler", content, over
    closed = [old for old in kept.runs.values() if not old.state.is_open]
    if bounds.purge and closed:
        for count in range(len(closed)):
            yield f"purge of all but {count} runs", driven.purge(content, count), outside
        yield "purge of items", driven.purge_items(content), outside
    if kept.head.epoch == bounds.runs:
        return
    begun = outside._replace(claimed=True)
    if run is None or not bounds.redrive or bounds.runs > 2:
        after = driven.claim_run(content)
        if after is not None:
            yield "claim_run", after, begun
    for old in closed if bounds.redrive else ():
        after = driven.redrive(content, old.epoch) if old.state is not RunState.COMPLETED else None
        if after is not None:
            yield f"redrive of run {old.epoch}", after, begun


def _people(driven: Steps, content: int, outside: Outside, run: Run | None) -> Iterator[Step]:
    if outside.stops and run is not None and run.state is RunState.ACTIVE:
        yield "stop_run", driven.stop(content, run.epoch), outside._replace(stops=outside.stops - 1)
    if run is not None and run.state is RunState.ABORTING and driven.bounds.replace and not driven.bounds.whole:
        for page in driven.kept(content).pages.values():
            if page.epoch == run.epoch:
                after = driven.go_on_stopping(content, run.epoch, page.number)
                yield f"stop_run cancels page {page.number}", after, outside
    paused = driven.kept(content).head.paused is not None
    if outside.pauses and not paused:
        yield "pause", driven.set_pause(content, True), outside._replace(pauses=outside.pauses - 1)
    if paused:
        yield "resume", driven.set_pause(content, False), outside


def _callers(driven: Steps, content: int, outside: Outside, run: Run | None) -> Iterator[Step]:
    late = (False, True) if driven.bounds.ties and run is not None else (False,)
    for name, work in sorted(driven.kept(content).works.items()):
        for tie in late:
            if not tie or work.on is not WorkList.ACTIVE:
                yield f"register {name}", driven.register(content, name, True, tie), outside
            if work.on is WorkList.ACTIVE:
                yield f"unregister {name}", driven.register(content, name, False, tie), outside


def _sweep(driven: Steps, content: int, run: Run) -> Iterator[tuple[str, int]]:
    kept = driven.kept(content)
    claimed = [item.name for item in kept.items[run.epoch].values() if item.state is ItemState.CLAIMED]
    if driven.bounds.whole:
        for names in ((), *((name,) for name in claimed)):
            yield f"sweep finds {names} expired", driven.sweep(content, run.epoch, names)
    else:
        for name in claimed:
            yield f"sweep finds {name} expired", driven.expire(content, run.epoch, name)
        for page in kept.pages.values():
            if page.epoch == run.epoch:
                yield f"sweep folds page {page.number}", driven.fold(content, run.epoch, page.number)[0]
                if run.state is RunState.ABORTING:
                    yield f"sweep cancels page {page.number}", driven.cancel(content, run.epoch, page.number)
    yield "sweep opens a page", driven.open_page(content, run.epoch)
