"""The life of a run as a whole, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from celery_process.protocol import rules
from celery_process.protocol.model import Retention, RunStatus, SweepTarget
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import ItemState, RunState, StopReason, WorkList
from celery_process.stores.base import Runs
from celery_process.stores.memory.definitions import MemoryBase
from celery_process.stores.memory.rows import Process, Run, Status


def close_run(process: Process, run: Run, now: datetime) -> bool:
    """Close a run that enlists nothing more and has no open page; return whether this call did."""
    if not run.state.is_open or not rules.walk_over(run.state, run.cursor) or run.pages:
        return False
    run.move(*rules.closing(run.state, run.reason, run.folded["lost"]))
    run.finished_at = run.progress_at = now
    duration = now - run.started_at
    run.stats = rules.finish_stats(run.stats, state=run.state, total_errors=run.total_errors, duration=duration)
    process.aggregate = rules.sum_stats([process.aggregate, run.stats])
    process.purge_due = True
    return True


def fold_if_done(process: Process, run: Run, number: int, now: datetime) -> bool:
    """Fold a page that has nothing open any more, and close the run if it is due; return whether the page was closed."""
    items = run.on_page(run.pages[number])
    if any(item.state.is_open for item in items):
        return False
    del run.pages[number]
    run.folded.update(rules.count_name(item.state, item.outcome) for item in items)
    run.stats = rules.sum_stats(
        [run.stats, *(rules.item_stats(item.state, item.outcome, item.on, item.totals) for item in items)]
    )
    for item in items:
        kept = process.statuses.get(item.name)
        if item.state is not ItemState.REMOVED and (kept is None or kept.epoch <= run.epoch):
            process.statuses[item.name] = Status(item.version, run.epoch, item.status())
        if not rules.kept_after_fold(item.state, item.outcome):
            del run.items[item.name]
    run.progress_at = now
    close_run(process, run, now)
    return True


class MemoryRuns(MemoryBase, Runs):
    """See `Runs`."""

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:  # noqa: D102
        with self._lock:
            row, now = self._of(process), self.now()
            found = row.runs.get(rules.epoch_of(run))
            if found is None or found.id != run or not found.state.is_open:
                return None
            if found.state is RunState.ACTIVE:
                found.move(RunState.ABORTING, reason.value)
            self._cancel(row, found, claimed=StopReason.SUPERSEDED in (reason, found.reason))
            close_run(row, found, now)
            return None if found.state.is_open else found.status()

    def _cancel(self, row: Process, run: Run, *, claimed: bool) -> None:
        for page in list(run.pages.values()):
            for item in run.on_page(page):
                if item.state is ItemState.PENDING or (claimed and item.state is ItemState.CLAIMED):
                    item.move(ItemState.CANCELLED)
                    item.free()
            fold_if_done(row, run, page.number, self.now())

    def repairs(self, process: str, run: str) -> Repairs:  # noqa: D102
        with self._lock:
            found = self._run(process, run)
            return found.repairs if found is not None and found.repairs.expired else Repairs()

    def ack_repairs(self, process: str, run: str, number: int) -> None:  # noqa: D102
        with self._lock:
            found = self._run(process, run)
            if found is not None:
                found.repairs = found.repairs.acknowledged(number)

    def ack_finish(self, process: str, run: str) -> bool:  # noqa: D102
        with self._lock:
            found = self._of(process).runs.get(rules.epoch_of(run))
            if found is None or found.id != run or found.state.is_open or found.notified_at is not None:
                return False
            found.notified_at = self.now()
            return True

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        with self._lock:
            now, targets = self.now(), []
            for row in (self._processes[name] for name in processes if name in self._processes):
                if row.swept_at is not None and not rules.passed(row.swept_at, now, interval):
                    continue
                untold = tuple(
                    run.id
                    for run in row.runs.values()
                    if run.notified_at is None and run.finished_at is not None and rules.passed(run.finished_at, now, grace)
                )
                open_run = row.open_run.id if row.open_run else None
                target = SweepTarget(row.name, open_run, untold, row.purge_due, row.swept_at)
                if target.open_run or untold or target.purge_due:
                    row.swept_at = now
                    targets.append(target)
            return tuple(targets)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        with self._lock:
            now, taken = self.now(), dict[str, datetime | None]()
            for row in (self._processes[name] for name in processes if name in self._processes):
                if row.swept_at is None or rules.passed(row.swept_at, now, interval):
                    taken[row.name], row.swept_at = row.swept_at, now
            return taken

    def purge(self, process: str, *, retention: Retention, limit: int) -> int:  # noqa: D102
        with self._lock:
            row, now, deleted = self._of(process), self.now(), 0
            closed = sorted((run for run in row.runs.values() if not run.state.is_open), key=lambda run: -run.epoch)
            redriven = row.open_run.redrives if row.open_run else ()
            for index, run in enumerate(closed):
                if run.epoch in redriven:
                    continue
                if index >= retention.runs:
                    del row.runs[run.epoch]
                    deleted += 1 + len(run.items)
                elif index >= retention.runs_with_items and not run.items_purged:
                    deleted += len(run.items)
                    run.items.clear()
                    run.items_purged = True
            dropped = sorted(
                ((work.listed_at, name) for name, work in row.works.items() if work.on is WorkList.DROPPED), reverse=True
            )
            for index, (listed_at, name) in enumerate(dropped):
                if index >= retention.dropped or now - listed_at >= retention.dropped_for:
                    del row.works[name]
                    row.statuses.pop(name, None)
                    deleted += 1
            for at in sorted(row.ledger, reverse=True)[retention.slots :]:
                del row.ledger[at]
                deleted += 1
            row.purge_due = deleted >= limit
            return deleted
