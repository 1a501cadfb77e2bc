"""The heartbeat: no batch waits behind another's store, and items that nobody works on are not kept."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.definition.options import define
from celery_process.engine.batch import HOLD, Batch
from celery_process.engine.heartbeat import Heartbeat
from celery_process.instants import from_us
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.states import Again, ClaimAnswer, WorkState
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

BOUND = 30
NAMES = ["a", "b", "c"]


class Slow(MemoryStore):
    """A store whose reports wait while `waits` is set, and which counts them."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.reports = 0
        self.waiting, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def report(self, process, run, reports, **named):
        if not self.go_on.is_set():
            self.waiting.set()
            assert self.go_on.wait(BOUND)
        told = super().report(process, run, reports, **named)
        self.reports += 1
        return told


class Hand:
    """A batch of three items of a process on a store of its own, in the hands of a worker."""

    def __init__(self, *, lease: float = 0.3, **options: Any) -> None:
        self.store = Slow(**options)
        self.store.register("p", dict.fromkeys(NAMES, "{}"))
        slot = SlotRef(from_us(0), from_us(0))
        claim = self.store.claim_run("p", uuid="u", slot=slot, spec=RunSpec("{}", 10, 25), again=Again.ALWAYS, by="")
        assert claim.run is not None
        self.run_id = claim.run.id
        self.store.open_page("p", self.run_id, token="page", size=10, window=100)
        self.claims = self.store.claim("p", self.run_id, NAMES, token="t", lease=timedelta(seconds=30), max_attempts=3)
        definition = define("p", lambda work: None, {"schedule": 60, "lease": lease})
        self.batch = Batch(
            definition,
            self.store,
            self.run_id,
            "t",
            self.claims,
            progress_frequency=timedelta(0),
            monotonic=time.monotonic,
        )

    def reports_more(self, count: int = 3) -> bool:
        """Whether so many more reports come, each of a beat."""
        wanted, deadline = self.store.reports + count, time.monotonic() + BOUND
        while self.store.reports < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.store.reports >= wanted


def test_a_batch_whose_report_waits_is_skipped() -> None:
    """While a handler's report waits for its store, the leases of another process are renewed, and then its own again."""
    heartbeat, stuck, other = Heartbeat(), Hand(lease=6), Hand()
    stuck.batch.next()
    other.batch.next()
    with heartbeat.holding(stuck.batch), heartbeat.holding(other.batch):
        stuck.store.go_on.clear()
        handler = threading.Thread(target=stuck.batch.end, args=(stuck.batch._current, WorkState.COMPLETED, None))
        time.sleep(HOLD)
        handler.start()
        try:
            assert stuck.store.waiting.wait(BOUND)
            assert other.reports_more()
        finally:
            stuck.store.go_on.set()
            handler.join()
        stuck.batch.next()
        assert stuck.reports_more(1)


def test_a_beat_that_waits_holds_up_no_other() -> None:
    """While the heartbeat's own report waits for one store, another process's leases are renewed; afterwards both are."""
    heartbeat, stuck, other = Heartbeat(), Hand(), Hand()
    stuck.batch.next()
    other.batch.next()
    stuck.store.go_on.clear()
    with heartbeat.holding(stuck.batch), heartbeat.holding(other.batch):
        try:
            assert stuck.store.waiting.wait(BOUND)
            assert other.reports_more()
            late = Hand()
            late.batch.next()
            with heartbeat.holding(late.batch):
                assert late.reports_more()
        finally:
            stuck.store.go_on.set()
        assert stuck.reports_more()
        assert other.reports_more()


def test_many_slow_stores_are_seen_to_by_few_threads() -> None:
    """A thread a beat that waits, and one that waits for the next; they are used again."""
    heartbeat, hands = Heartbeat(), [Hand() for _ in range(5)]
    for hand in hands:
        hand.batch.next()
        hand.store.go_on.clear()
    before = threading.active_count()
    with ExitStack() as stack:
        for hand in hands:
            stack.enter_context(heartbeat.holding(hand.batch))
        assert all(hand.store.waiting.wait(BOUND) for hand in hands)
        assert threading.active_count() - before <= len(hands) + 1
        for hand in hands:
            hand.store.go_on.set()
        assert all(hand.reports_more() for hand in hands)
        assert threading.active_count() - before <= len(hands) + 1


