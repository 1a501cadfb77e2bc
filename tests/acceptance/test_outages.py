"""A broker or a store that goes away for a while: what real beats and workers do meanwhile, and that no slot is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from celery_process import RunState
from celery_process.engine.late import GRACE
from celery_process.protocol.states import By, SlotEnd
from tests.ports import LoosePort

from .outages import Outages
from .waiting import wait_for, wait_for_end

AWAY = 8.0
"""Seconds for which a store is away in mid-run."""


@pytest.fixture
def outages(tmp_path: Path) -> Iterator[Outages]:
    """Give an app in a folder of its own, and what runs in it."""
    made = Outages(tmp_path)
    yield made
    made.end()


@pytest.fixture
def through_proxy(start_proxy: Callable[[int], Any]) -> Callable[[str], tuple[Any, str]]:
    """Give a function that returns a proxy before the server of a URL, and the URL by that way."""

    def give(url: str) -> tuple[Any, str]:
        parts = urlsplit(url)
        proxy = start_proxy(parts.port or {"redis": 6379}.get(parts.scheme, 5432))
        login, at, _ = parts.netloc.rpartition("@")
        return proxy, parts._replace(netloc=f"{login}{at}127.0.0.1:{proxy.port}").geturl()

    return give


@pytest.fixture
def behind_proxy(through_proxy: Callable[[str], tuple[Any, str]], redis_url: str) -> tuple[Any, str]:
    """Give a proxy before the Redis server, and its URL by that way."""
    return through_proxy(redis_url)


@pytest.mark.parametrize("broker_url", ["redis_url", "rabbitmq_url"])
def test_a_worker_of_other_queues_sweeps(outages: Outages, broker_url: str, request: pytest.FixtureRequest) -> None:
    """Workers of the items' queue alone still sweep: items that nobody published are, and nothing piles up elsewhere."""
    queue = f"q{uuid4().hex[:8]}"
    broker = request.getfixturevalue(broker_url)
    outages.write(broker, f"sqlite:///{outages.folder}/process.db", task_options={"queue": queue}, schedule=86_400)
    process = outages.processes["ticks"]
    process.register_works({"a": {}, "b": {}})

    def unsent(*_: Any, **__: Any) -> None:
        raise OSError("nobody is there")

    run = replace(process.dispatch, port=LoosePort(send=unsent)).run_now(slot=None, by="test")
    outages.worker("-Q", queue)
    assert wait_for_end(process, run.id).state is RunState.COMPLETED
    with outages.app.connection_for_read() as connection:
        try:
            left = connection.channel().queue_declare(outages.queue, passive=True).message_count
        except Exception:  # each transport raises another; there is no such queue
            left = 0
        connection.channel().queue_delete(queue)
    assert left == 0


