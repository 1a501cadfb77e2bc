"""All that decides about items, read in one statement: the item, its run, the pause, the registration, the settings.

After a wait for an item's row PostgreSQL reads that row again, but the others as they were before the wait; MySQL waits in
the update that follows. So nothing is read in a statement that waits: it would not see a stop, a pause or a removal that
was committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol.states import RunState, WorkState
from celery_process.stores.sql.engine import Database, Result
from celery_process.stores.sql.keys import RunKey, among
from celery_process.stores.sql.transaction import Transaction, names


def of_run(tx: Transaction) -> sa.ColumnElement[bool]:
    """Return `RunKey.row` of the table of runs, for a statement that is built once; its parameters are `which`."""
    run = tx.t.run
    return sa.and_(
        run.c.process == sa.bindparam("of_process"),
        run.c.epoch == sa.bindparam("of_epoch"),
        run.c.run_uuid == sa.bindparam("of_uuid"),
    )


def which(key: RunKey) -> dict[str, Any]:
    """Return the parameters of `of_run`."""
    return {"of_process": key.process, "of_epoch": key.epoch, "of_uuid": key.uuid}


def _facts(tx: Transaction, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    item, run, process, work, settings = tx.t.item, tx.t.run, tx.t.process, tx.t.work, tx.t.settings
    of_work = sa.and_(work.c.process == item.c.process, work.c.name == item.c.name)
    own = (
        item.c.id,
        item.c.name,
        item.c.page_id,
        item.c.on_list,
        item.c.state,
        item.c.token,
        item.c.sequence,
        item.c.attempt,
    )
    of_all = (
        run.c.state.label("run_state"),
        run.c.defaults,
        settings.c.settings,
        settings.c.version.label("settings_version"),
        work.c.on_list.label("listed_on"),
        work.c.params,
        work.c.params_version.label("version"),
    )
    query = (
        sa.select(*own, *of_all, *more, *tx.times)
        .select_from(
            item.join(run, of_run(tx))
            .join(process, process.c.name == item.c.process)
            .outerjoin(work, of_work)
            .outerjoin(settings, settings.c.process == item.c.process)
        )
        .where(_of_items(tx))
        .order_by(item.c.name)
    )
    # One statement changes many items there, in the plan's order: so they are locked before, in the order of their names.
    return query.with_for_update(of=item, skip_locked=True) if tx.is_postgresql else query


def claim_facts(tx: Transaction) -> sa.Select[Any]:
    """Select what decides about a claim or a release."""
    item, run, process = tx.t.item, tx.t.run, tx.t.process
    of_run = (run.c.slot, run.c.generation, run.c.started_at.label("run_started_at"))
    of_process = (process.c.paused_at, process.c.limits)
    return _facts(tx, item.c.epoch, item.c.lease_until, *of_run, *of_process)


def report_facts(tx: Transaction) -> sa.Select[Any]:
    """Select what decides about a report."""
    item = tx.t.item
    counted = (item.c.totals, item.c.error_count, item.c.errors, item.c.last_error_at, item.c.outcome, item.c.finished_at)
    return _facts(tx, *counted, item.c.process, item.c.params_version)


class Waits(Exception):
    """Another transaction locks items: wait for it, and only then read what decides about them."""


def decided(db: Database, operation: str, step: Callable[..., Result], *args: Any, **more: Any) -> Result:
    """Run a step that decides about items without waiting for locks; if some are locked, run it again and wait.

    The step passes its argument `wait` on to `read`.
    """
    try:
        return db.write(operation, step, *args, **more, wait=False)
    except Waits:
        return db.write(operation, step, *args, **more, wait=True)


def read(
    tx: Transaction,
    facts: Callable[[Transaction], sa.Select[Any]],
    key: RunKey,
    chosen: Collection[str],
    *,
    wait: bool,
) -> dict[str, Row[Any]]:
    """Return what decides about items, which are locked, in the order of their names; raise `Waits` unless it may wait."""
    if not chosen:
        return {}
    given = {**which(key), **names(chosen)}
    if wait or tx.waits_to_write:
        tx.rows(tx.built(_to_lock), **given)
    rows = tx.rows(tx.built(facts), **given)
    if rows and tx.times:
        tx.set_now(rows[-1].now)
    found = {row.name: row for row in rows}
    absent = [name for name in set(chosen) if name not in found]
    if absent and not wait and tx.is_postgresql and tx.value(tx.built(_any_of), **which(key), **names(absent)):
        raise Waits
    return found


def _of_items(tx: Transaction) -> sa.ColumnElement[bool]:
    item = tx.t.item
    of_run = (item.c.process == sa.bindparam("of_process"), item.c.epoch == sa.bindparam("of_epoch"))
    return sa.and_(*of_run, tx.among(item.c.name))


def _to_lock(tx: Transaction) -> sa.Select[Any]:
    return sa.select(tx.t.item.c.id).where(_of_items(tx)).order_by(tx.t.item.c.name).with_for_update()


def _any_of(tx: Transaction) -> sa.Select[Any]:
    return sa.select(sa.true()).where(_of_items(tx)).limit(1)


@dataclass(frozen=True, slots=True)
class FoldedItems:
    """Names of which a run has no item: the run's state, and, by their statuses, how the deleted ones ended."""

    run_state: RunState | None
    ended: Mapping[str, tuple[WorkState, int]]

    def completed_by(self, name: str) -> int | None:
        """Return the attempt by which an item completed, if one did."""
        state, attempt = self.ended.get(name, (WorkState.NEW, 0))
        return attempt if state is WorkState.COMPLETED else None


def over(tx: Transaction, key: RunKey, chosen: Collection[str]) -> FoldedItems:
    """Read the statuses of items that were deleted with their page."""
    run, status = tx.t.run, tx.t.status
    kept = sa.and_(status.c.process == run.c.process, status.c.epoch == run.c.epoch, among(status.c.name, chosen))
    columns = (run.c.state, status.c.name, status.c.state.label("ended_as"), status.c.attempt)
    rows = tx.rows(sa.select(*columns).select_from(run.outerjoin(status, kept)).where(key.row(run)))
    ended = {row.name: (row.ended_as, row.attempt) for row in rows if row.name is not None}
    return FoldedItems(rows[0].state if rows else None, ended)
