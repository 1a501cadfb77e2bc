"""The work on an item: claimed, given back, published. Each writes the item's own row, by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process import rules
from celery_process.model import ItemClaim
from celery_process.reports import Reported, Totals
from celery_process.states import ClaimAnswer, ItemState, RunState, WorkState
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.folds import settle
from celery_process.stores.sql.keys import RunKey, among, chunks
from celery_process.stores.sql.tables import FREED
from celery_process.stores.sql.transaction import Each, Transaction, names


@dataclass(frozen=True, slots=True)
class Claims:
    """The answers of a claim, and the pages that lost an item to a removal."""

    answers: tuple[ItemClaim, ...]
    pages: tuple[int, ...]


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
    of_item = sa.and_(item.c.process == sa.bindparam("of_process"), item.c.epoch == sa.bindparam("of_epoch"))
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
        .where(of_item, tx.among(item.c.name))
        .order_by(item.c.name)
    )
    # One statement changes many items there, in an order that is the plan's: they are locked here, in that of their names.
    return query.with_for_update(of=item) if tx.is_postgresql else query


def _claim_facts(tx: Transaction) -> sa.Select[Any]:
    item, run, process = tx.t.item, tx.t.run, tx.t.process
    of_run = (run.c.slot, run.c.generation, run.c.started_at.label("run_started_at"))
    of_process = (process.c.paused_at, process.c.limits)
    return _facts(tx, item.c.epoch, item.c.lease_until, *of_run, *of_process)


def _report_facts(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    counted = (item.c.totals, item.c.error_count, item.c.errors, item.c.last_error_at, item.c.outcome, item.c.finished_at)
    return _facts(tx, *counted, item.c.process, item.c.params_version)


def _read(
    tx: Transaction, facts: Callable[[Transaction], sa.Select[Any]], key: RunKey, chosen: Collection[str]
) -> dict[str, Row[Any]]:
    """Read in one SELECT all that decides about items: the item, its run, the pause, the registration, the settings."""
    if not chosen:
        return {}
    rows = tx.rows(tx.built(facts), **which(key), **names(chosen))
    if rows and tx.times:
        # Where it is from before a wait for a lock, leases end so much earlier, and none is taken for expired too soon.
        tx.set_now(rows[-1].now)
    return {row.name: row for row in rows}


def report_facts(tx: Transaction, key: RunKey, chosen: Collection[str]) -> dict[str, Row[Any]]:
    """Read all that decides about the reports of items, in the order of their names."""
    return _read(tx, _report_facts, key, chosen)


@dataclass(frozen=True, slots=True)
class Over:
    """What is known of names of which a run has no item: its state, and how those ended that it had, by their status."""

    run_state: RunState | None
    ended: Mapping[str, tuple[WorkState, int]]

    def completed_by(self, name: str) -> int | None:
        """Return the attempt by which an item completed, if one did."""
        state, attempt = self.ended.get(name, (WorkState.NEW, 0))
        return attempt if state is WorkState.COMPLETED else None


def over(tx: Transaction, key: RunKey, chosen: Collection[str]) -> Over:
    """Read what is left of items that are gone with their page."""
    run, status = tx.t.run, tx.t.status
    kept = sa.and_(status.c.process == run.c.process, status.c.epoch == run.c.epoch, among(status.c.name, chosen))
    columns = (run.c.state, status.c.name, status.c.state.label("ended_as"), status.c.attempt)
    rows = tx.rows(sa.select(*columns).select_from(run.outerjoin(status, kept)).where(key.row(run)))
    ended = {row.name: (row.ended_as, row.attempt) for row in rows if row.name is not None}
    return Over(rows[0].state if rows else None, ended)


def _still(tx: Transaction, old: Any) -> sa.Update:
    """Return an update of an item that matches only while nobody changed it since it was read.

    What renews a lease raises the sequence; an item that went through other hands has another token or attempt.
    """
    item = tx.t.item
    same = (
        item.c.id == old.of_id,
        item.c.state == old.was_state,
        item.c.token == old.was_token,
        item.c.sequence == old.was_sequence,
        item.c.attempt == old.was_attempt,
    )
    return sa.update(item).where(*same)


_AS_READ = {"of_id": "id", "was_state": "state", "was_token": "token", "was_sequence": "sequence", "was_attempt": "attempt"}


def _as_read(row: Row[Any]) -> dict[str, Any]:
    return {
        "of_id": row.id,
        "was_state": row.state,
        "was_token": row.token,
        "was_sequence": row.sequence,
        "was_attempt": row.attempt,
    }


def _taken(tx: Transaction, new: Any) -> sa.Update:
    item = tx.t.item
    return _still(tx, new).values(
        state=ItemState.CLAIMED,
        token=sa.bindparam("new_token"),
        sequence=0,
        attempt=new.was_attempt + 1,
        params_version=new.new_version,
        totals=Totals(),
        dispatches=0,
        started_at=sa.bindparam("at", type_=item.c.started_at.type),
        lease_until=sa.bindparam("until", type_=item.c.lease_until.type),
    )


def _given_back(tx: Transaction, new: Any) -> sa.Update:
    return _still(tx, new).values(state=new.new_state, attempt=new.was_attempt - 1, **FREED)


TAKE = Each("item", {**_AS_READ, "new_version": "params_version"}, _taken)
GIVE_BACK = Each("item", {**_AS_READ, "new_state": "state"}, _given_back)
UNPUBLISH = Each("item", _AS_READ, lambda tx, old: _still(tx, old).values(dispatched_at=None))
REMOVE = Each("item", _AS_READ, lambda tx, old: _still(tx, old).values(state=ItemState.REMOVED, **FREED))


def claim(
    db: Database, key: RunKey, chosen: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> tuple[ItemClaim, ...]:
    """Claim items in one transaction; a page that a removal emptied is closed after it."""
    claims = db.write("claim", _claim, key, chosen, token=token, lease=lease, max_attempts=max_attempts)
    settle(db, "claim", key, claims.pages)
    return claims.answers


def _claim(
    tx: Transaction, key: RunKey, chosen: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> Claims:
    rows = _read(tx, _claim_facts, key, chosen)
    answers: dict[str, ItemClaim] = {}
    taken, unpublished, removed = [], [], []
    settings = _Settings()
    for name, row in rows.items():
        mine = row.token == token
        answer = rules.claim_answer(
            run=row.run_state,
            paused=row.paused_at is not None,
            item=row.state,
            mine=mine,
            expired=row.state is ItemState.CLAIMED and row.lease_until <= tx.now,
            attempts_left=row.attempt < max_attempts,
            listed=row.listed_on is row.on_list,
        )
        if answer is ClaimAnswer.PAUSED and row.state is ItemState.PENDING:
            unpublished.append(_as_read(row))
        elif answer is ClaimAnswer.REMOVED and row.state.is_open:
            removed.append(row)
        elif answer is ClaimAnswer.CLAIMED and not mine and row.listed_on is not None:
            taken.append({**_as_read(row), "new_version": row.version})
        answers[name] = _answer(row, answer, row.attempt if mine else row.attempt + 1, settings)
    tx.change_each(UNPUBLISH, unpublished)
    tx.change_each(REMOVE, [_as_read(row) for row in removed])
    if taken:
        tx.change_each(TAKE, taken, new_token=token, at=tx.now, until=tx.now + lease)
    absent = [name for name in chosen if name not in answers]
    ended = over(tx, key, absent).ended if absent else {}
    for name in absent:
        answers[name] = ItemClaim(name, ClaimAnswer.DONE if name in ended else ClaimAnswer.CONFLICT)
    return Claims(tuple(answers[name] for name in chosen), tuple(sorted({row.page_id for row in removed})))


class _Settings:
    """The settings of a run, worked out once for all rows of it."""

    def __init__(self) -> None:
        self._known: str | None = None

    def of(self, row: Row[Any]) -> str:
        if self._known is None:
            self._known = rules.effective(row.defaults, row.settings)
        return self._known


def _answer(row: Row[Any], answer: ClaimAnswer, attempt: int, settings: _Settings) -> ItemClaim:
    if answer is not ClaimAnswer.CLAIMED or row.listed_on is None:
        return ItemClaim(row.name, answer)
    return ItemClaim(
        name=row.name,
        answer=answer,
        on=row.on_list,
        attempt=attempt,
        epoch=row.epoch,
        params=row.params,
        params_version=row.version,
        settings=settings.of(row),
        settings_version=row.settings_version or 0,
        slot=row.slot,
        generation=row.generation,
        run_started_at=row.run_started_at,
        limits=row.limits,
    )


def release(db: Database, key: RunKey, chosen: Sequence[str], *, token: str) -> Reported:
    """Give items back in one transaction; a page that this emptied, as the run is aborting, is closed after it."""
    settled = settle(db, "release", key, db.write("release", _release, key, chosen, token))
    return Reported(page_closed=settled.page_closed, run=settled.run)


def _release(tx: Transaction, key: RunKey, chosen: Sequence[str], token: str) -> list[int]:
    rows = [
        row for row in _read(tx, _claim_facts, key, chosen).values() if row.state is ItemState.CLAIMED and row.token == token
    ]
    states = {row.name: ItemState.PENDING if row.run_state is RunState.ACTIVE else ItemState.CANCELLED for row in rows}
    tx.change_each(GIVE_BACK, [{**_as_read(row), "new_state": states[row.name]} for row in rows])
    return sorted({row.page_id for row in rows if states[row.name] is ItemState.CANCELLED})


def mark_published(tx: Transaction, key: RunKey, chosen: Collection[str]) -> None:
    """Note that messages for these items were sent."""
    run = tx.t.run
    if tx.value(sa.select(run.c.id).where(key.row(run))) is None:
        return
    for chunk in chunks(sorted(set(chosen))):
        found = tx.column(tx.built(_to_mark), **which(key), **names(chunk))
        if found:
            tx.change(tx.built(_marked), ids=list(found), at=tx.now)


def _to_mark(tx: Transaction) -> sa.Select[Any]:
    item = tx.t.item
    of_run = (item.c.process == sa.bindparam("of_process"), item.c.epoch == sa.bindparam("of_epoch"))
    return (
        sa.select(item.c.id).where(*of_run, tx.among(item.c.name), tx.t.item_is_open).order_by(item.c.name).with_for_update()
    )


def _marked(tx: Transaction) -> sa.Update:
    item = tx.t.item
    at = sa.bindparam("at", type_=item.c.dispatched_at.type)
    return sa.update(item).where(tx.is_id(item.c.id)).values(dispatched_at=at, dispatches=item.c.dispatches + 1)
