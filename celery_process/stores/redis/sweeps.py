"""The repair after crashes: expired leases, pages left open, items that were never published or never claimed.

Each page is a script of its own, so that none runs long and a sweep that dies leaves nothing for the next one to undo.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery_process.protocol import rules
from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.model import SweepTarget, Swept
from celery_process.protocol.read import repairs
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import WorkList
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import read_each, readable
from celery_process.stores.redis.items import MICROSECOND
from celery_process.stores.redis.keys import RunKey
from celery_process.stores.redis.pages import fold_all_done, fold_if_done
from celery_process.stores.redis.publishing import to_publish
from celery_process.stores.redis.records import instant
from celery_process.stores.redis.unit import atomically

_MARK = 987654321
# The number of attempts is known to the script alone.
_LOST = json.dumps(rules.lost_text(_MARK)).partition(str(_MARK))


def begin_sweep(
    client: Client, processes: Sequence[str], *, interval: timedelta, grace: timedelta
) -> tuple[SweepTarget, ...]:
    """Return the processes that need a look and had none for the interval, each to one caller only."""
    names = list(dict.fromkeys(processes))
    times = (interval // MICROSECOND, grace // MICROSECOND)
    found = read_each(client, "begin_sweep", "begin_sweep", [(name, times) for name in names], _target)
    return tuple(found.values())


def take_turns(client: Client, processes: Collection[str], *, interval: timedelta) -> dict[str, datetime | None]:
    """Note a sweep of those that had none for the interval; return them, each with when its last one was."""
    names = sorted(set(processes))
    calls = [(name, (interval // MICROSECOND,)) for name in names]
    return read_each(client, "take_turns", "turn", calls, lambda _, last: instant(last[0]))


def _target(process: str, answer: Sequence[Any]) -> SweepTarget:
    run, purge_due, untold, last = answer
    return SweepTarget(process, run or None, tuple(sorted(untold, key=rules.epoch_of)), bool(purge_due), instant(last))


@readable
def sweep_run(
    client: Client,
    key: RunKey,
    *,
    lease: timedelta,
    redispatch_after: timedelta,
    grace: timedelta,
    max_attempts: int,
    limit: int,
) -> Swept:
    """Repair an open run, page by page."""
    found = client.call("sweep_run", "pages", key.process, key.epoch, key.id)
    if not found or found[0] not in ("ACTIVE", "ABORTING"):
        return Swept()
    pages: list[str] = found[1]
    before, _, after = _LOST
    steps = [
        (key.process, (key.epoch, key.id, page, lease // MICROSECOND, max_attempts, before, after, MAX_LOST))
        for page in pages
    ]
    repaired = {page: step for page, step in zip(pages, client.call_all("sweep_run", "expire", steps), strict=True) if step}
    stopping = any(step[1] for step in repaired.values())
    any_left = found[2] or any(step[0] for step in repaired.values())
    kept = atomically(client, "sweep_run", key.process, lambda unit: repairs(unit, key.id)) if any_left else Repairs()
    due = [page for page, step in repaired.items() if step[2]]
    closed = fold_all_done(client, "sweep_run", key, due).run or fold_if_done(client, "sweep_run", key).run
    chosen = to_publish(client, key, pages, redispatch_after=redispatch_after, grace=grace, limit=limit)
    publish = ((on, tuple(name for listed, name, _ in chosen if listed is on)) for on in WorkList)
    return Swept(
        publish=tuple((on, names) for on, names in publish if names),
        single=frozenset(name for _, name, attempt in chosen if attempt),
        repairs=kept,
        stopping=stopping and closed is None,
        run=closed,
    )