class Still:
    """A batch under a clock that is moved by hand."""

    def __init__(self, **options: Any) -> None:
        self.now, self.clock = 1000.0, MovableClock()
        hand = Hand(lease=30, clock=self.clock)
        self.store, self.run_id = hand.store, hand.run_id
        definition = define("p", lambda work: None, {"schedule": 60, "lease": 30, **options})
        self.batch = Batch(
            definition,
            self.store,
            self.run_id,
            "t",
            hand.claims,
            progress_frequency=timedelta(0),
            monotonic=lambda: self.now,
        )

    def beat(self, seconds: float = 10) -> bool:
        self.now += seconds
        self.clock.advance(timedelta(seconds=seconds))
        return self.batch.beat()

    def free(self) -> list[str]:
        """Return the names that another worker can claim."""
        claims = self.store.claim("p", self.run_id, NAMES, token="o", lease=timedelta(seconds=30), max_attempts=3)
        return [claim.name for claim in claims if claim.answer is ClaimAnswer.CLAIMED]


def test_items_that_wait_in_a_batch_that_does_not_move_are_given_back() -> None:
    """A lease after an item began, and nothing was heard of it: it is still renewed, those behind it are given back."""
    still = Still()
    work = still.batch.next()
    assert still.beat()
    assert still.beat()
    assert still.batch.due_at == pytest.approx(still.now + 10)
    assert still.beat()
    assert still.free() == ["b", "c"]
    assert still.beat()
    assert still.batch.next() is None
    assert work is not None
    assert still.store.work("p", "b").status.attempt == 1


def test_between_two_items_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no item is worked on, none is kept: the batch beats no more."""
    still = Still(time_limit=3600)
    still.batch.end(still.batch.next(), WorkState.COMPLETED, None)
    assert still.beat()
    assert still.beat()
    assert not still.beat()
    assert still.free() == ["b", "c"]


def test_progress_moves_a_batch() -> None:
    """A handler that tells its progress keeps the items behind it, however long it takes."""
    still = Still()
    work = still.batch.next()
    assert work is not None
    for _ in range(10):
        assert still.beat()
        work.progress()
    assert still.free() == []


def test_a_time_limit_says_how_long_an_item_may_take() -> None:
    """With one, the items behind are kept until then."""
    still = Still(time_limit=100)
    still.batch.next()
    assert all(still.beat() for _ in range(9))
    assert still.free() == []
    assert not still.beat()
    assert still.free() == ["b", "c"]


def test_what_is_published_after_a_batch_keeps_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the next page, and sending what was given back, happen when the heartbeat has let go of the batch."""
    app = Celery("late", set_as_current=False)
    processes = Processes(app, backend=MemoryStore())
    process = processes.process("p", schedule=60, batch_size=2, max_in_flight=4)(lambda work: None)
    process.register_works(dict.fromkeys("abcdefgh"))
    sent: list[tuple[str, ...]] = []
    held: list[int] = []
    beats = Heartbeat()
    monkeypatch.setattr("celery_process.tasks.publish._heartbeat", beats)

    def publish(port: object, on: object, names: tuple[str, ...], run_id: str, **_: Any) -> None:
        held.append(len(beats._batches))
        sent.append(names)

    monkeypatch.setattr("celery_process.tasks.publish.CeleryPort.send", publish)
    run = process.run_now()
    while sent:
        names = sent.pop(0)
        for start in range(0, len(names), 2):
            process.dispatch.port.runner.run(run.id, list(names[start : start + 2]))
    assert len(held) > 2
    assert set(held) == {0}
    assert process.state().run.counts.completed == 8
