"""The window of a run: filled up again early enough, never beyond `max_in_flight`, whoever works its items."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.heartbeat import Heartbeat
from celery_process.engine.runner import Runner
from celery_process.protocol.states import RunState
from celery_process.stores.memory import MemoryStore
from tests.ports import LoosePort

NAMES = [f"item-{number:03}" for number in range(300)]


class Line:
    """A broker that keeps messages in the order in which they were sent."""

    def __init__(self, **options: Any) -> None:
        self.messages: list[tuple[str, tuple[str, ...]]] = []
        self.store = MemoryStore()
        self.store.register("p", dict.fromkeys(NAMES, "{}"))
        self.definition = define("p", lambda work: None, {"schedule": None, **options})
        self.longest = 0
        self.dispatch = Dispatch(
            definition=self.definition,
            store=self.store,
            config=Config(page_size=20),
            port=LoosePort(send=self.send),
        )

    def send(self, on: Any, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        size = 1 if single else self.definition.batch_size
        self.messages += [(run_id, names[start : start + size]) for start in range(0, len(names), size)]
        self.longest = max(self.longest, sum(len(names) for _, names in self.messages))

    def work(self) -> None:
        """Let a worker that has done nothing before take the oldest message."""
        Runner(self.dispatch, Heartbeat()).run(*self.messages.pop(0))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_slow_items_on_every_page_do_not_hold_up_the_others(size: int) -> None:
    """While an item of each page takes long, no page closes; the room that the others leave is filled all the same."""
    line = Line(batch_size=size, max_in_flight=40)
    run = line.dispatch.run_now(slot=None, by="")
    slow = [name for name in NAMES if int(name[-3:]) % 20 == 0]
    line.store.claim("p", run.id, slow[:2], token="slow", lease=timedelta(hours=1), max_attempts=3)
    while line.messages:
        line.work()
    counts = line.store.run("p", run.id).counts
    assert counts.enlisted > 60
    assert counts.claimed == 2


@pytest.mark.parametrize(("code", "stored"), [(1_000, 40), (4, 40)])
def test_a_stored_window_is_filled_up_in_its_own_measure(code: int, stored: int) -> None:
    """How often workers look for room goes by the window that is in force, not by that of the code."""
    line = Line(max_in_flight=code)
    line.store.update_limits("p", max_in_flight=stored, rate_limit=None, by="")
    run = line.dispatch.run_now(slot=None, by="")
    line.store.claim("p", run.id, [NAMES[0], NAMES[20]], token="slow", lease=timedelta(hours=1), max_attempts=3)
    asked = Counter[str]()
    open_page = line.store.open_page

    def counted(*args: Any, **named: Any) -> Any:
        asked["pages"] += 1
        return open_page(*args, **named)

    line.store.open_page = counted  # type: ignore[method-assign]
    while line.messages:
        line.work()
    assert line.store.run("p", run.id).counts.enlisted > 60
    assert asked["pages"] < len(NAMES) / 2


@pytest.mark.parametrize("size", [1, 7, 20])
def test_no_more_than_the_window_is_out(size: int) -> None:
    """However items travel, never more than `max_in_flight` of them wait, and all of them come to their end."""
    line = Line(batch_size=size, max_in_flight=40)
    run = line.dispatch.run_now(slot=None, by="")
    while line.messages:
        line.work()
    assert line.longest <= 40
    status = line.store.run("p", run.id)
    assert (status.state, status.counts.completed) == (RunState.COMPLETED, len(NAMES))
