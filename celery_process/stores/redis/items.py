"""The work on an item: claimed, given back, published."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from celery_process import rules
from celery_process.model import ItemClaim, Reported
from celery_process.states import ClaimAnswer
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.keys import RunKey, chunks, slot_at, token_text
from celery_process.stores.redis.pages import Settled, settle_all
from celery_process.stores.redis.records import LISTS
from celery_process.values import from_us

MICROSECOND = timedelta(microseconds=1)


def claim(
    client: Client, key: RunKey, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
) -> tuple[ItemClaim, ...]:
    """Claim items; a page that a removal emptied is folded afterwards."""
    claims: list[ItemClaim] = []
    how = (token_text(token), lease // MICROSECOND, max_attempts)
    for chunk in chunks(names):
        answer = client.call("claim", "claim", key.process, key.epoch, key.id, *how, *chunk)
        if not answer:
            claims += [ItemClaim(name, ClaimAnswer.CONFLICT) for name in chunk]
            continue
        of_run, due, answers = answer
        read = _reader(key, of_run)
        claims += [ItemClaim(name, *read(said)) for name, said in zip(chunk, answers.split("\n"), strict=True)]
        settle_all(client, "claim", key, due)
    return tuple(claims)


def _reader(key: RunKey, of_run: Sequence[Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return what reads an answer: all of an `ItemClaim` but its name, once for items that are alike."""
    defaults, slot, generation, started, override, settings_version = of_run
    settings = (rules.effective(defaults, override), int(settings_version or 0))
    of_all = (*settings, slot_at(slot), int(generation), from_us(int(started)))

    @cache
    def read(said: str) -> tuple[Any, ...]:
        answer, *rest = said.split(" ", 4)
        if not rest:
            return (ClaimAnswer(answer),)
        on, attempt, version, params = rest
        return (ClaimAnswer(answer), LISTS[on], int(attempt), key.epoch, params, int(version), *of_all)

    return read


def release(client: Client, key: RunKey, names: Sequence[str], *, token: str) -> Reported:
    """Give items back; a page that this emptied, as the run is aborting, is folded afterwards."""
    settled = Settled()
    for chunk in chunks(names):
        due = client.call("release", "release", key.process, key.epoch, key.id, token_text(token), *chunk)
        settled |= settle_all(client, "release", key, due)
    return Reported(page_closed=settled.page_closed, run=settled.run)


def mark_published(client: Client, key: RunKey, names: Collection[str]) -> None:
    """Note that messages for these items were sent."""
    for chunk in chunks(names):
        client.call("mark_published", "publish", key.process, key.epoch, key.id, *chunk)
