"""A broker that hangs while a batch is worked: what waits behind it, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.batch import HOLD, Batch
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.runner import Runner
from celery_process.protocol.states import ClaimAnswer
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock
from tests.ports import LoosePort

LEASE, WINDOW, BATCH = 6.0, 40, 20
NAMES = [f"item-{number:03}" for number in range(200)]


class Desk:
    """One worker, its clock, its heartbeat and its broker, which takes `takes` seconds and then refuses."""

    def __init__(self) -> None:
        self.now = self.takes = 0.0
        self.given_back_after: float | None = None
        self.clock = MovableClock()
        self.held: Batch | None = None
        self.sent_in_batch: list[int] = []
        self.out: tuple[str, ...] = ()
        self.store = MemoryStore(clock=self.clock)
        self.store.register("p", dict.fromkeys(NAMES, "{}"))
        options = {"schedule": None, "max_in_flight": WINDOW, "batch_size": BATCH, "lease": LEASE}
        self.dispatch = Dispatch(
            definition=define("p", self.handle, options),
            store=self.store,
            config=Config(page_size=10),
            port=LoosePort(send=self.send),
        )
        self.runner = Runner(self.dispatch, self, host=self)
        self.run = self.dispatch.run_now(slot=None, by="").id

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.clock.advance(timedelta(seconds=seconds))

    @contextmanager
    def holding(self, batch: Batch) -> Iterator[None]:
        self.held = batch
        yield
        self.held = None

    def handle(self, work: Any) -> None:
        self.pass_by(HOLD)

    def send(self, on: Any, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        self.out += names
        began = self.now
        if self.held is not None:
            self.sent_in_batch.append(len(names))
        while self.now < began + self.takes:
            self.pass_by(0.5)
            if self.held is not None and self.held.due_at <= self.now:
                self.held.beat()
                if self.held.given_back and self.given_back_after is None:
                    self.given_back_after = self.now - began
        if self.takes:
            raise ConnectionError("no answer")

    def work(self) -> int:
        """Work on the next message of twenty; return how many were worked."""
        names, self.out = self.out[:BATCH], self.out[BATCH:]
        return sum(item.answer is ClaimAnswer.CLAIMED and not item.given_back for item in self.runner.run(self.run, names))


def test_items_behind_a_page_that_hangs_are_given_back_after_a_lease() -> None:
    """The heartbeat renews what waits while the broker is asked in mid-batch for one lease, and no longer."""
    desk = Desk()
    desk.takes = 4 * LEASE
    worked = desk.work()
    assert len(desk.sent_in_batch) == 1
    assert 1 <= worked < BATCH
    assert desk.given_back_after is not None
    assert desk.given_back_after <= LEASE + 0.5


def test_a_broker_that_hung_is_asked_at_the_end_of_a_batch() -> None:
    """After one page that hung, batches are whole again: pages are opened with nothing held, until that is quick."""
    desk = Desk()
    desk.takes = 2.0
    desk.work()
    assert len(desk.sent_in_batch) == 1
    desk.sent_in_batch.clear()
    assert desk.work() == BATCH
    desk.takes = 0.0
    assert desk.work() == BATCH
    assert desk.sent_in_batch == []
    desk.work()
    assert desk.sent_in_batch
