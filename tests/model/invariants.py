"""What must hold of every content of the store, and of every step. The numbers are those of `docs/protocol.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from celery_process.protocol import rules
from celery_process.protocol.entities import Item, Page, Run, Status, Work
from celery_process.protocol.rows import Change
from celery_process.protocol.states import ItemState, RunState, WorkList, WorkState
from celery_process.stores.memory.rows import Kept

from .bounds import Broken
from .rows import BEGAN, MINUTE, Content, Gone, code


def broken_content(kept: Kept, content: Content, limit: int) -> str | None:
    """Return the invariant that a content breaks, or None."""
    if sum(run.state.is_open for run in kept.runs.values()) > 1:
        return "I2: two runs are open"
    gone = dict(content.gone)
    for run in kept.runs.values():
        broken = _broken_run(kept, run, [left for (epoch, _), left in gone.items() if epoch == run.epoch], limit)
        if broken:
            return broken
    newest = kept.runs.get(kept.head.epoch)
    if newest is not None and newest.state is RunState.COMPLETED:
        return _broken_completion(kept, gone, dict(content.since), newest)
    return None


def _broken_run(kept: Kept, run: Run, gone: list[Gone], limit: int) -> str | None:
    items = list(kept.items.get(run.epoch, {}).values())
    pages = {page.number for page in kept.pages.values() if page.epoch == run.epoch}
    if run.total_errors != sum(item.error_count for item in (*items, *gone)):
        return "I8: the errors of a run are not the sum of its items'"
    if run.state is RunState.ACTIVE and run.total_errors > limit:
        return "I8: a run beyond its tolerance goes on"
    if any(item.state.is_open and item.page not in pages for item in items):
        return "I3: a page is closed with an open item"
    if not run.state.is_open and (pages or any(item.state.is_open for item in items)):
        return "I3: a run is closed with an open item or page"
    if run.pages_open != len(pages):
        return "I5: a page was folded twice, or not"
    folded = Counter(rules.count_name(item.state, item.outcome) for item in items if item.page not in pages)
    folded.update(_count_name(left) for left in gone)
    return "I5: the counts of a run are not those of its folded items" if Counter(run.counts) != folded else None


def _count_name(gone: Gone) -> str:
    state = ItemState(gone.state)
    return rules.count_name(state, WorkState.COMPLETED if gone.completed else WorkState.INCOMPLETE)


def _broken_completion(kept: Kept, gone: Mapping[tuple[int, str], Gone], since: Mapping[str, int], run: Run) -> str | None:
    def was(epoch: int, name: str) -> Item | Gone | None:
        return kept.items.get(epoch, {}).get(name) or gone.get((epoch, name))

    if any(left and left.state in ("lost", "cancelled") for left in (was(run.epoch, name) for name in kept.works)):
        return "I15: a completed run has an item that nobody worked to its end"
    origin = (run.listed_before - BEGAN) // MINUTE
    for name, work in kept.works.items():
        if work.on is WorkList.DROPPED or since[name] > origin or was(run.epoch, name):
            continue
        if not any(is_completed(was(epoch, name)) for epoch in run.redrives):
            return "I15: a completed run passed over an item that was listed before it began"
    return None


def is_completed(item: Item | Gone | None) -> bool:
    """Whether an item ended well."""
    if isinstance(item, Item):
        return not rules.kept_after_fold(item.state, item.outcome)
    return item is not None and item.completed


class Before(NamedTuple):
    """What a step began with; `whole`: it may end an item and delete it."""

    kept: Kept
    gone: Mapping[tuple[int, str], Gone]
    whole: bool


def judge(before: Before, changes: Iterable[Change]) -> None:
    """Raise the invariant that a step breaks with its changes."""
    for change in changes:
        old, new = change.old, change.new
        if new is not None and old is not None and code(old) == code(new):
            continue
        if isinstance(old, Run) and isinstance(new, Run):
            _judge_run(old, new)
        elif isinstance(change.row, Item):
            _judge_item(before, change.row.epoch, old, new)
        elif isinstance(change.row, Page) and not before.kept.runs[change.row.epoch].state.is_open:
            raise Broken("I7: a page of a closed run changed")
        elif isinstance(new, Work) and new.on is WorkList.DROPPED:
            _judge_drop(before.kept, new)
        elif isinstance(new, Status):
            item = before.kept.items[new.epoch][new.name]
            if new.version != item.version:
                raise Broken("W12: the status of another registration was kept")


def _judge_run(old: Run, new: Run) -> None:
    if not old.state.is_open and (old.state, old.reason, old.cursor, old.total_errors, old.pages_made) != (
        new.state,
        new.reason,
        new.cursor,
        new.total_errors,
        new.pages_made,
    ):
        raise Broken("I7: a closed run changed")
    if old.state is RunState.ABORTING and new.reason != old.reason:
        raise Broken("I9: the first reason did not stand")
    if old.state is RunState.ABORTING and new.pages_made > old.pages_made:
        raise Broken("I9: a page was enlisted after the abort")


def _judge_item(before: Before, epoch: int, old: object, new: object) -> None:
    run = before.kept.runs[epoch]
    if isinstance(old, Item) and isinstance(new, Item):
        if not run.state.is_open:
            raise Broken("I7: an item of a closed run changed")
        if not old.state.is_open and new.state is not old.state:
            raise Broken("I3: an item that was over is open again")
        if new.attempt > old.attempt + 1:
            raise Broken("I9: an attempt was counted twice")
    elif isinstance(new, Item):
        _judge_enlisted(before, run, new)
    elif isinstance(old, Item) and old.state.is_open and not before.whole:
        raise Broken("I3: an open item went")


def _judge_enlisted(before: Before, run: Run, item: Item) -> None:
    if run.state is not RunState.ACTIVE:
        raise Broken("I9: an item was enlisted after the abort")
    if (run.epoch, item.name) in before.gone:
        raise Broken("I15: an item that completed was enlisted again in its run")
    for epoch in run.redrives:
        was = before.kept.items.get(epoch, {}).get(item.name) or before.gone.get((epoch, item.name))
        if was is not None and is_completed(was) and was.on is item.on:
            raise Broken("I15: a redrive enlisted an item that had completed")


def _judge_drop(kept: Kept, new: Work) -> None:
    work = kept.works[new.name]
    item = kept.items[kept.head.epoch][new.name]
    if work.on is not WorkList.CLEANUP or work.version != item.version:
        raise Broken("I12: a name was dropped at another registration")
