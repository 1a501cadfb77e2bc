"""The work on an item: claimed, given back, published. Each writes the item's own row, by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process import rules
from celery_process.model import ItemClaim, Reported, Totals
from celery_process.states import ClaimAnswer, ItemState, RunState, WorkState
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.keys import RunKey, among, chunks
from celery_process.stores.sql.pages import Settled, settle
from celery_process.stores.sql.tables import FREED
from celery_process.stores.sql.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Claims:
    """The answers of a claim, and the pages that lost an item to a removal."""

    answers: tuple[ItemClaim, ...]
    pages: tuple[int, ...]


def facts(tx: Transaction, key: RunKey, names: Collection[str]) -> dict[str, Row[Any]]:
    """Read in one SELECT all that decides about items: the item, its run, the pause, the registration, the settings."""
    item, run, process, work, settings = tx.t.item, tx.t.run, tx.t.process, tx.t.work, tx.t.settings
    of_work = sa.and_(work.c.process == item.c.process, work.c.name == item.c.name)
    query = (
        sa.select(
            item,
            run.c.state.label("run_state"),
            run.c.defaults,
            run.c.slot,
            run.c.generation,
            run.c.started_at.label("run_started_at"),
            process.c.paused_at,
            work.c.on_list.label("listed_on"),
            work.c.params,
            work.c.params_version.label("version"),
            settings.c.settings,
            settings.c.version.label("settings_version"),
            tx.clock.label("now"),
        )
        .select_from(
            item.join(run, key.row(run))
            .join(process, process.c.name == item.c.process)
            .outerjoin(work, of_work)
            .outerjoin(settings, settings.c.process == item.c.process)
        )
        .where(key.rows(item), among(item.c.name, names))
    )
    rows = {row.name: row for row in tx.rows(query)}
    for row in rows.values():
        tx.set_now(row.now)
    return rows


@dataclass(frozen=True, slots=True)
class Over:
    """What is known of names of which a run has no item: its state, and how those ended that it had, by their status."""

    run_state: RunState | None
    ended: Mapping[str, tuple[WorkState, int]]

    def completed_by(self, name: str) -> int | None:
        """Return the attempt by which an item completed, if one did."""
        state, attempt = self.ended.get(name, (WorkState.NEW, 0))
        return attempt if state is WorkState.COMPLETED else None


def over(tx: Transaction, key: RunKey, names: Collection[str]) -> Over:
    """Read what is left of items that are gone with their page."""
    run, status = tx.t.run, tx.t.status
    of_run = sa.and_(status.c.process == run.c.process, status.c.epoch == run.c.epoch, among(status.c.name, names))
    columns = (run.c.state, status.c.name, status.c.state.label("ended_as"), status.c.attempt)
    rows = tx.rows(sa.select(*columns).select_from(run.outerjoin(status, of_run)).where(key.row(run)))
    ended = {row.name: (row.ended_as, row.attempt) for row in rows if row.name is not None}
    return Over(rows[0].state if rows else None, ended)


def still(tx: Transaction, row: Row[Any]) -> sa.Update:
    """Return an update of an item that matches only while nobody changed it since it was read.

    What renews a lease raises the sequence; an item that went through other hands has another token or attempt.
    """
    item = tx.t.item
    same = (
        item.c.id == row.id,
        item.c.state == row.state,
        item.c.token == row.token,
        item.c.sequence == row.sequence,
        item.c.attempt == row.attempt,
    )
    return sa.update(item).where(*same)


def claim(
    db: Database, key: RunKey, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> tuple[ItemClaim, ...]:
    """Claim items in one transaction; a page that a removal emptied is closed after it."""
    claims = db.write("claim", _claim, key, names, token=token, lease=lease, max_attempts=max_attempts)
    for page in claims.pages:
        settle(db, "claim", key, page)
    return claims.answers


def _claim(tx: Transaction, key: RunKey, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int) -> Claims:
    rows = facts(tx, key, names)
    answers: dict[str, ItemClaim] = {}
    emptied: set[int] = set()
    for name, row in sorted(rows.items()):
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
            tx.compare_and_set(still(tx, row).values(dispatched_at=None))
        elif answer is ClaimAnswer.REMOVED and row.state.is_open:
            tx.compare_and_set(still(tx, row).values(state=ItemState.REMOVED, **FREED))
            emptied.add(row.page_id)
        elif answer is ClaimAnswer.CLAIMED and not mine and row.listed_on is not None:
            _take(tx, row, token, lease)
        answers[name] = _answer(row, answer, row.attempt if mine else row.attempt + 1)
    absent = [name for name in names if name not in answers]
    ended = over(tx, key, absent).ended if absent else {}
    for name in absent:
        answers[name] = ItemClaim(name, ClaimAnswer.DONE if name in ended else ClaimAnswer.CONFLICT)
    return Claims(tuple(answers[name] for name in names), tuple(sorted(emptied)))


def _take(tx: Transaction, row: Row[Any], token: str, lease: timedelta) -> None:
    tx.compare_and_set(
        still(tx, row).values(
            state=ItemState.CLAIMED,
            token=token,
            sequence=0,
            attempt=row.attempt + 1,
            params_version=row.version,
            totals=Totals(),
            started_at=tx.now,
            lease_until=tx.now + lease,
        )
    )


def _answer(row: Row[Any], answer: ClaimAnswer, attempt: int) -> ItemClaim:
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
        settings=rules.effective(row.defaults, row.settings),
        settings_version=row.settings_version or 0,
        slot=row.slot,
        generation=row.generation,
        run_started_at=row.run_started_at,
    )


def release(db: Database, key: RunKey, names: Sequence[str], *, token: str) -> Reported:
    """Give items back in one transaction; a page that this emptied, as the run is aborting, is closed after it."""
    settled = Settled()
    for page in db.write("release", _release, key, names, token):
        settled |= settle(db, "release", key, page)
    return Reported(page_closed=settled.page_closed, run=settled.run)


def _release(tx: Transaction, key: RunKey, names: Sequence[str], token: str) -> list[int]:
    cancelled = set()
    for _, row in sorted(facts(tx, key, names).items()):
        if row.state is not ItemState.CLAIMED or row.token != token:
            continue
        state = ItemState.PENDING if row.run_state is RunState.ACTIVE else ItemState.CANCELLED
        tx.compare_and_set(still(tx, row).values(state=state, attempt=row.attempt - 1, **FREED))
        if state is ItemState.CANCELLED:
            cancelled.add(row.page_id)
    return sorted(cancelled)


def mark_published(tx: Transaction, key: RunKey, names: Collection[str]) -> None:
    """Note that messages for these items were sent."""
    item, run = tx.t.item, tx.t.run
    if tx.value(sa.select(run.c.id).where(key.row(run))) is None:
        return
    for chunk in chunks(sorted(set(names))):
        chosen = (key.rows(item), among(item.c.name, chunk), tx.t.item_is_open)
        found = tx.column(sa.select(item.c.id).where(*chosen).order_by(item.c.name).with_for_update())
        sent = {"dispatched_at": tx.now, "dispatches": item.c.dispatches + 1}
        tx.change(sa.update(item).where(item.c.id.in_(found)).values(**sent))
