"""How many sweeps a repair takes at the largest window that the docs advise, under a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta, tzinfo
from typing import Any

import pytest

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine import sweep as sweeps
from celery_process.engine.sweep import sweep
from celery_process.process import Process
from celery_process.protocol.states import ClaimAnswer
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock
from tests.ports import LoosePort

WINDOW = 20_000
BATCH = 100
NAMES = [f"n{number:05}" for number in range(WINDOW)]


@dataclass(frozen=True)
class Home:
    """What a process needs of an app, without one."""

    store: Store
    loose: LoosePort
    config: Config = Config()
    zone: tzinfo = UTC

    def port(self, _: str) -> LoosePort:
        return self.loose

    def owner(self, _: str) -> None:
        return None

    def rescheduled(self, _: str) -> None:
        pass


class Fleet:
    """A run with a full window, a broker that can be wiped, and workers that come or do not."""

    def __init__(self, names: list[str] = NAMES) -> None:
        self.clock, self.messages, self.down = MovableClock(), [], False
        self.store = MemoryStore(clock=self.clock)
        self.store.register("p", dict.fromkeys(names, "{}"))
        definition = define("p", lambda work: None, {"schedule": None, "max_in_flight": WINDOW, "batch_size": BATCH})
        self.process = Process(definition, Home(self.store, LoosePort(send=self.send)))
        self.dispatch = self.process.dispatch
        self.run = self.dispatch.run_now(slot=None, by="").id
        self.clock.advance(timedelta(seconds=30))

    def send(self, on: Any, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        if self.down:
            raise ConnectionError("no broker")
        size = 1 if single else BATCH
        self.messages += [names[start : start + size] for start in range(0, len(names), size)]

    def waiting(self) -> int:
        return len({name for names in self.messages for name in names})

    def claim(self, *names: str) -> list[ClaimAnswer]:
        lease = timedelta(seconds=30)
        claims = self.store.claim("p", self.run, names, token=f"{self.clock()}", lease=lease, max_attempts=3)
        return [claim.answer for claim in claims]

    def sweep(self) -> None:
        self.clock.advance(self.dispatch.config.sweep_interval)
        sweep({"p": self.dispatch})


def test_a_broker_that_was_wiped_is_filled_again_by_one_sweep() -> None:
    """Once the run is judged to stand still, all its messages go out at once, in batches, though workers come meanwhile."""
    fleet = Fleet()
    assert fleet.waiting() == WINDOW
    fleet.messages.clear()
    found = 0
    while not fleet.messages:
        fleet.sweep()
        found += 1
        assert found <= 7, "after a minute at 10 s a sweep"
    assert (fleet.waiting(), len(fleet.messages)) == (WINDOW, WINDOW // BATCH)


def test_a_window_beyond_a_sweep_is_published_by_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one sweep leaves over the next ones publish, though the run does not stand still any more."""
    monkeypatch.setattr(sweeps, "PUBLISHED_PER_SWEEP", 6_000)
    fleet = Fleet()
    fleet.messages.clear()
    for _ in range(7):
        if not fleet.messages:
            fleet.sweep()
    for _ in range(3):
        assert set(fleet.claim(*fleet.messages[-1])) <= {ClaimAnswer.CLAIMED, ClaimAnswer.BUSY}
        fleet.sweep()
    assert fleet.waiting() == WINDOW


def test_a_resume_publishes_at_once_what_met_the_pause() -> None:
    """After a pause in which workers emptied the queue, all is in it again when `resume` returns, without any sweep."""
    fleet = Fleet()
    fleet.process.pause()
    for names in fleet.messages:
        assert set(fleet.claim(*names)) == {ClaimAnswer.PAUSED}
    fleet.messages.clear()
    fleet.process.resume()
    assert (fleet.waiting(), len(fleet.messages)) == (WINDOW, WINDOW // BATCH)


def test_an_item_that_killed_its_worker_takes_no_others_along() -> None:
    """Items with an attempt behind them are published one by one, beside the batches of the others."""
    fleet = Fleet(NAMES[:300])
    fleet.messages.clear()
    fleet.claim(*NAMES[:10])
    while fleet.waiting() < 300:
        fleet.sweep()
    sizes = [len(names) for names in fleet.messages]
    assert {len(names) for names in fleet.messages if set(names) & set(NAMES[:10])} == {1}
    assert sorted(size for size in sizes if size > 1) == [90, 100, 100]


def test_a_broker_that_is_away_is_asked_once_a_sweep() -> None:
    """Where the first batch cannot be sent the others are not tried; the next sweep has all of them."""
    fleet = Fleet()
    fleet.messages.clear()
    fleet.down, tries = True, 0

    def send(*args: Any, **named: Any) -> None:
        nonlocal tries
        tries += 1
        Fleet.send(fleet, *args, **named)

    fleet.dispatch = replace(fleet.dispatch, port=LoosePort(send=send))
    for _ in range(8):
        before = tries
        fleet.sweep()
        assert tries - before <= 1
    assert tries
    fleet.down = False
    fleet.sweep()
    assert fleet.waiting() == WINDOW
