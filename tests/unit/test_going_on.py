"""An open run goes on at once where a person lets it: at the end of a pause, and with wider limits. No sweep is needed."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes, RunState
from celery_process.stores.memory import MemoryStore


class Yard:
    """A process of six items, of which two may be out at once, and the names that were sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = Celery("going-on", broker="memory://", set_as_current=False)
        processes = Processes(app, backend=MemoryStore())
        self.process: Process = processes.process("p", schedule=60, max_in_flight=2)(self.handle)
        self.process.register_works(dict.fromkeys("abcdef"))
        self.sent: list[str] = []
        self.pauses_in = ""
        monkeypatch.setattr("celery_process.tasks.publish.CeleryPort.send", self._send)

    def _send(self, on: Any, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        self.sent += names

    def handle(self, work: Any) -> None:
        if work.name == self.pauses_in:
            self.process.pause("lunch")

    def work(self, *names: str) -> None:
        run = self.process.state().run
        self.process.dispatch.port.runner.run(run.id, list(names))


@pytest.fixture
def yard(monkeypatch: pytest.MonkeyPatch) -> Yard:
    """Give a process with an open run, two of whose items were sent."""
    yard = Yard(monkeypatch)
    yard.process.run_now()
    assert yard.sent == ["a", "b"]
    return yard


def test_the_end_of_a_pause(yard: Yard) -> None:
    """A run that came to the end of its page in a pause opens the next one when it is resumed, and runs to its end."""
    yard.pauses_in = "b"
    yard.work("a", "b")
    assert yard.sent == ["a", "b"]
    yard.process.resume()
    assert yard.sent == ["a", "b", "c", "d"]
    yard.pauses_in = ""
    yard.work("c", "d")
    yard.work("e", "f")
    assert yard.process.state().run.state is RunState.COMPLETED


def test_the_end_of_a_pause_without_an_open_run(yard: Yard) -> None:
    """Nothing is sent where nothing is open."""
    yard.process.cancel_run()
    yard.work("a", "b")
    yard.process.pause("lunch")
    yard.process.resume()
    assert yard.sent == ["a", "b"]
    assert yard.process.state().paused is None


def test_a_wider_window(yard: Yard) -> None:
    """More items are sent as soon as more may be out."""
    yard.process.update_limits(max_in_flight=4)
    assert sorted(yard.sent) == list("abcd")


def test_a_wider_window_in_a_pause(yard: Yard) -> None:
    """It is kept, and nothing is sent before the pause ends."""
    yard.process.pause("lunch")
    yard.process.update_limits(max_in_flight=4)
    assert yard.sent == ["a", "b"]
    yard.process.resume()
    assert sorted(yard.sent) == list("abcd")


def test_a_window_without_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are stored before the first run are those of its first page."""
    yard = Yard(monkeypatch)
    yard.process.update_limits(max_in_flight=3)
    assert yard.sent == []
    yard.process.run_now()
    assert yard.sent == list("abc")
