"""The steps of an item: claim, release, publish."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

from celery_process.instants import from_us
from celery_process.protocol import rules
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.reports import Reported, Settled
from celery_process.protocol.states import ClaimAnswer
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import readable
from celery_process.stores.redis.hashes import read_limits
from celery_process.stores.redis.keys import RunKey, chunks, slot_at, token_text
from celery_process.stores.redis.pages import fold_all_done
from celery_process.stores.redis.records import LISTS

MICROSECOND = timedelta(microseconds=1)


@readable
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
        claims += _claims(key, of_run, chunk, answers.split("\n"))
        fold_all_done(client, "claim", key, due)
    return tuple(claims)


def _claims(key: RunKey, of_run: Sequence[Any], names: Sequence[str], answers: Sequence[str]) -> Iterator[ItemClaim]:
    defaults, slot, generation, started, override, settings_version, limits = of_run
    settings = (rules.effective(defaults, override), int(settings_version or 0))
    of_all = (*settings, slot_at(slot), int(generation), from_us(int(started)), read_limits(limits))
    read: dict[str, tuple[Any, ...]] = {}
    for name, said in zip(names, answers, strict=True):
        if said not in read:
            answer, *rest = said.split(" ", 4)
            read[said] = (ClaimAnswer(answer), *_of_item(key, *rest), *of_all) if rest else (ClaimAnswer(answer),)
        yield ItemClaim(name, *read[said])


def _of_item(key: RunKey, on: str, attempt: str, version: str, params: str) -> tuple[Any, ...]:
    return LISTS[on], int(attempt), key.epoch, params, int(version)


@readable
def release(client: Client, key: RunKey, names: Sequence[str], *, token: str) -> Reported:
    """Release items; a page that this emptied, as the run is aborting, is folded afterwards."""
    settled = Settled()
    for chunk in chunks(names):
        due = client.call("release", "release", key.process, key.epoch, key.id, token_text(token), *chunk)
        settled |= fold_all_done(client, "release", key, due)
    return Reported(page_closed=settled.page_closed, run=settled.run)


def mark_published(client: Client, key: RunKey, names: Collection[str]) -> None:
    """Note that messages for these items were sent."""
    for chunk in chunks(names):
        client.call("mark_published", "publish", key.process, key.epoch, key.id, *chunk)
