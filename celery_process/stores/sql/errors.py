"""Errors that a run counts from its items, and the tolerance that they use up: the one write to a busy run's row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from celery_process.protocol import rules
from celery_process.protocol.kept import MAX_RUN_ERRORS
from celery_process.protocol.model import ErrorEntry
from celery_process.protocol.states import RunState, StopReason
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.pages import locked_run
from celery_process.stores.sql.stopping import abort
from celery_process.stores.sql.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Fault:
    """What one report, or one loss, adds to its run; `of_item` is how many errors its item, `work`, has had by now."""

    work: str
    count: int
    texts: tuple[ErrorEntry, ...]
    of_item: int


@dataclass(frozen=True, slots=True)
class Charged:
    """Whether the run was ABORTING already, else the place of the fault that made it so."""

    aborting: bool = False
    fatal: int | None = None


def charge(tx: Transaction, key: RunKey, faults: Sequence[Fault]) -> Charged:
    """Add faults to the run in their order, and abort it at the first that is beyond the tolerance.

    Items are locked before the run, so call this after the last write to an item.
    """
    run = tx.t.run
    row = locked_run(tx, key)
    if row is None:
        return Charged()
    total, texts, fatal, broken = row.total_errors, row.errors, None, None
    for place, fault in enumerate(faults):
        total += fault.count
        texts = (texts + fault.texts)[:MAX_RUN_ERRORS]
        if fault.count and broken is None and row.state is RunState.ACTIVE:
            broken = rules.limit_broken(fault.work, fault.of_item, row.work_limit, total=total, run_limit=row.error_limit)
            fatal = None if broken is None else place
    if broken is not None:
        abort(tx, row, StopReason.ABORTED, broken)
    counted = any(fault.count for fault in faults)
    last = {"last_error_at": tx.now} if counted else {}
    tx.change(sa.update(run).where(run.c.id == row.id).values(total_errors=total, errors=texts, **last))
    return Charged(row.state is not RunState.ACTIVE, fatal)
