"""How a page is folded into its run, once nothing of it is open, and how a run closes that has no page left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from celery_process.protocol import rules
from celery_process.protocol.entities import Item, Page, Run, Status
from celery_process.protocol.model import RunStatus
from celery_process.protocol.read import status_of
from celery_process.protocol.unit import Unit


def fold_if_done(unit: Unit, run: Run, numbers: Iterable[int]) -> bool:
    """Fold those of the pages that have nothing open, and close the run if it is due; return whether one was folded."""
    wanted = set(numbers)
    folded = [page for page in unit.pages(run) if page.number in wanted and _fold(unit, run, page)] if wanted else []
    if folded:
        close_if_due(unit, run)
    return bool(folded)


def close_if_due(unit: Unit, run: Run) -> bool:
    """Close a run that enlists nothing more and has no open page; return whether this call did."""
    if not run.state.is_open or not rules.walk_over(run.state, run.cursor) or run.pages_open:
        return False
    run.move(*rules.closing(run.state, run.reason, run.counts.get("lost", 0)))
    run.finished_at = run.progress_at = unit.now
    duration = unit.now - run.started_at
    run.stats = rules.finish_stats(run.stats, state=run.state, total_errors=run.total_errors, duration=duration)
    head = unit.head()
    head.aggregate, head.purge_due = rules.sum_stats([head.aggregate, run.stats]), True
    return True


def close(unit: Unit, run_id: str) -> RunStatus | None:
    """Close a run, if it is due; return it if this call did."""
    run = unit.run(run_id, held=True)
    return status_of(unit, run) if run is not None and close_if_due(unit, run) else None


def is_over(items: Sequence[Item]) -> bool:
    """Whether a page has nothing open, given all its items."""
    return not any(item.state.is_open for item in items)


def _fold(unit: Unit, run: Run, page: Page) -> bool:
    items = unit.items_on(run, [page])
    if not is_over(items):
        return False
    unit.delete(page)
    run.pages_open -= 1
    run.counts = Counter(run.counts) + Counter(rules.count_name(item.state, item.outcome) for item in items)
    ended = [rules.item_stats(item.state, item.outcome, item.on, item.totals) for item in items]
    run.stats, run.progress_at = rules.sum_stats([run.stats, *ended]), unit.now
    statuses = unit.statuses([item.name for item in items])
    for item in items:
        kept = statuses.get(item.name)
        if rules.work_state(item.state, item.outcome) is not None and (kept is None or kept.epoch <= run.epoch):
            unit.add(Status(item.name, item.version, run.epoch, item.status()))
        if not rules.kept_after_fold(item.state, item.outcome):
            unit.delete(item)
    return True
