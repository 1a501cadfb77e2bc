"""How a run enlists its items: page by page, in name order, as the window and the rate allow."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from celery_process.protocol import entities, rules
from celery_process.protocol.entities import Head, Item, Run, Work
from celery_process.protocol.fold import close_if_due
from celery_process.protocol.limits import Limits, Pace, page_size
from celery_process.protocol.model import Page
from celery_process.protocol.read import status_of
from celery_process.protocol.states import PageAnswer, WorkList
from celery_process.protocol.unit import Unit

CHUNK = 500
"""Names that the walk reads at a time."""
REDRIVE_CHUNK = 10 * CHUNK
"""The same in a redrive, which skips most of them."""


def open_page(unit: Unit, run_id: str, *, token: str, size: int, window: int, rate: float | None) -> Page:
    """Enlist the next names of a run, if the window has room; a page is never empty."""
    run = unit.run(run_id, held=True)
    if run is None:
        return Page(PageAnswer.CLOSED)
    pages = unit.pages(run)
    mine = next((page for page in pages if page.token == token), None)
    if mine is not None:
        return Page(PageAnswer.OPENED, mine.on, tuple(item.name for item in unit.items_on(run, [mine])))
    if rules.walk_over(run.state, run.cursor):
        return _closed(unit, run)
    head = unit.head()
    if head.paused is not None:
        return Page(PageAnswer.PAUSED)
    window, rate = (head.limits or Limits()).over(window, rate)
    size = rules.room(size=page_size(size, rate), window=window, open_items=unit.rows.count_open(run.epoch))
    if not size:
        return Page(PageAnswer.FULL)
    while run.cursor is not None:
        on, after = run.cursor
        works = _next_works(unit, run, on, after, size)
        if works:
            return _early(unit, head, run, token, len(works), rate) or _enlist(unit, run, on, works, token)
        if on is WorkList.ACTIVE and pages:
            return Page(PageAnswer.WAITING)
        run.cursor = (WorkList.CLEANUP, "") if on is WorkList.ACTIVE else None
    return _closed(unit, run)


def mark_published(unit: Unit, run_id: str, names: Collection[str]) -> None:
    """Note that messages for these items were sent."""
    run = unit.run(run_id)
    for item in unit.items(run, names).values() if run is not None else ():
        if item.state.is_open:
            item.dispatched_at = unit.now
            item.dispatches += 1


def _closed(unit: Unit, run: Run) -> Page:
    return Page(PageAnswer.CLOSED, run=status_of(unit, run) if close_if_due(unit, run) else None)


def _early(unit: Unit, head: Head, run: Run, token: str, items: int, rate: float | None) -> Page | None:
    """Return the answer to a caller that comes too early for the rate; None for one in time, whose page counts from now."""
    if rate is None:
        return None
    due_in = head.pace.due_in(unit.now, rate) if head.pace else None
    if head.pace is None or not due_in:
        head.pace = head.pace.following(unit.now, items, rate) if head.pace else Pace(unit.now, items)
        return None
    promised = head.pace.promised(run.epoch, token, due_in)
    if promised is None:
        return Page(PageAnswer.WAITING)
    head.pace = promised
    return Page(PageAnswer.LATER, due_in=due_in)


def _next_works(unit: Unit, run: Run, on: WorkList, after: str, size: int) -> list[Work]:
    """Return up to `size` registrations, in name order, that the run has not enlisted and should.

    Names listed after the run began are for the next run. A name with a status of this run was folded already, even if its
    item is deleted. A redrive skips what completed in the runs before it.
    """
    most = REDRIVE_CHUNK if run.redrives else CHUNK
    chosen: list[Work] = []
    while len(chosen) < size:
        found = unit.rows.listed(on, after=after, limit=most)
        listed = [work for work in found if rules.listed_for(run.listed_before, work.listed_at, unit.now)]
        taken = _taken(unit, run, on, [work.name for work in listed]) if listed else set()
        chosen.extend(work for work in listed if work.name not in taken)
        if len(found) < most:
            break
        after = found[-1].name
    return chosen[:size]


def _taken(unit: Unit, run: Run, on: WorkList, names: Sequence[str]) -> set[str]:
    """Return those of the names that the run has, had, or need not have."""
    taken = set(unit.rows.enlisted(run.epoch, names))
    for epoch in run.redrives:
        old = unit.run_of_epoch(epoch)
        if old is not None:
            items = unit.items(old, names)
            taken.update(name for name in names if _completed(old, items.get(name), on, name))
    return taken


def _completed(old: Run, item: Item | None, on: WorkList, name: str) -> bool:
    """Whether a closed run completed a name of a list: it walked past it and keeps no item of it, or a completed one."""
    if item is None:
        return rules.walked(old.cursor, on, name)
    return item.on is on and not rules.kept_after_fold(item.state, item.outcome)


def _enlist(unit: Unit, run: Run, on: WorkList, works: Sequence[Work], token: str) -> Page:
    page = entities.Page(run.epoch, run.pages_made, token, on, unit.now)
    run.pages_made += 1
    run.pages_open += 1
    run.cursor = (on, works[-1].name)
    unit.add(page)
    for work in works:
        unit.add(Item(run.epoch, work.name, on, page.number, work.version))
    return Page(PageAnswer.OPENED, on, tuple(work.name for work in works))
