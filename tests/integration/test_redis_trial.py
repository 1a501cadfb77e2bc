"""Twenty thousand items, every message delivered three times: each item counts once, in little memory."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, ClaimAnswer, PageAnswer, RunState, WorkState
from celery_process.stores.redis import RedisStore

pytestmark = pytest.mark.server("redis")

ITEMS, DELIVERIES, WORKERS = 20_000, 3, 4
SENT_TWICE = 0.2
BYTES_PER_ITEM = 300
LEASE = timedelta(minutes=5)
PROCESS = "trial"


def used_memory(url: str) -> int:
    """Return the bytes that the server has in use."""
    with Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])


def begin(store: RedisStore) -> str:
    """Register the items, and start a run."""
    store.register(PROCESS, {f"item-{number:06}": "{}" for number in range(ITEMS)})
    now = store.now()
    claim = store.claim_run(PROCESS, uuid=uuid4().hex[:16], slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="")
    assert claim.run is not None
    return claim.run.id


def work_off(url: str, run: str, names: list[str], results: Any) -> None:
    """Claim each delivery, finish what was claimed, now and then twice, and put what came of it into a queue."""
    store, choose, seen = RedisStore(url), random.Random(names[0]), Counter[str]()
    for name in names:
        token = str(uuid4())
        [claim] = store.claim(PROCESS, run, [name], token=token, lease=LEASE, max_attempts=3)
        seen[claim.answer.value] += 1
        if claim.answer is not ClaimAnswer.CLAIMED:
            continue
        totals = Totals({"keys": 3, "large": 2**60 + 1}, {"half": 0.5})
        report = ItemReport(name, 1, totals, claim.params_version, 0, WorkState.COMPLETED)
        for _ in range(2 if choose.random() < SENT_TWICE else 1):
            reported = store.report(PROCESS, run, [report], token=token, lease=LEASE)
            seen["pages"] += reported.page_closed
            page = store.open_page(PROCESS, run, token=token, size=500, window=ITEMS) if reported.page_closed else None
            seen["closed"] += (reported.run or (page and page.run)) is not None
    store.close()
    results.put(seen)


def open_all(store: RedisStore, run: str) -> list[str]:
    """Open pages to the end of the list; return all their names."""
    names: list[str] = []
    while True:
        page = store.open_page(PROCESS, run, token=str(uuid4()), size=500, window=10 * ITEMS)
        if page.answer is not PageAnswer.OPENED:
            return names
        store.mark_published(PROCESS, run, page.names)
        names += page.names


@pytest.mark.forks
def test_every_message_three_times(start_valkey: Callable[..., str]) -> None:
    """Four processes that get every message three times, in any order, end each item once, with exact stats."""
    url = start_valkey()
    store = RedisStore(url)
    run, before = begin(store), used_memory(url)
    deliveries = open_all(store, run) * DELIVERIES
    assert len(deliveries) == ITEMS * DELIVERIES
    random.Random(1).shuffle(deliveries)

    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=work_off, args=(url, run, deliveries[first::WORKERS], results)) for first in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    seen = sum((results.get(timeout=400) for _ in workers), Counter[str]())
    for worker in workers:
        worker.join(30)

    after = used_memory(url)
    closed = store.run(PROCESS, run)
    store.close()
    assert (closed.state, closed.counts.completed, closed.counts.enlisted) == (RunState.COMPLETED, ITEMS, ITEMS)
    assert (seen["claimed"], seen["closed"], seen["pages"]) == (ITEMS, 1, ITEMS // 500)
    assert (closed.stats["workItems"], closed.stats["work.keys"], closed.stats["half"]) == (ITEMS, 3 * ITEMS, ITEMS / 2)
    assert closed.stats["work.large"] == ITEMS * (2**60 + 1)
    assert closed.stats["runs"] == 1
    assert store.process(PROCESS).aggregate_stats == closed.stats
    assert (after - before) / ITEMS <= BYTES_PER_ITEM


def test_memory_of_a_full_window(start_valkey: Callable[..., str]) -> None:
    """Items that are enlisted and claimed, all of a window, take at most 300 bytes each."""
    url = start_valkey()
    store = RedisStore(url)
    run, before = begin(store), used_memory(url)
    names = open_all(store, run)
    for first in range(0, ITEMS, 100):
        chunk = names[first : first + 100]
        claims = store.claim(PROCESS, run, chunk, token=str(uuid4()), lease=LEASE, max_attempts=3)
        assert {one.answer for one in claims} == {ClaimAnswer.CLAIMED}
    store.close()
    assert (used_memory(url) - before) / ITEMS <= BYTES_PER_ITEM
