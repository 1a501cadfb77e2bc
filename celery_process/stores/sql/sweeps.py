"""The repair after crashes: expired leases, pages left open, items that were never published or never claimed.

Each step is a transaction of its own, so that a sweep that dies leaves nothing for the next one to undo.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.kept import MAX_WORK_ERRORS
from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.model import ErrorEntry, RunStatus, SweepTarget, Swept
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import ItemState, RunState, WorkList, moved
from celery_process.protocol.tokens import void_token
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.errors import Fault, charge
from celery_process.stores.sql.folds import fold_if_done
from celery_process.stores.sql.keys import RunKey, among, chunks
from celery_process.stores.sql.pages import close_if_due, list_open_pages, locked_run, write_run
from celery_process.stores.sql.publishing import to_publish
from celery_process.stores.sql.stopping import cancel
from celery_process.stores.sql.tables import OFFERED, OPEN_RUNS, one_of, passed
from celery_process.stores.sql.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Expired:
    """What became of the items whose lease ran out; `last` is the name whose loss made the run ABORTING."""

    repairs: Repairs
    last: str | None


def begin_sweep(db: Database, processes: Sequence[str], *, interval: timedelta, grace: timedelta) -> tuple[SweepTarget, ...]:
    """Return the processes that need a look and had none for the interval, each to one caller only.

    One process a transaction, so that none locks several; a process that another caller locks is skipped until later.
    """
    due = db.read("begin_sweep", _due, processes, interval, grace)
    mine = {name for name, target in sorted(due.items()) if db.write("begin_sweep", _take, name, target.last_sweep)}
    return tuple(due[name] for name in dict.fromkeys(processes) if name in mine)


def _due(tx: Transaction, processes: Sequence[str], interval: timedelta, grace: timedelta) -> dict[str, SweepTarget]:
    process, run, now = tx.t.process, tx.t.run, tx.now
    # No column is read that may be corrupt: a process with corrupt data would block the sweep of all others.
    looked_at = sa.select(process.c.name, process.c.swept_at, process.c.purge_due)
    due = sa.or_(process.c.swept_at.is_(None), passed(process.c.swept_at, now, interval))
    rows = {row.name: row for row in tx.rows(looked_at.where(process.c.name.in_(processes), due))}
    untold = sa.and_(run.c.notified_at.is_(None), passed(run.c.finished_at, now, grace))
    is_open = one_of(run.c.state, OPEN_RUNS)
    runs = sa.select(run.c.process, run.c.epoch, run.c.run_uuid, is_open.label("is_open")).where(
        run.c.process.in_(rows), sa.or_(is_open, untold)
    )
    found = tx.rows(runs.order_by(run.c.epoch))
    targets = {name: _target(row, [run for run in found if run.process == name]) for name, row in rows.items()}
    return {name: target for name, target in targets.items() if target.open_run or target.unnotified or target.purge_due}


def _take(tx: Transaction, name: str, swept_at: datetime | None) -> bool:
    process = tx.t.process
    mine = (process.c.name == name, _same(process.c.swept_at, swept_at))
    if tx.first(sa.select(process.c.name).where(*mine).with_for_update(skip_locked=True)) is None:
        return False
    return tx.change(sa.update(process).where(*mine).values(swept_at=tx.now)) == 1


def take_turns(tx: Transaction, processes: Collection[str], *, interval: timedelta) -> dict[str, datetime | None]:
    """Note a sweep of those that had none for the interval; return them, each with when its last one was."""
    process, now = tx.t.process, tx.now
    swept = process.c.swept_at
    due = sa.or_(swept.is_(None), passed(swept, now, interval))
    last = {
        row.name: row.swept_at
        for chunk in chunks(sorted(set(processes)))
        for row in tx.rows(sa.select(process.c.name, swept).where(among(process.c.name, chunk), due))
    }

    def note(name: str) -> bool:
        noted = sa.update(process).where(process.c.name == name, _same(swept, last[name])).values(swept_at=now)
        return tx.change(noted) == 1

    return {name: last[name] for name in sorted(last) if note(name)}


def _same(column: sa.Column[Any], value: datetime | None) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _target(process: Row[Any], runs: Sequence[Row[Any]]) -> SweepTarget:
    open_run = next((run for run in runs if run.is_open), None)
    return SweepTarget(
        process.name,
        rules.run_id(open_run.epoch, open_run.run_uuid) if open_run is not None else None,
        tuple(rules.run_id(run.epoch, run.run_uuid) for run in runs if not run.is_open),
        process.purge_due,
        process.swept_at,
    )


def sweep_run(
    db: Database,
    key: RunKey,
    *,
    lease: timedelta,
    redispatch_after: timedelta,
    grace: timedelta,
    max_attempts: int,
    limit: int,
) -> Swept:
    """Repair an open run, step by step."""
    state = db.peek("sweep_run", _state, key)
    if state is None or not state.is_open:
        return Swept()
    expired = db.write("sweep_run", _expire, key, max_attempts, lease)
    cut = "" if state is RunState.ABORTING else expired.last
    pages = db.peek("sweep_run", list_open_pages, key)
    if cut is not None:
        db.write("sweep_run", cancel, pages, {ItemState.PENDING}, cut)
    settled = fold_if_done(db, "sweep_run", key, pages)
    closed = settled.run or db.write("sweep_run", _close, key)
    chosen = to_publish(db, key, redispatch_after=redispatch_after, grace=grace, limit=limit)
    publish = ((on, tuple(row.name for row in chosen if row.on_list is on)) for on in WorkList)
    return Swept(
        publish=tuple((on, names) for on, names in publish if names),
        single=frozenset(row.name for row in chosen if row.attempt),
        repairs=expired.repairs,
        stopping=expired.last is not None and closed is None,
        run=closed,
    )


def _state(tx: Transaction, key: RunKey) -> RunState | None:
    state: RunState | None = tx.value(sa.select(tx.t.run.c.state).where(key.row(tx.t.run)))
    return state


def _close(tx: Transaction, key: RunKey) -> RunStatus | None:
    return None if locked_run(tx, key) is None else close_if_due(tx, key)


def _expire(tx: Transaction, key: RunKey, max_attempts: int, lease: timedelta) -> Expired:
    item, now = tx.t.item, tx.now
    claimed = (key.rows(item), one_of(item.c.state, (ItemState.CLAIMED,)))
    _cut(tx, claimed, now + lease)
    over = (*claimed, item.c.lease_until <= now)
    rows = tx.rows(sa.select(item).where(*over).order_by(item.c.page_id, item.c.name).with_for_update(skip_locked=True))
    kept = _kept(tx, key)
    room = MAX_LOST - len(kept.lost)
    lost, faults, expired = list[str](), list[Fault](), 0
    for row in rows:
        values: dict[str, Any] = {"state": ItemState.PENDING, **OFFERED}
        if row.attempt >= max_attempts:
            if len(lost) >= room:
                continue
            entry = ErrorEntry(rules.lost_text(row.attempt), now, row.name)
            values = _lost(row, entry)
            lost.append(row.name)
            faults.append(Fault(row.name, 1, (entry,), row.error_count + 1))
        moved(row.state, values["state"])
        tx.change(sa.update(item).where(item.c.id == row.id).values(**values))
        expired += 1
    last = charge(tx, key, faults).fatal if faults else None
    repairs = _keep(tx, key, expired, lost) if expired else kept
    return Expired(repairs if repairs.expired else Repairs(), None if last is None else lost[last])


def _kept(tx: Transaction, key: RunKey) -> Repairs:
    return tx.value(sa.select(tx.t.run.c.repairs).where(key.row(tx.t.run))) or Repairs()


def _keep(tx: Transaction, key: RunKey, expired: int, lost: Sequence[str]) -> Repairs:
    """Keep with the run what was done to its items, which are locked before it."""
    row = locked_run(tx, key)
    if row is None:
        return Repairs()
    repairs = (row.repairs or Repairs()).following(expired, lost)
    write_run(tx, row, repairs=repairs)
    return repairs


def _cut(tx: Transaction, claimed: Sequence[sa.ColumnElement[bool]], latest: datetime) -> None:
    """Let leases end at `latest` that end later."""
    item = tx.t.item
    later = sa.select(item.c.id).where(*claimed, item.c.lease_until > latest).order_by(item.c.page_id, item.c.name)
    for found in chunks(tx.column(later.with_for_update(skip_locked=True))):
        tx.change(sa.update(item).where(item.c.id.in_(found)).values(lease_until=latest))


def _lost(row: Row[Any], entry: ErrorEntry) -> dict[str, Any]:
    return {
        **OFFERED,
        "token": void_token(row.token),
        "state": ItemState.LOST,
        "last_error_at": entry.at,
        "errors": (*row.errors, entry)[:MAX_WORK_ERRORS],
        "error_count": row.error_count + 1,
        "totals": replace(row.totals, stats={}, run_stats={}),
    }
