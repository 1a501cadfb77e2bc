"""How the protocol is changed for a configuration: its operations parted into their units, and a fault planted.

As on SQL, a page is folded in a unit after that of the report or the release which may have ended it, and a stop cancels
page by page after the run is ABORTING.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from celery_process.protocol import entities, exchange, fold, page, rules, stop
from celery_process.protocol.states import ItemState, Progress, RunState, WorkList

from .bounds import Bounds, Fault

Patch = pytest.MonkeyPatch


@contextmanager
def planted(bounds: Bounds) -> Iterator[None]:
    """Run the protocol as a configuration wants it, until the end of the context."""
    with pytest.MonkeyPatch.context() as patch:
        if not bounds.whole:
            patch.setattr(exchange, "fold_if_done", lambda *_: False)
            patch.setattr(stop, "fold_if_done", lambda *_: False)
            patch.setattr(stop, "cancel", lambda *_, **__: None)
        if bounds.fault in _PLANTED:
            _PLANTED[bounds.fault](patch)
        yield


def _with_rules(patch: Patch, module: Any, **others: Any) -> None:
    patch.setattr(module, "rules", SimpleNamespace(**{**vars(rules), **others}))


def _report_with(patch: Patch, token_of: Callable[[entities.Item, str], str]) -> None:
    report = exchange._report

    def planted(unit: Any, run: Any, item: Any, each: Any, token: str, lease: Any) -> Any:
        return report(unit, run, item, each, token if item is None else token_of(item, token), lease)

    patch.setattr(exchange, "_report", planted)


def _counter_barrier(patch: Patch) -> None:
    """Keep a counter where the token of a page is; it begins at the two items that a page has."""
    report, folded = exchange._report, fold._fold

    def left(page: entities.Page) -> int:
        return int(page.token or 2)

    def counting(unit: Any, run: Any, item: Any, *more: Any) -> Any:
        answer, closed = report(unit, run, item, *more)
        if item is not None and answer.progress is Progress.COMPLETED:
            for page in unit.pages(run):
                if page.number == item.page:
                    page.token = str(max(left(page) - 1, 0))
        return answer, closed

    def by_counter(unit: Any, run: Any, page: entities.Page) -> bool:
        patch.setattr(fold, "is_over", lambda _: left(page) <= 0)
        return folded(unit, run, page)

    patch.setattr(exchange, "_report", counting)
    patch.setattr(fold, "_fold", by_counter)


def _no_token(patch: Patch) -> None:
    _report_with(patch, lambda item, token: item.token if item.state is ItemState.CLAIMED else token)


def _fence_by_instance(patch: Patch) -> None:
    report = exchange.report

    def of_open_run(unit: Any, run_id: str, reports: Any, *, token: str, lease: Any) -> Any:
        run = unit.open_run()
        if run is None or run.id == run_id:
            return report(unit, run_id, reports, token=token, lease=lease)
        holders = {item.token for item in unit.items(run, [each.name for each in reports]).values()}
        return report(unit, run.id, reports, token=max(holders, default=token), lease=lease)

    patch.setattr(exchange, "report", of_open_run)


def _late_close(patch: Patch) -> None:
    _with_rules(patch, fold, walk_over=lambda *_: True)


def _registrations_ignored(patch: Patch) -> None:
    folded = fold._fold

    def drop(unit: Any, item: entities.Item) -> None:
        if item.outcome is not None and rules.is_clean(item.on, item.outcome, item.totals):
            work = unit.works([item.name])[item.name]
            work.on, work.listed_at = WorkList.DROPPED, unit.now

    def of_the_new_version(unit: Any, run: Any, page: Any) -> bool:
        names = [item.name for item in unit.items_on(run, [page])]
        done = folded(unit, run, page)
        for name in names if done else ():
            added = unit._new.get((entities.Status, name))
            if added is not None:
                added.version = unit.works([name])[name].version
        return done

    patch.setattr(exchange, "_drop_if_clean", drop)
    patch.setattr(fold, "_fold", of_the_new_version)


def _attempt_alone(patch: Patch) -> None:
    def ended(unit: Any, run: Any, name: str) -> int | None:
        kept = unit.statuses([name]).get(name)
        return kept.status.attempt if kept is not None and kept.epoch == run.epoch else None

    patch.setattr(exchange, "_ended", ended)


def _cursor_to_end(patch: Patch) -> None:
    move = entities.Run.move

    def to_end(run: entities.Run, to: RunState, reason: str) -> None:
        move(run, to, reason)
        if to is RunState.ABORTING:
            run.cursor = None

    patch.setattr(entities.Run, "move", to_end)


def _sweep_voids(patch: Patch) -> None:
    offer = entities.Item.offer

    def void(item: entities.Item) -> None:
        offer(item)
        item.token = ""

    patch.setattr(entities.Item, "offer", void)


def _anybody_returns(patch: Patch) -> None:
    def of(item: entities.Item, token: str) -> str:
        return item.token if item.state is ItemState.PENDING and item.attempt else token

    _report_with(patch, of)


_PLANTED: Mapping[Fault | None, Callable[[Patch], None]] = {
    Fault.COUNTER_BARRIER: _counter_barrier,
    Fault.NO_TOKEN: _no_token,
    Fault.FENCE_BY_INSTANCE: _fence_by_instance,
    Fault.LATE_CLOSE: _late_close,
    Fault.REGISTRATIONS_IGNORED: _registrations_ignored,
    Fault.ALL_GO: lambda patch: _with_rules(patch, fold, kept_after_fold=lambda *_: False),
    Fault.REPEATS_REFUSED: lambda patch: _with_rules(patch, exchange, was_reported=lambda *_: False),
    Fault.ATTEMPT_ALONE: _attempt_alone,
    Fault.CURSOR_TO_END: _cursor_to_end,
    Fault.ROWS_ALONE: lambda patch: _with_rules(patch, page, walked=lambda *_: False),
    Fault.SWEEP_VOIDS: _sweep_voids,
    Fault.ANYBODY_RETURNS: _anybody_returns,
}
"""How each fault is planted; the other two are without what runs the sweep, and without the statuses in the rows."""
