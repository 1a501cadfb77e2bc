"""What the holders of items exchange with the store: claims, reports, and releases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from celery_process.protocol import rules, tally
from celery_process.protocol.entities import Item, Run
from celery_process.protocol.fold import fold_if_done
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.read import status_of
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported, Totals
from celery_process.protocol.states import ClaimAnswer, ItemState, Progress, RunState, WorkList, WorkState
from celery_process.protocol.unit import Unit


def claim(
    unit: Unit, run_id: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> tuple[ItemClaim, ...]:
    """Claim items, with one answer a name in the order of `names`."""
    run = unit.run(run_id, held=True)
    if run is None:
        return tuple(ItemClaim(name, ClaimAnswer.CONFLICT) for name in names)
    items = unit.items(run, names)
    return tuple(_claim(unit, run, name, items.get(name), token, lease, max_attempts) for name in names)


def _claim(unit: Unit, run: Run, name: str, item: Item | None, token: str, lease: timedelta, max_attempts: int) -> ItemClaim:
    head = unit.head()
    if item is None:
        return ItemClaim(name, ClaimAnswer.CONFLICT if _ended(unit, run, name) is None else ClaimAnswer.DONE)
    work = unit.works([name]).get(name)
    repeat = item.state is ItemState.CLAIMED and item.token == token
    answer = rules.claim_answer(
        run=run.state,
        paused=head.paused is not None,
        item=item.state,
        mine=repeat,
        expired=item.expired(unit.now),
        attempts_left=item.attempt < max_attempts,
        listed=work is not None and work.on is item.on,
    )
    if answer is ClaimAnswer.PAUSED and item.state is ItemState.PENDING:
        item.dispatched_at = None
    if answer is ClaimAnswer.REMOVED and item.state.is_open:
        item.move(ItemState.REMOVED)
        item.free()
        fold_if_done(unit, run, [item.page])
    if answer is not ClaimAnswer.CLAIMED or work is None:
        return ItemClaim(name, answer)
    if not repeat:
        item.move(ItemState.CLAIMED)
        item.token, item.sequence, item.attempt = token, 0, item.attempt + 1
        item.version, item.totals, item.started_at = work.version, Totals(), unit.now
        item.lease_until, item.dispatches = unit.now + lease, 0
    overrides = unit.overrides()
    return ItemClaim(
        name=name,
        answer=answer,
        on=item.on,
        attempt=item.attempt,
        epoch=run.epoch,
        params=work.params,
        params_version=work.version,
        settings=rules.effective(run.defaults, overrides.settings),
        settings_version=overrides.version,
        slot=run.slot,
        generation=run.generation,
        run_started_at=run.started_at,
        limits=head.limits,
    )


def report(unit: Unit, run_id: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
    """Write the totals of claimed items, extend their leases, and end those with an outcome."""
    run = unit.run(run_id, held=True)
    if run is None:
        return Reported(tuple(ItemAnswer(each.name, Progress.CONFLICT) for each in reports))
    was_active, was_open = run.state is RunState.ACTIVE, run.state.is_open
    items = unit.items(run, [each.name for each in reports])
    answers, closed = [], False
    for each in reports:
        answer, page_closed = _report(unit, run, items.get(each.name), each, token, lease)
        answers.append(answer)
        closed = closed or page_closed
    return Reported(
        items=tuple(answers),
        stopping=was_active and run.state is RunState.ABORTING,
        aborting=run.state is RunState.ABORTING,
        page_closed=closed,
        run=status_of(unit, run) if was_open and not run.state.is_open else None,
    )


def _report(
    unit: Unit, run: Run, item: Item | None, each: ItemReport, token: str, lease: timedelta
) -> tuple[ItemAnswer, bool]:
    if item is None:
        repeat = rules.was_reported(each.outcome, each.attempt, _ended(unit, run, each.name))
        return ItemAnswer(each.name, Progress.COMPLETED if repeat else Progress.CONFLICT), False
    if item.token != token or not (item.state.is_open or item.state is ItemState.DONE):
        return ItemAnswer(each.name, Progress.CONFLICT), False
    if item.state is ItemState.DONE:
        return ItemAnswer(each.name, Progress.COMPLETED), False
    if each.sequence <= item.sequence:
        return _progress(unit, run, item, each), False
    item.move(ItemState.CLAIMED)
    tally.count(run, item, each, unit.now)
    item.lease_until = unit.now + lease
    if each.outcome is None:
        return _progress(unit, run, item, each), False
    item.move(ItemState.DONE)
    item.outcome, item.finished_at = each.outcome, rules.finish_time(each.outcome, unit.now)
    _drop_if_clean(unit, item)
    return ItemAnswer(each.name, Progress.COMPLETED), fold_if_done(unit, run, [item.page])


def _progress(unit: Unit, run: Run, item: Item, each: ItemReport) -> ItemAnswer:
    if run.state is RunState.ABORTING:
        return ItemAnswer(item.name, Progress.ABORTED)
    work, overrides = unit.works([item.name]).get(item.name), unit.overrides()
    version = work.version if work is not None and work.on is item.on else each.params_version
    if version == each.params_version and overrides.version == each.settings_version:
        return ItemAnswer(item.name, Progress.UPDATED)
    return ItemAnswer(
        item.name,
        Progress.MERGED,
        params=work.params if work is not None else "{}",
        params_version=version,
        settings=rules.effective(run.defaults, overrides.settings),
        settings_version=overrides.version,
    )


def _drop_if_clean(unit: Unit, item: Item) -> None:
    if item.outcome is None or not rules.is_clean(item.on, item.outcome, item.totals):
        return
    work = unit.works([item.name]).get(item.name)
    if work is not None and work.on is WorkList.CLEANUP and work.version == item.version:
        work.on, work.listed_at = WorkList.DROPPED, unit.now


def _ended(unit: Unit, run: Run, name: str) -> int | None:
    """Return the attempt in the name's status of this run: 0 of one that did not complete, None if it has none."""
    kept = unit.statuses([name]).get(name)
    if kept is None or kept.epoch != run.epoch:
        return None
    return kept.status.attempt if kept.status.state is WorkState.COMPLETED else 0


def release(unit: Unit, run_id: str, names: Sequence[str], *, token: str) -> Reported:
    """Return claimed items that were not started: pending and unpublished, with no attempt used up."""
    run = unit.run(run_id, held=True)
    if run is None:
        return Reported()
    was_open = run.state.is_open
    items = [item for item in unit.items(run, names).values() if item.state.is_open and item.token == token]
    for item in items:
        if run.state is not RunState.ACTIVE:
            item.move(ItemState.CANCELLED)
        elif item.state is ItemState.CLAIMED:
            item.move(ItemState.PENDING)
        item.attempt -= 1
        item.free()
    closed = fold_if_done(unit, run, {item.page for item in items})
    ended = was_open and not run.state.is_open
    return Reported(page_closed=closed, run=status_of(unit, run) if ended else None)
