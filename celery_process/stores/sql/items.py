"""The steps of an item: claim, release, publish. Each writes the item's own row, by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.reports import Reported, Totals
from celery_process.protocol.states import ClaimAnswer, ItemState, RunState, moved
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.facts import claim_facts, decided, over, read, which
from celery_process.stores.sql.folds import fold_if_done
from celery_process.stores.sql.keys import RunKey, chunks
from celery_process.stores.sql.tables import FREED
from celery_process.stores.sql.transaction import BulkUpdate, Transaction, names


@dataclass(frozen=True, slots=True)
class Claims:
    """The answers of a claim, and the pages that lost an item to a removal."""

    answers: tuple[ItemClaim, ...]
    pages: tuple[int, ...]


def _still(tx: Transaction, old: Any) -> sa.Update:
    """Return an update of an item that matches only if no other transaction changed it since it was read.

    Renewing a lease raises the sequence; an item that another holder claimed has another token or attempt.
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


def _as_read(row: Row[Any], to: ItemState) -> dict[str, Any]:
    """Return what an update of an item names of it as it was read; the state that it gets may follow."""
    moved(row.state, to)
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


TAKE = BulkUpdate("item", {**_AS_READ, "new_version": "params_version"}, _taken)
GIVE_BACK = BulkUpdate("item", {**_AS_READ, "new_state": "state"}, _given_back)
UNPUBLISH = BulkUpdate("item", _AS_READ, lambda tx, old: _still(tx, old).values(dispatched_at=None))
REMOVE = BulkUpdate("item", _AS_READ, lambda tx, old: _still(tx, old).values(state=ItemState.REMOVED, **FREED))


def claim(
    db: Database, key: RunKey, chosen: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> tuple[ItemClaim, ...]:
    """Claim items in one transaction; a page that a removal emptied is closed after it."""
    claims = decided(db, "claim", _claim, key, chosen, token=token, lease=lease, max_attempts=max_attempts)
    fold_if_done(db, "claim", key, claims.pages)
    return claims.answers


def _claim(
    tx: Transaction, key: RunKey, chosen: Sequence[str], *, token: str, lease: timedelta, max_attempts: int, wait: bool
) -> Claims:
    rows = read(tx, claim_facts, key, chosen, wait=wait)
    answers: dict[str, ItemClaim] = {}
    taken, unpublished, removed = [], [], []
    settings = _Settings()
    for name, row in rows.items():
        mine = row.state is ItemState.CLAIMED and row.token == token
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
            unpublished.append(_as_read(row, row.state))
        elif answer is ClaimAnswer.REMOVED and row.state.is_open:
            removed.append(row)
        elif answer is ClaimAnswer.CLAIMED and not mine and row.listed_on is not None:
            taken.append({**_as_read(row, ItemState.CLAIMED), "new_version": row.version})
        answers[name] = _answer(row, answer, row.attempt if mine else row.attempt + 1, settings)
    tx.change_each(UNPUBLISH, unpublished)
    tx.change_each(REMOVE, [_as_read(row, ItemState.REMOVED) for row in removed])
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
    """Release items in one transaction; a page that this emptied, as the run is aborting, is closed after it."""
    settled = fold_if_done(db, "release", key, decided(db, "release", _release, key, chosen, token))
    return Reported(page_closed=settled.page_closed, run=settled.run)


def _release(tx: Transaction, key: RunKey, chosen: Sequence[str], token: str, *, wait: bool) -> list[int]:
    found = read(tx, claim_facts, key, chosen, wait=wait).values()
    rows = [row for row in found if row.state.is_open and row.token == token]
    states = {row.name: ItemState.PENDING if row.run_state is RunState.ACTIVE else ItemState.CANCELLED for row in rows}
    tx.change_each(GIVE_BACK, [{**_as_read(row, states[row.name]), "new_state": states[row.name]} for row in rows])
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
