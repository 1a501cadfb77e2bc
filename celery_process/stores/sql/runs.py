"""How a run begins: claimed for its slot, or as a new generation of a closed one. Decided under the process row's lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.exceptions import RunPurged
from celery_process.protocol import rules
from celery_process.protocol.model import RunClaim, RunSpec, SlotEntry, SlotRef
from celery_process.protocol.states import Again, By, RunAnswer, SlotEnd, WorkList
from celery_process.stores.sql import ledger
from celery_process.stores.sql.keys import RunKey, not_found
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction
from celery_process.values import to_us


def locked_process(tx: Transaction, process: str) -> Row[Any]:
    """Lock and return the row of a process, which is there afterwards."""
    table = tx.t.process
    query = sa.select(table).where(table.c.name == process).with_for_update()
    row = tx.first(query)
    if row is None:
        tx.add_missing(table, {"name": process})
        row = tx.conn.execute(query).one()
    return row


def claim_run(tx: Transaction, process: str, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
    """Start the run of a slot, if it is due and free and nothing is open."""
    run = tx.t.run
    row = locked_process(tx, process)
    mine = _by_uuid(tx, process, uuid)
    if mine is not None:
        return mine
    if slot.due_at > tx.now:
        return RunClaim(RunAnswer.NOT_DUE, due_in=slot.due_at - tx.now)
    last, entry = _last_of_slot(tx, process, slot.slot), ledger.find(tx, process, slot.slot)
    if not rules.takes_slot(
        slot,
        tx.now,
        again=again,
        last_slot=row.last_slot,
        entry=entry,
        generations=0 if last is None else last.generation + 1,
        changed=last is not None and _changed_since(tx, last),
    ):
        return RunClaim(RunAnswer.LOST)
    refused = _refused(tx, row)
    if refused is not None:
        return refused
    ledger.account(tx, row, slot)
    generation = 0 if last is None else last.generation + 1
    key = _start(tx, row, uuid, slot.slot, generation, spec, By.noted(by, before=entry.by if entry else None))
    return RunClaim(RunAnswer.CLAIMED, status_of(tx, tx.conn.execute(sa.select(run).where(key.row(run))).one()))


def redrive(tx: Transaction, process: str, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
    """Start a new generation of a closed run's slot over what did not complete in it, nor in those it redrove."""
    runs = tx.t.run
    key = RunKey.of(process, run)
    row = locked_process(tx, process)
    old = tx.first(sa.select(runs).where(key.row(runs)))
    if old is None:
        raise not_found(process, run)
    refused = _by_uuid(tx, process, uuid) or _refused(tx, row)
    if refused is not None:
        return refused
    chain = (old.epoch, *old.redrives)
    kept = sa.select(runs.c.epoch).where(runs.c.process == process, runs.c.epoch.in_(chain), runs.c.items_purged.is_(False))
    if len(tx.column(kept)) < len(chain):
        raise RunPurged(
            f"The items of run {run!r} are no longer kept; start a whole run with `run_now()`.", process=process, run=run
        )
    last = _last_of_slot(tx, process, old.slot)
    generation = (old if last is None else last).generation + 1
    more = {"redrives": chain, "listed_before": old.listed_before}
    entry = ledger.find(tx, process, old.slot)
    new = _start(tx, row, uuid, old.slot, generation, spec, By.noted(by, before=entry.by if entry else None), **more)
    return RunClaim(RunAnswer.CLAIMED, status_of(tx, tx.conn.execute(sa.select(runs).where(new.row(runs))).one()))


def skip_slot(tx: Transaction, process: str, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
    """Write down why a slot did not run, unless the ledger has it."""
    row = locked_process(tx, process)
    if ledger.find(tx, process, slot.slot) is not None:
        return False
    after = rules.ended_after(slot, ledger.account(tx, row, slot))
    ledger.write(tx, process, SlotEntry(slot.slot, end, tx.now, by, after=after))
    if not row.purge_due and rules.ledger_purge_due(ledger.length(tx, process)):
        tx.change(sa.update(tx.t.process).where(tx.t.process.c.name == process).values(purge_due=True))
    return True


def _by_uuid(tx: Transaction, process: str, uuid: str) -> RunClaim | None:
    run = tx.t.run
    row = tx.first(sa.select(run).where(run.c.process == process, run.c.run_uuid == uuid))
    return None if row is None else RunClaim(RunAnswer.ALREADY, status_of(tx, row))


def _last_of_slot(tx: Transaction, process: str, slot: datetime) -> Row[Any] | None:
    run = tx.t.run
    of_slot = sa.select(run).where(run.c.process == process, run.c.slot == slot)
    return tx.first(of_slot.order_by(run.c.generation.desc()).limit(1))


def _changed_since(tx: Transaction, run: Row[Any]) -> bool:
    if run.state.is_open:
        return False
    settings, work = tx.t.settings.c, tx.t.work.c
    since = sa.exists().where(settings.process == run.process, settings.changed_at >= run.started_at)
    listed = sa.exists().where(work.process == run.process, work.params_version >= to_us(run.started_at))
    return bool(tx.value(sa.select(sa.or_(since, listed))))


def _refused(tx: Transaction, process: Row[Any]) -> RunClaim | None:
    if process.paused_at is not None:
        return RunClaim(RunAnswer.PAUSED)
    run = tx.t.run
    opened = (run.c.process == process.name, one_of(run.c.state, OPEN_RUNS))
    row = tx.first(sa.select(run.c.epoch, run.c.run_uuid).where(*opened))
    return None if row is None else RunClaim(RunAnswer.OVERLAPPED, open_run=rules.run_id(row.epoch, row.run_uuid))


def _start(
    tx: Transaction, process: Row[Any], uuid: str, slot: datetime, generation: int, spec: RunSpec, by: str, **more: Any
) -> RunKey:
    rows, settings = tx.t.process, tx.t.settings
    epoch = rules.next_epoch(process.epoch, tx.now)
    version = tx.value(sa.select(settings.c.version).where(settings.c.process == process.name))
    last_slot = max(process.last_slot or slot, slot)
    tx.change(sa.update(rows).where(rows.c.name == process.name).values(epoch=epoch, last_slot=last_slot))
    row = {
        "process": process.name,
        "epoch": epoch,
        "run_uuid": uuid,
        "slot": slot,
        "generation": generation,
        "defaults": spec.defaults,
        "settings_version": version or 0,
        "work_limit": spec.work_limit,
        "error_limit": rules.spec_limit(spec, _listed(tx, process.name) if spec.percent is not None else 0),
        "listed_before": tx.now,
        "cursor_list": WorkList.ACTIVE,
        "started_at": tx.now,
        "progress_at": tx.now,
        **more,
    }
    tx.add(tx.t.run, [row])
    ledger.write(tx, process.name, SlotEntry(slot, SlotEnd.RAN, tx.now, by, rules.run_id(epoch, uuid)))
    return RunKey(process.name, epoch, uuid)


def _listed(tx: Transaction, process: str) -> int:
    work = tx.t.work
    active = sa.select(sa.func.count()).select_from(work).where(work.c.process == process, work.c.on_list == WorkList.ACTIVE)
    return int(tx.value(active))