def test_a_broker_away_as_a_slot_begins(outages: Outages, behind_proxy: tuple[Any, str]) -> None:
    """The broker is out of reach for five seconds around a slot: beat sends it again, and it runs."""
    proxy, broker = behind_proxy
    outages.write(broker, f"sqlite:///{outages.folder}/process.db", schedule=40)
    process = outages.processes["ticks"]
    outages.worker()
    outages.beat()
    now = datetime.now(UTC).timestamp()
    slot = datetime.fromtimestamp((now + 6) // 40 * 40 + 40, UTC)
    time.sleep(max(0.0, slot.timestamp() - 2 - datetime.now(UTC).timestamp()))
    proxy.stop()
    time.sleep(5)
    proxy.start()
    entry = wait_for(lambda: next((entry for entry in process.slots() if entry.slot == slot), None), what=f"the slot {slot}")
    assert (entry.end, entry.by in (By.BEAT, By.TASK)) == (SlotEnd.RAN, True)


def test_a_slot_that_nobody_brought(outages: Outages, redis_url: str) -> None:
    """No beat runs, and the ledger ends with the slot before: a worker's own sweep has the present one run, late."""
    outages.write(redis_url, f"sqlite:///{outages.folder}/process.db", schedule=3_600)
    process = outages.processes["ticks"]
    process.register_work("a")
    store, current = process.dispatch.store, process.current()
    wait_for(lambda: store.now() - process.dispatch.slot_of(store.now(), current).slot > GRACE, what="a late slot")
    present = process.dispatch.slot_of(store.now(), current)
    before = process.dispatch.slot_of(present.slot - timedelta(seconds=1), current)
    store.skip_slot("ticks", slot=before, end=SlotEnd.OVERLAPPED, by=By.BEAT)
    outages.worker()
    run = wait_for(lambda: next(process.runs(), None), what="a run")
    assert wait_for_end(process, run.id).state is RunState.COMPLETED
    entry = next(process.slots())
    assert (entry.slot, entry.end, entry.by) == (present.slot, SlotEnd.RAN, By.SWEEP)


def test_a_pause_over_a_slot(outages: Outages, redis_url: str) -> None:
    """A slot that begins in a pause ends as paused, and runs as the pause ends."""
    outages.write(redis_url, f"sqlite:///{outages.folder}/process.db", schedule=86_400)
    process = outages.processes["ticks"]
    process.register_work("a")
    outages.worker()
    outages.beat()
    slot = outages.slot_in(4)
    process.pause()
    assert outages.ended(slot).end is SlotEnd.PAUSED
    process.resume()
    wait_for(lambda: outages.ended(slot).end is SlotEnd.RAN, what="the slot of the pause")
    run = outages.ended(slot).run_id
    assert run is not None
    assert wait_for_end(process, run).counts.completed == 1


def test_a_store_away_as_a_slot_begins(outages: Outages, behind_proxy: tuple[Any, str], redis_url: str) -> None:
    """The store is out of reach as a slot begins, and beat is killed meanwhile: the sweep brings the slot."""
    proxy, backend = behind_proxy
    outages.write(redis_url, backend, schedule=86_400)
    process = outages.processes["ticks"]
    process.register_work("a")
    outages.worker()
    outages.beat()
    slot = outages.slot_in(5)
    time.sleep(2)  # beat and the worker have read the moved schedule
    proxy.stop()
    time.sleep(max(0.0, slot.timestamp() + 1 - datetime.now(UTC).timestamp()))
    beat = outages.running.pop()
    beat.kill()
    beat.wait()
    # The trigger that beat sent meets the outage as it comes, and again ten seconds later.
    time.sleep(max(0.0, slot.timestamp() + 13 - datetime.now(UTC).timestamp()))
    proxy.start()
    entry = outages.ended(slot)
    assert (entry.end, entry.by, entry.run_id is not None) == (SlotEnd.RAN, By.SWEEP, True)
    assert wait_for_end(process, entry.run_id or "").counts.completed == 1


def test_a_worker_whose_broker_takes_no_sweep(outages: Outages, behind_proxy: tuple[Any, str], redis_url: str) -> None:
    """What a worker publishes goes into silence: it consumes and works on all the same, for its loop waits for no sweep."""
    proxy, write_url = behind_proxy
    more = {"broker_read_url": redis_url, "broker_write_url": write_url}
    outages.write(redis_url, f"sqlite:///{outages.folder}/process.db", more=more, schedule=86_400)
    log = outages.worker("--without-heartbeat")
    wait_for(lambda: "celery_process.sweep" in log.read_text().partition(" ready.")[2], what="a sweep")
    proxy.swallows = True
    time.sleep(5)  # two intervals of the sweep
    with outages.app.connection_for_read() as connection:
        for _ in range(5):
            outages.app.send_task("plain", connection=connection)
        wait_for(lambda: outages.plain() == 5, within=20, what="plain tasks")


def test_a_store_that_hangs_holds_up_no_host(outages: Outages, behind_proxy: tuple[Any, str], redis_url: str) -> None:
    """The store takes all and answers nothing: beat's other entries fire, plain tasks run, another worker starts."""
    proxy, backend = behind_proxy
    outages.write(redis_url, backend, plain_every=0.5, schedule=5)
    outages.worker()
    outages.beat()
    wait_for(lambda: outages.plain() >= 3, what="plain tasks")
    proxy.swallows = True
    time.sleep(1)
    before, began = outages.plain(), time.monotonic()
    outages.worker(name="late")
    wait_for(lambda: time.monotonic() - began > 12, what="a while")
    meanwhile, fired = outages.plain() - before, (time.monotonic() - began) / 0.5
    assert meanwhile >= 0.6 * fired
    proxy.swallows = False
    proxy.cut()
    slots = len(list(outages.processes["ticks"].slots()))
    wait_for(lambda: len(list(outages.processes["ticks"].slots())) > slots, what="slots again")


@pytest.mark.parametrize(("broker", "store"), [("redis_url", "redis_url"), ("rabbitmq_url", "postgresql_url")])
def test_a_store_away_in_mid_run(
    outages: Outages, through_proxy: Callable[[str], Any], broker: str, store: str, request: pytest.FixtureRequest
) -> None:
    """The store is away for eight seconds of a run in batches: its messages come again by themselves, and none is eaten.

    An item that was being worked may run again, and each counts once. Eaten messages would be out for a minute at least.
    """
    proxy, backend = through_proxy(request.getfixturevalue(store))
    options = {"schedule": 86_400, "max_in_flight": 600, "batch_size": 100, "lease": 6}
    outages.write(request.getfixturevalue(broker), backend, **options)
    process, names = outages.processes["ticks"], [f"item-{number:04}" for number in range(1_200)]
    process.register_works({name: {"seconds": 0.005} for name in names})
    log = outages.worker()
    run = process.run_now()
    wait_for(lambda: len(outages.worked()) >= 100, what="the first items")
    outages.processes.store.close()
    proxy.stop()
    time.sleep(AWAY)
    proxy.start()
    back = time.monotonic()
    run = wait_for_end(process, run.id)
    assert time.monotonic() - back < 45
    assert "is retried in" in log.read_text()
    assert (run.state, run.counts.completed, run.stats["work.done"]) == (RunState.COMPLETED, len(names), len(names))
    assert set(outages.worked()) == set(names)
    assert "Traceback" not in log.read_text()
