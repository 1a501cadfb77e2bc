"""What a sweep finds to publish: items that were never published, or whose messages no worker claimed.

In a stalled run a sweep marks all items that waited long enough as unpublished, page by page, before any is published. So
one read decides about all of them, however fast workers claim and whichever sweep publishes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery_process.instants import from_us, to_us
from celery_process.protocol import rules
from celery_process.protocol.states import WorkList
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.items import MICROSECOND
from celery_process.stores.redis.keys import RunKey, chunks
from celery_process.stores.redis.records import LISTS

PAGES = 40
"""Pages that are looked at in one round trip."""
Chosen = list[tuple[WorkList, str, int]]
"""Items to publish: list, name and attempt of each."""


def to_publish(
    client: Client, key: RunKey, pages: Sequence[str], *, redispatch_after: timedelta, grace: timedelta, limit: int
) -> Chosen:
    """Return up to `limit` items to publish, in the order of their pages."""
    looks = [look for looks in _each(client, "moved", key, pages) for look in looks if look]
    if not looks:
        return []
    now, seen = (from_us(max(int(look[place]) for look in looks)) for place in (0, 1))
    if rules.passed(seen, now, redispatch_after):
        since = [_since(now, redispatch_after, moved=moved) for moved in (False, True)]
        for _ in _each(client, "unpublish", key, pages, to_us(seen), *since):
            pass  # a round trip each
    return _unpublished(client, key, pages, grace, limit)


def _since(now: datetime, after: timedelta, *, moved: bool) -> str:
    """Return by when an item was published that waited long enough, for 0, 1, 2, … dispatches."""
    return " ".join(str(to_us(now - wait)) for wait in rules.redispatch_waits(after, moved=moved))


def _unpublished(client: Client, key: RunKey, pages: Sequence[str], grace: timedelta, limit: int) -> Chosen:
    chosen: Chosen = []
    for looks in _each(client, "unpublished", key, pages, grace // MICROSECOND):
        for on, *found in filter(None, looks):
            chosen += [(LISTS[on], name, int(attempt)) for name, attempt in zip(found[::2], found[1::2], strict=True)]
        if len(chosen) >= limit:
            break
    return chosen[:limit]


def _each(client: Client, name: str, key: RunKey, pages: Sequence[str], *more: Any) -> Iterator[list[Any]]:
    """Ask a script about each page; return the answers, those of `PAGES` at a time."""
    for some in chunks(pages, PAGES):
        yield client.call_all("sweep_run", name, [(key.process, (key.epoch, key.id, page, *more)) for page in some])
