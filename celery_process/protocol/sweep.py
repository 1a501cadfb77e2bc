"""The repair of an open run: expired leases, pages left open, items that were never published or never claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery_process.protocol import rules, tally
from celery_process.protocol.entities import Head, Item, Page, Run
from celery_process.protocol.fold import close_if_due, fold_if_done
from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.model import SweepTarget, Swept
from celery_process.protocol.read import repairs, status_of
from celery_process.protocol.states import ItemState, RunState, WorkList
from celery_process.protocol.unit import Unit

RUNS = 100
"""Newest runs among which a sweep looks for ends that were not emitted."""


def begin_sweep(unit: Unit, *, interval: timedelta, grace: timedelta) -> SweepTarget | None:
    """Return what a sweep has to do for the process, if it has anything and had no sweep for `interval`."""
    head = unit.head()
    if not _is_due(head, unit.now, interval):
        return None
    unnotified = tuple(
        run.id
        for run in reversed(unit.runs(limit=RUNS))
        if run.notified_at is None and run.finished_at is not None and rules.passed(run.finished_at, unit.now, grace)
    )
    open_run = unit.open_run()
    target = SweepTarget(unit.process, open_run.id if open_run else None, unnotified, head.purge_due, head.swept_at)
    if not (target.open_run or unnotified or target.purge_due):
        return None
    head.swept_at = unit.now
    return target


def _is_due(head: Head, now: datetime, interval: timedelta) -> bool:
    return head.swept_at is None or rules.passed(head.swept_at, now, interval)


@dataclass(frozen=True, slots=True)
class Turn:
    """The sweep of a process, claimed: `last` is the time of the one before."""

    last: datetime | None


def take_turn(unit: Unit, interval: timedelta) -> Turn | None:
    """Claim the sweep of the process, if it had none for `interval`."""
    head = unit.head()
    if not _is_due(head, unit.now, interval):
        return None
    turn, head.swept_at = Turn(head.swept_at), unit.now
    return turn


def sweep_run(
    unit: Unit,
    run_id: str,
    *,
    lease: timedelta,
    redispatch_after: timedelta,
    grace: timedelta,
    max_attempts: int,
    limit: int,
) -> Swept:
    """Repair an open run, and return what is to be published of it."""
    run = unit.run(run_id, held=True)
    if run is None or not run.state.is_open:
        return Swept()
    was_active, pages = run.state is RunState.ACTIVE, unit.pages(run)
    items = unit.items_on(run, pages)
    _expire(unit, run, items, lease, max_attempts)
    fold_if_done(unit, run, [page.number for page in pages])
    close_if_due(unit, run)
    chosen: list[Item] = []
    if run.state is RunState.ACTIVE and unit.head().paused is None:
        chosen = _to_publish(unit, run, pages, items, redispatch_after, grace)[:limit]
    of_lists = ((on, tuple(item.name for item in chosen if item.on is on)) for on in WorkList)
    return Swept(
        publish=tuple((on, names) for on, names in of_lists if names),
        single=frozenset(item.name for item in chosen if item.attempt),
        repairs=repairs(unit, run_id),
        stopping=was_active and run.state is RunState.ABORTING,
        run=None if run.state.is_open else status_of(unit, run),
    )


def _expire(unit: Unit, run: Run, items: Sequence[Item], lease: timedelta, max_attempts: int) -> None:
    """Take the items whose lease ran out from their holders; cancel what is pending in a run that is ABORTING."""
    expired, lost = 0, list[str]()
    room = MAX_LOST - len(run.repairs.lost)
    for item in items:
        if not item.state.is_open:
            continue
        item.cut(unit.now + lease)
        if item.expired(unit.now) and item.attempt < max_attempts:
            expired += 1
            item.move(ItemState.PENDING)
            item.offer()
        elif item.expired(unit.now) and len(lost) < room:
            expired += 1
            tally.lose(run, item, unit.now)
            lost.append(item.name)
        if item.state is ItemState.PENDING and run.state is RunState.ABORTING:
            item.move(ItemState.CANCELLED)
            item.free()
    if expired:
        run.repairs = run.repairs.following(expired, lost)


def _to_publish(
    unit: Unit, run: Run, pages: Sequence[Page], items: Sequence[Item], redispatch_after: timedelta, grace: timedelta
) -> list[Item]:
    pending = [item for item in items if item.state is ItemState.PENDING]
    started = [item.started_at for item in items if item.started_at is not None]
    seen = rules.seen_moving(unit.now, [run.progress_at or run.started_at, *started])
    if rules.passed(seen, unit.now, redispatch_after):
        for item in pending:
            sent = item.dispatched_at
            if sent and rules.published_again(unit.now, sent, item.dispatches, redispatch_after, seen):
                item.dispatched_at = None
    old = {page.number for page in pages if rules.passed(page.opened_at, unit.now, grace)}
    return [item for item in pending if item.dispatched_at is None and (item.attempt or item.page in old)]
