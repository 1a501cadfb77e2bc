"""What comes out of a handler that is no `Exception`: an error of its item, unless it is how Celery ends a worker."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import WorkerShutdown, WorkerTerminate

from celery_process import Process, Processes, Tolerance, WorkState
from celery_process.engine.runner import EndedItem
from celery_process.exceptions import WorkFailed
from celery_process.protocol.states import SlotEnd
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.outcomes import outcome_of


class Own(BaseException):
    """An exception of a library that is no Exception."""


class OwnExit(SystemExit):
    """The end of a command line tool that was called in the handler."""


def raising(error: BaseException | type[BaseException]) -> Callable[..., Any]:
    def handler(work: Any = None) -> None:
        if work is None or work.name == "a":
            raise error

    return handler


ERRORS = [
    asyncio.CancelledError("stopped"),
    SystemExit(0),
    SystemExit("usage: tool"),
    SystemExit(-1),
    OwnExit(2),
    GeneratorExit(),
    Own("odd"),
]
ENDS = [WorkerShutdown(0), WorkerTerminate(1), SystemExit(signal.SIGQUIT - 256)]


@pytest.fixture
def define() -> Callable[..., Process]:
    """Give a function that defines a process of two items that travel together."""

    def make(handler: Any, **options: Any) -> Process:
        app = Celery("ends", set_as_current=False)
        app.conf.task_always_eager = True
        process = Processes(app, backend=MemoryStore()).process("p", schedule=60, batch_size=10, **options)(handler)
        process.register_works({"a": None, "b": None})
        return process

    return make


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_it_is_an_error_of_the_item(define: Callable[..., Process], error: BaseException) -> None:
    """The item is INCOMPLETE at its first attempt with the exception's text; the one behind it is worked."""
    process = define(raising(error))
    run = process.run_now()
    assert (run.counts.incomplete, run.counts.completed, run.total_errors) == (1, 1, 1)
    status = process.work("a").status
    assert (status.state, status.attempt) == (WorkState.INCOMPLETE, 1)
    assert status.errors[0].text.startswith(type(error).__name__)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_task_fails_with_an_exception_that_ends_nothing(error: BaseException) -> None:
    """What Celery sees of an item alone in its message is an `Exception` with the error's text."""
    item = EndedItem("a", WorkState.INCOMPLETE, error, 1, "its text")
    with pytest.raises(WorkFailed, match="'a' ended INCOMPLETE: its text"):
        outcome_of("p", [item], show_command=str)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_tolerance_knows_its_class(define: Callable[..., Process], error: BaseException) -> None:
    """`ignore` and `fail` take exceptions that are no Exception: one costs nothing, the other is recorded once."""
    run = define(raising(error), tolerance=Tolerance(ignore=(type(error),))).run_now()
    assert (run.counts.incomplete, run.total_errors) == (1, 0)
    run = define(raising(error), tolerance=Tolerance(fail=(type(error),))).run_now()
    assert (run.counts.incomplete, run.total_errors) == (1, 1)


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_what_ends_a_worker_does(define: Callable[..., Process], error: BaseException) -> None:
    """Celery's own exceptions, and a pool child's exit at a signal, go on; no outcome is made up for the item."""
    process = define(raising(error))
    with pytest.raises(type(error)) as caught:
        process.run_now()
    assert caught.value is error
    assert process.work("a").status.state is WorkState.ACTIVE  # until its lease ends
    assert process.work("a").status.total_errors == 0


def test_a_green_thread_is_ended(define: Callable[..., Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """GreenletExit is how a green pool ends a task that was revoked."""
    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(GreenletExit=Own))
    with pytest.raises(Own):
        define(raising(Own())).run_now()


def test_an_eager_caller_may_interrupt(define: Callable[..., Process]) -> None:
    """Where the handler runs in the caller's own thread, Ctrl-C ends the call."""
    with pytest.raises(KeyboardInterrupt):
        define(raising(KeyboardInterrupt())).run_now()


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_wait_that_raises_it_declines(define: Callable[..., Process], error: BaseException) -> None:
    """It declines the trigger as any exception does, and ends no worker."""
    process = define(lambda work: None)
    process.wait(raising(error))
    process.dispatch.trigger(by="test")
    assert [entry.end for entry in process.slots()] == [SlotEnd.DECLINED]
