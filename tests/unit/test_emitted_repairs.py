"""What a sweep did to a run is told at least once, though the sweep died, or its answer was lost, before it told it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.sweep import sweep
from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.model import Swept
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import Event, RunState, StopReason
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock
from tests.ports import LoosePort

LEASE = timedelta(seconds=30)


class Cut(MemoryStore):
    """Loses the answer to its next sweep of a run."""

    cut = True

    def sweep_run(self, *args: Any, **named: Any) -> Swept:
        swept = super().sweep_run(*args, **named)
        if self.cut:
            self.cut = False
            raise StoreUnavailable("cut after forwarding")
        return swept


class Shop:
    """A process whose items may be attempted once, and what is told of it."""

    def __init__(self, store: MemoryStore, clock: MovableClock, *names: str) -> None:
        self.store, self.clock, self.told = store, clock, list[tuple[Event, Any]]()
        store.register("p", dict.fromkeys(names, "{}"))
        self.dispatch = Dispatch(
            definition=define("p", lambda work: None, {"schedule": None}),
            store=store,
            config=Config(max_attempts=1),
            port=LoosePort(emit=lambda event, **payload: self.told.append((event, payload.get("work")))),
        )
        self.run = self.dispatch.run_now(slot=None, by="").id

    def lose(self, *names: str) -> None:
        """Claim items and let their leases run out, for a sweep to find."""
        self.store.claim("p", self.run, names, token="t", lease=LEASE, max_attempts=1)
        self.clock.advance(LEASE)

    def sweep(self) -> None:
        """Sweep as a worker does, once a minute."""
        self.clock.advance(timedelta(minutes=1))
        sweep({"p": self.dispatch})

    def lost(self) -> list[str]:
        """Return the items of which it was told that they are lost."""
        return [work for event, work in self.told if event is Event.WORK_LOST]


@pytest.fixture
def clock() -> MovableClock:
    """Give the store's clock."""
    return MovableClock()


def test_by_the_next_sweep(clock: MovableClock) -> None:
    """The next sweep tells it, and the one after it does not."""
    shop = Shop(Cut(clock=clock), clock, "a", "b")
    shop.lose("a")
    shop.sweep()
    assert shop.lost() == []
    shop.sweep()
    shop.sweep()
    assert shop.lost() == ["a"]
    assert [event for event, _ in shop.told].count(Event.RUN_REPAIRED) >= 1


def test_of_a_run_that_closed_in_it(clock: MovableClock) -> None:
    """The sweep that tells the end of the run tells before it what was lost."""
    shop = Shop(Cut(clock=clock), clock, "a")
    shop.lose("a")
    while shop.store.run("p", shop.run).state.is_open:
        shop.sweep()
    shop.sweep()
    assert shop.lost() == ["a"]
    events = [event for event, _ in shop.told]
    assert events.index(Event.WORK_LOST) < events.index(Event.RUN_FINISHED)


def test_by_who_closes_the_run(clock: MovableClock) -> None:
    """Whoever closes the run before another sweep comes tells it before the end."""
    shop = Shop(Cut(clock=clock), clock, "a", "b")
    shop.lose("a")
    shop.sweep()
    shop.dispatch.stop(shop.run, StopReason.CANCELLED)
    assert shop.store.run("p", shop.run).state is RunState.INCOMPLETE
    assert shop.lost() == ["a"]
    assert shop.told[-1][0] is Event.RUN_FINISHED
    assert shop.store.repairs("p", shop.run) == Repairs()


def test_more_than_a_run_keeps(clock: MovableClock) -> None:
    """One sweep gives up all items that are due, in several steps, and tells each."""
    names = [f"n{number:03}" for number in range(2 * MAX_LOST + 5)]
    shop = Shop(MemoryStore(clock=clock), clock, *names, "z")
    shop.lose(*names)
    shop.sweep()
    assert sorted(shop.lost()) == names
