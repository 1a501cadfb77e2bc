"""What people and schedules read. Several statements of one answer see one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.exceptions import WorkNotFound
from celery_process.instants import from_us
from celery_process.jsontext import decode
from celery_process.protocol import rules
from celery_process.protocol.model import Overrides, Pause, RunStatus, SlotEntry, Stats, StoredProcess, WorkInfo, WorkStatus
from celery_process.protocol.states import ItemState, WorkList, WorkState
from celery_process.protocol.tokens import task_of
from celery_process.stores.sql import ledger
from celery_process.stores.sql.keys import RunKey, among
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction


def now(tx: Transaction) -> datetime:
    """Return the store's clock."""
    return tx.now


def process(tx: Transaction, name: str, *, live: bool) -> StoredProcess:
    """Return what is stored of a process; an empty state, if nothing is."""
    table, run = tx.t.process, tx.t.run
    stored = overrides(tx, name)
    row = tx.first(sa.select(table).where(table.c.name == name))
    if row is None:
        return StoredProcess(name, overrides=stored)
    last = tx.first(sa.select(run).where(run.c.process == name, run.c.epoch == row.epoch))
    return StoredProcess(
        name=name,
        last_slot=row.last_slot,
        paused=None if row.paused_at is None else Pause(row.pause_note, row.paused_by, row.paused_at),
        overrides=stored,
        run=None if last is None else status_of(tx, last, live=live),
        aggregate_stats=row.aggregate_stats,
        epoch=row.epoch,
        limits=row.limits,
        swept_at=row.swept_at,
    )


def overrides(tx: Transaction, process: str) -> Overrides:
    """Return the stored overrides."""
    table = tx.t.settings
    row = tx.first(sa.select(table).where(table.c.process == process))
    if row is None:
        return Overrides()
    return Overrides(row.settings, row.schedule, row.version, row.changed_at, row.changed_by)


def schedules(tx: Transaction) -> Mapping[str, str]:
    """Return the stored schedules by process."""
    table = tx.t.settings
    rows = tx.rows(sa.select(table.c.process, table.c.schedule).where(table.c.schedule.is_not(None)))
    return {row.process: row.schedule for row in rows}


def running(tx: Transaction) -> tuple[str, ...]:
    """Return the names of the processes that have an open run."""
    table = tx.t.run
    return tuple(sorted(tx.column(sa.select(table.c.process).where(one_of(table.c.state, OPEN_RUNS)))))


def run(tx: Transaction, process: str, run: str) -> RunStatus:
    """Return one run."""
    row = tx.first(sa.select(tx.t.run).where(RunKey.of(process, run).row(tx.t.run)))
    if row is None:
        raise rules.run_not_found(process, run)
    return status_of(tx, row)


def runs(tx: Transaction, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:
    """Return runs, newest first."""
    table = tx.t.run
    query = sa.select(table).where(table.c.process == process)
    if before is not None:
        query = query.where(table.c.epoch < before)
    return tuple(status_of(tx, row) for row in tx.rows(query.order_by(table.c.epoch.desc()).limit(limit)))


def slots(tx: Transaction, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:
    """Return the ledger's entries, newest first."""
    table = tx.t.slot
    query = sa.select(table).where(table.c.process == process)
    if before is not None:
        query = query.where(table.c.slot < before)
    return tuple(ledger.entry_of(row) for row in tx.rows(query.order_by(table.c.slot.desc()).limit(limit)))


def works(tx: Transaction, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:
    """Return items of a list in name order."""
    work = tx.t.work
    chosen = (work.c.process == process, work.c.on_list == on, work.c.name > after)
    return _infos(tx, process, tx.rows(sa.select(work).where(*chosen).order_by(work.c.name).limit(limit)))


def work(tx: Transaction, process: str, name: str) -> WorkInfo:
    """Return one item."""
    work = tx.t.work
    found = _infos(tx, process, tx.rows(sa.select(work).where(work.c.process == process, work.c.name == name)))
    if not found:
        raise WorkNotFound(
            f"{process!r} has no work item {name!r:.80}; register it, or list those it has with `works()`.",
            process=process,
            work=name,
        )
    return found[0]


def work_counts(tx: Transaction, process: str) -> Mapping[WorkList, int]:
    """Return how many items each list has."""
    work = tx.t.work
    query = sa.select(work.c.on_list, sa.func.count().label("items")).where(work.c.process == process)
    counted = {row.on_list: row.items for row in tx.rows(query.group_by(work.c.on_list))}
    return {on: counted.get(on, 0) for on in WorkList}


def _infos(tx: Transaction, process: str, works: Sequence[Row[Any]]) -> tuple[WorkInfo, ...]:
    """Return registrations with their live status, where the open run has them at this version, else with their last."""
    if not works:
        return ()
    names = [row.name for row in works]
    status, item, run = tx.t.status, tx.t.item, tx.t.run
    kept = sa.select(status).where(status.c.process == process, among(status.c.name, names))
    found = {(row.name, row.params_version): _last(row) for row in tx.rows(kept)}
    open_run = tx.first(
        sa.select(run.c.epoch, run.c.run_uuid).where(run.c.process == process, one_of(run.c.state, OPEN_RUNS))
    )
    if open_run is not None:
        of_run = (item.c.process == process, item.c.epoch == open_run.epoch, item.c.state != ItemState.REMOVED)
        run_id = rules.run_id(open_run.epoch, open_run.run_uuid)
        for row in tx.rows(sa.select(item).where(*of_run, among(item.c.name, names))):
            of_row = (row.name, row.params_version)
            waits_in = run_id if row.state is ItemState.PENDING else ""
            found[of_row] = rules.status_seen(_live(row), found.get(of_row), waits_in=waits_in)
    return tuple(
        WorkInfo(
            name=row.name,
            on=row.on_list,
            params=decode(row.params),
            changed_at=from_us(row.params_version),
            listed_at=row.listed_at,
            status=found.get((row.name, row.params_version), WorkStatus()),
        )
        for row in works
    )


def _live(item: Row[Any]) -> WorkStatus:
    state = WorkState.ACTIVE if item.state is ItemState.CLAIMED else rules.work_state(item.state, item.outcome)
    return _status(item, state or WorkState.NEW, item.totals.stats)


def _last(status: Row[Any]) -> WorkStatus:
    return _status(status, status.state, status.stats)


def _status(row: Row[Any], state: WorkState, stats: Stats) -> WorkStatus:
    return WorkStatus(
        state=state,
        stats=stats,
        errors=row.errors,
        total_errors=row.error_count,
        last_error_at=row.last_error_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempt=row.attempt,
        task_id=task_of(row.token),
    )
