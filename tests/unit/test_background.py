"""What a caller need not wait for: events while the broker is away cost it a moment, whatever the broker does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes, signals
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.background import MOMENT, MOST, Background, background
from tests.ports import LoosePort


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


class TestBackground:
    def test_in_good_times_a_call_is_over(self) -> None:
        """What is quick is done, in order, before the caller goes on."""
        done: list[int] = []
        made = Background()
        for number in range(5):
            assert made.do(lambda number=number: done.append(number))
            assert done[-1] == number

    def test_one_that_hangs_is_waited_for_once(self, hang: threading.Event) -> None:
        """The next calls cost nothing, are done once it is over, and are dropped where there are too many."""
        made, done, began = Background(), list[int](), time.monotonic()
        made.do(hang.wait)
        first = time.monotonic() - began
        answers = [made.do(lambda number=number: done.append(number)) for number in range(MOST + 5)]
        assert answers.count(True) == MOST
        assert time.monotonic() - began < 3 * max(first, MOMENT)
        hang.set()
        deadline = time.monotonic() + 20
        while len(done) < MOST and time.monotonic() < deadline:
            time.sleep(0.01)
        assert done == list(range(MOST))

    @pytest.mark.forks
    def test_a_forked_child_has_one_of_its_own(self, hang: threading.Event) -> None:
        """A child that is forked while a call hangs does its own calls."""
        background.do(hang.wait)
        child = os.fork()
        if child == 0:
            done: list[int] = []
            background.do(lambda: done.append(1))
            os._exit(0 if done == [1] else 1)
        assert os.waitpid(child, 0)[1] == 0


class TestEvents:
    @pytest.fixture
    def processes(self) -> Iterator[Processes]:
        app = Celery("events", broker="memory://", set_as_current=False)
        processes = Processes(app, backend=MemoryStore())
        processes.process("p", schedule=60)(lambda work: None)
        yield processes
        background.reset()

    def test_a_broker_that_hangs(self, processes: Processes, hang: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
        """Runs by hand go on: the first event costs a moment, the others nothing."""
        asked: list[Any] = []

        def default_dispatcher(**options: Any) -> Any:
            asked.append(options)
            hang.wait()
            raise OSError("nobody is there")

        monkeypatch.setattr(processes.app.events, "default_dispatcher", default_dispatcher)
        began = time.monotonic()
        for _ in range(20):
            processes["p"].run_now()
        assert time.monotonic() - began < 20 * MOMENT
        assert len(asked) == 1

    def test_a_broker_that_is_away_is_asked_once(self, processes: Processes) -> None:
        """Pages are not opened one after the other for a broker that takes none; the sweep publishes what waits."""
        process, asked = processes["p"], list[Any]()
        process.register_works({f"w{number}": {} for number in range(1_000)})

        def send(*names: Any, **_: Any) -> None:
            asked.append(names)
            raise OSError("nobody is there")

        run = replace(process.dispatch, port=LoosePort(send=send)).run_now(slot=None, by="test")
        assert len(asked) == 1
        assert run.state.is_open

    def test_a_receiver_that_raises(self, processes: Processes) -> None:
        """A receiver of a signal that raises ends neither the run nor the other receivers."""
        heard: list[str] = []

        def raises(**_: Any) -> None:
            raise ValueError("mine")

        def hears(**_: Any) -> None:
            heard.append("finished")

        signals.run_finished.connect(raises, sender=processes["p"])
        signals.run_finished.connect(hears, sender=processes["p"])
        try:
            assert not processes["p"].run_now().state.is_open
        finally:
            signals.run_finished.disconnect(raises, sender=processes["p"])
            signals.run_finished.disconnect(hears, sender=processes["p"])
        assert heard == ["finished"]
