"""The public signals of a run: which are sent, in which order, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes, RunState, Tolerance, signals
from celery_process.protocol.states import Event
from celery_process.stores.memory import MemoryStore

NAMES = [name for name in signals.__all__ if name.startswith("run_")]


@contextmanager
def heard() -> Iterator[list[tuple[str, Any, Any]]]:
    """Give the signals of runs as they come: name, sender, and the run."""
    found: list[tuple[str, Any, Any]] = []

    def receiver(name: str) -> Any:
        def hear(sender: Any = None, run: Any = None, **_: Any) -> None:
            found.append((name, sender, run))

        return hear

    with ExitStack() as stack:
        for name in NAMES:
            signal, hear = getattr(signals, name), receiver(name)
            signal.connect(hear, weak=False)
            stack.callback(signal.disconnect, hear)
        yield found


def make(tolerance: Tolerance, *, eager: bool = True) -> Process:
    app = Celery("signals", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = eager

    def handler(work: Any) -> None:
        if work.name == "bad":
            raise ValueError("broken")

    process = Processes(app, backend=MemoryStore()).process("p", schedule=60, tolerance=tolerance)(handler)
    process.register_works({"bad": None, "good": None})
    return process


def test_a_run_whose_tolerance_was_used_up() -> None:
    """`run_aborted` comes before `run_finished`, from the process, with the run as it ended."""
    process = make(Tolerance(0, 0))
    with heard() as found:
        run = process.run_now()
    assert [(name, sender) for name, sender, _ in found] == [
        ("run_started", process),
        ("run_aborted", process),
        ("run_finished", process),
    ]
    assert run.state is RunState.ABORTED
    assert [(said.id, said.state) for _, _, said in found[1:]] == [(run.id, RunState.ABORTED)] * 2


def test_a_run_with_tolerated_errors() -> None:
    """It is finished, and was not aborted."""
    process = make(Tolerance(10, 10))
    with heard() as found:
        run = process.run_now()
    assert (run.state, run.total_errors) == (RunState.COMPLETED, 1)
    assert [name for name, _, _ in found] == ["run_started", "run_finished"]


def test_a_run_that_somebody_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is finished, and was not aborted: its tolerance has nothing to do with it."""
    process = make(Tolerance(0, 0), eager=False)
    monkeypatch.setattr("celery_process.tasks.publish.CeleryPort.send", lambda *_, **__: None)
    with heard() as found:
        process.run_now()
        process.cancel_run()
    assert [name for name, _, _ in found] == ["run_started", "run_finished"]
    assert found[1][2].state is RunState.INCOMPLETE


def test_every_event_has_its_own_signal() -> None:
    """The names are the same on both sides, and no signal stands for two events."""
    assert {event: signal.name for event, signal in signals.BY_EVENT.items()} == {event: event.value for event in Event}
    assert {signal.name for signal in signals.BY_EVENT.values()} == set(signals.__all__)
