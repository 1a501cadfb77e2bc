"""What people read of a process, worked out from its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from celery_process.exceptions import WorkNotFound
from celery_process.instants import from_us
from celery_process.jsontext import decode
from celery_process.protocol import rules
from celery_process.protocol.entities import Run, Work
from celery_process.protocol.model import (
    ItemCounts,
    NewestSlot,
    Overrides,
    RunStatus,
    SlotEntry,
    StoredProcess,
    WorkInfo,
    WorkStatus,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.rows import Tally
from celery_process.protocol.states import By, ItemState, WorkList
from celery_process.protocol.stats import add_stats
from celery_process.protocol.unit import Unit


def run_status(process: str, run: Run, tallies: Iterable[Tally] = ()) -> RunStatus:
    """Return what people see of a run: its folded pages and the items of its open ones."""
    counts, stats = Counter(run.counts), dict(run.stats)
    for alike in tallies:
        counts[rules.count_name(alike.state, alike.outcome)] += alike.items
        if not alike.state.is_open:
            one = rules.item_stats(alike.state, alike.outcome, alike.on, alike.totals)
            for _ in range(alike.items):  # one by one: so floats add up as they do when the page is folded
                add_stats(stats, one)
    return RunStatus(
        process=process,
        id=run.id,
        epoch=run.epoch,
        slot=run.slot,
        generation=run.generation,
        state=run.state,
        reason=run.reason,
        settings_version=run.settings_version,
        started_at=run.started_at,
        progress_at=run.progress_at or run.started_at,
        finished_at=run.finished_at,
        counts=ItemCounts(**counts),
        stats=stats,
        total_errors=run.total_errors,
        errors=run.errors,
        last_error_at=run.last_error_at,
        limit_broken=run.limit_broken,
    )


def status_of(unit: Unit, run: Run, *, live: bool = True) -> RunStatus:
    """Return what people see of a run; not `live`, of what was folded."""
    return run_status(unit.process, run, unit.rows.tallies(run.epoch) if live and run.pages_open else ())


def process(unit: Unit, *, live: bool) -> StoredProcess:
    """Return what is stored of a process."""
    head = unit.head(held=False)
    last = unit.run_of_epoch(head.epoch) if head.epoch else None
    return StoredProcess(
        name=unit.process,
        last_slot=head.last_slot,
        paused=head.paused,
        overrides=unit.overrides(),
        run=None if last is None else status_of(unit, last, live=live),
        aggregate_stats=dict(head.aggregate),
        epoch=head.epoch,
        limits=head.limits,
        swept_at=head.swept_at,
    )


def overrides(unit: Unit) -> Overrides:
    """Return the stored overrides alone."""
    return unit.overrides()


def settings_history(unit: Unit, *, limit: int) -> tuple[Overrides, ...]:
    """Return the versions of the overrides, newest first."""
    return tuple(unit.rows.history(limit=limit))


def run(unit: Unit, run_id: str) -> RunStatus:
    """Return one run, or raise `RunNotFound`."""
    found = unit.run(run_id)
    if found is None:
        raise rules.run_not_found(unit.process, run_id)
    return status_of(unit, found)


def runs(unit: Unit, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:
    """Return runs, newest first."""
    return tuple(status_of(unit, found) for found in unit.runs(before=before, limit=limit))


def slots(unit: Unit, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:
    """Return the ledger's entries, newest first."""
    return tuple(unit.rows.entries(before=before, limit=limit))


def newest_slot(unit: Unit) -> NewestSlot | None:
    """Return the newest entry of the ledger, if it has one."""
    entries = unit.rows.entries(before=None, limit=1)
    if not entries:
        return None
    scheduled = any(entry.by in set(By) for entry in unit.rows.entries(before=None, limit=unit.rows.count_entries()))
    newest = entries[0]
    return NewestSlot(newest.slot, newest.end, newest.by, scheduled, unit.head(held=False).paused is not None)


def works(unit: Unit, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:
    """Return items of a list in name order."""
    return _infos(unit, unit.rows.listed(on, after=after, limit=limit))


def work(unit: Unit, name: str) -> WorkInfo:
    """Return one item, or raise `WorkNotFound`."""
    found = _infos(unit, unit.rows.works([name]))
    if not found:
        raise WorkNotFound(
            f"{unit.process!r} has no work item {name!r:.80}; register it, or list those it has with `works()`.",
            process=unit.process,
            work=name,
        )
    return found[0]


def work_counts(unit: Unit) -> Mapping[WorkList, int]:
    """Return how many items each list has."""
    counted = unit.rows.work_counts()
    return {on: counted.get(on, 0) for on in WorkList}


def repairs(unit: Unit, run_id: str) -> Repairs:
    """Return what sweeps did to a run and nobody acknowledged."""
    found = unit.run(run_id)
    return found.repairs if found is not None and found.repairs.expired else Repairs()


def _infos(unit: Unit, works: Sequence[Work]) -> tuple[WorkInfo, ...]:
    """Return registrations with their live status, where the open run has them at this version, else with their last."""
    names = [work.name for work in works]
    statuses = unit.statuses(names)
    open_run = unit.open_run() if names else None
    items = unit.items(open_run, names) if open_run is not None else {}

    def status(work: Work) -> WorkStatus:
        kept, item = statuses.get(work.name), items.get(work.name)
        last = kept.status if kept is not None and kept.version == work.version else None
        if open_run is None or item is None or item.version != work.version or item.state is ItemState.REMOVED:
            return rules.status_seen(None, last, waits_in="")
        waits_in = open_run.id if item.state is ItemState.PENDING else ""
        return rules.status_seen(item.status(), last, waits_in=waits_in)

    return tuple(
        WorkInfo(work.name, work.on, decode(work.params), from_us(work.version), work.listed_at, status(work))
        for work in works
    )


def is_running(unit: Unit) -> bool:
    """Whether the process has an open run."""
    return unit.open_run() is not None
