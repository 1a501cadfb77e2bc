"""A handler, a cleanup or a wait that runs nothing when it is called: refused where it is defined, else an error."""

from __future__ import annotations

import asyncio
import functools
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

import pytest
from asgiref.sync import async_to_sync
from celery import Celery

from celery_process import Process, Processes, RunState, Work, Worker, WorkState, shared, shared_process
from celery_process.exceptions import InvalidType
from celery_process.protocol.states import SlotEnd, WorkList
from celery_process.stores.memory import MemoryStore


async def coroutine_function(*_: Any) -> bool:
    return True


def generator_function(*_: Any) -> Iterator[int]:
    yield 1


async def async_generator_function(*_: Any) -> Any:
    yield 1


class Called:
    """An object whose call is a coroutine function."""

    async def __call__(self, *_: Any) -> None: ...


class Static:
    """An object whose call is a static generator function."""

    @staticmethod
    def __call__(*_: Any) -> Iterator[int]:
        yield 1


class Methods:
    """Methods of each kind."""

    async def bound(self, *_: Any) -> None: ...

    @classmethod
    async def of_class(cls, *_: Any) -> None: ...

    @staticmethod
    async def static(*_: Any) -> None: ...

    part = functools.partialmethod(bound, 1)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as one does who thought of coroutine functions."""

    @functools.wraps(function)
    async def wrapper(*arguments: Any) -> Any:
        return await function(*arguments)

    return wrapper


LAZY = {
    "coroutine function": coroutine_function,
    "generator function": generator_function,
    "async generator function": async_generator_function,
    "partial": functools.partial(coroutine_function),
    "partial of a partial": functools.partial(functools.partial(generator_function, 1), 2),
    "partial of an object": functools.partial(Called()),
    "bound method": Methods().bound,
    "partial method": Methods().part,
    "class method": Methods.of_class,
    "static method": Methods.static,
    "static method, not bound yet": staticmethod(coroutine_function),
    "object": Called(),
    "object with a static call": Static(),
    "bound call": Called().__call__,
    "decorated": logged(coroutine_function),
    "cached": functools.lru_cache(coroutine_function),
}


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Give a registry of an eager app, with no shared processes but those of the test."""
    monkeypatch.setattr(shared, "_pending", [])
    monkeypatch.setattr(shared, "_registries", WeakSet())
    app = Celery("callables", set_as_current=False)
    app.conf.task_always_eager = True
    return Processes(app, backend=MemoryStore())


def worker_with(method: str, function: Any) -> Any:
    """Return a class of `Worker` one of whose methods is `function`."""
    whole = {"process_active_work": lambda self, work: None}
    return type("Made", (Worker,), {**whole, method: staticmethod(function)})


def plain(processes: Processes) -> Process:
    return processes.process("p", schedule=60)(lambda work: None)


def plain_shared() -> Any:
    return shared_process("p", schedule=60)(lambda work: None)


DOORS: dict[str, Callable[[Processes, Any], object]] = {
    "process": lambda processes, given: processes.process("p", schedule=60)(given),
    "Worker": lambda processes, given: processes.process("p", schedule=60)(worker_with("process_active_work", given)),
    "Worker's cleanup": lambda processes, given: processes.process("p", schedule=60)(worker_with("cleanup_work", given)),
    "Worker's wait": lambda processes, given: processes.process("p", schedule=60)(worker_with("wait", given)()),
    "shared_process": lambda _, given: shared_process("p", schedule=60)(given),
    "shared_process of a Worker": lambda _, given: shared_process("p", schedule=60)(worker_with("wait", given)),
    "cleanup": lambda processes, given: plain(processes).cleanup(given),
    "cleanup with gone": lambda processes, given: plain(processes).cleanup(gone=LookupError)(given),
    "wait": lambda processes, given: plain(processes).wait(given),
    "cleanup of a shared process": lambda _, given: plain_shared().cleanup(given),
    "wait of a shared process": lambda _, given: plain_shared().wait(given),
}


@pytest.mark.parametrize("lazy", LAZY)
def test_what_would_run_nothing_is_refused(processes: Processes, lazy: str) -> None:
    """A function whose call runs nothing is no handler, whatever is wrapped around it; the error says what to write."""
    with pytest.raises(InvalidType, match=r"handler is an? .*would run nothing; write a plain function") as caught:
        processes.process("p", schedule=60)(LAZY[lazy])
    assert caught.value.argument == "handler"
    assert "p" not in processes


@pytest.mark.parametrize("door", DOORS)
def test_each_door_refuses_it(processes: Processes, door: str) -> None:
    """The judgement is the same wherever a function of the user comes in, and is given where that is."""
    with pytest.raises(InvalidType, match="a coroutine function, and a call of it would run nothing"):
        DOORS[door](processes, coroutine_function)


@pytest.mark.parametrize("door", ["cleanup", "wait", "cleanup of a shared process", "wait of a shared process"])
def test_a_class_is_neither_cleanup_nor_wait(processes: Processes, door: str) -> None:
    """A class is always true where it is asked, and cleans nothing: an instance of it is meant."""
    with pytest.raises(InvalidType, match="not the class Called; decorate an instance of it"):
        DOORS[door](processes, Called)


@pytest.mark.parametrize(
    "handler",
    [
        lambda work: asyncio.run(coroutine_function(work)),
        functools.wraps(coroutine_function)(lambda work: asyncio.run(coroutine_function(work))),
        async_to_sync(coroutine_function),
        functools.partial(lambda work, *, more: None, more=1),
        functools.lru_cache(lambda work: None),
        print,
    ],
    ids=["lambda", "wraps", "asgiref", "partial", "cache", "builtin"],
)
def test_what_runs_is_taken(processes: Processes, handler: Any) -> None:
    """A plain function around a coroutine function is the way to write one, also where it names what it wraps."""
    process = processes.process("p", schedule=60)(handler)
    process.register_work("a")
    assert process.run_now().counts.completed == 1


RETURNS = {
    "coroutine": lambda *_: coroutine_function(),
    "generator": lambda *_: generator_function(),
    "async generator": lambda *_: async_generator_function(),
    "generator expression": lambda *_: (number for number in range(3)),
    "map": lambda *_: map(print, "abc"),
    "undetected wrapper": functools.wraps(coroutine_function)(lambda *given: coroutine_function(*given)),
}


@pytest.mark.parametrize("returned", RETURNS)
def test_returned_work_is_an_error_of_the_item(processes: Processes, returned: str) -> None:
    """What a handler returns instead of doing it was not done: the item is INCOMPLETE, and the next one is worked."""
    process = processes.process("p", schedule=60, batch_size=10)(
        lambda work: RETURNS[returned](work) if work.name == "a" else None
    )
    process.register_works({"a": None, "b": None})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "coroutine … was never awaited"
        run = process.run_now()
    assert (run.counts.incomplete, run.counts.completed, run.total_errors) == (1, 1, 1)
    assert "which nobody runs" in process.work("a").status.errors[0].text


@pytest.mark.parametrize("returned", RETURNS)
def test_returned_cleanup_leaves_its_item(processes: Processes, returned: str) -> None:
    """A cleanup that was not run drops nothing, also where any exception is said to mean that nothing is left."""
    process = plain(processes)
    process.cleanup(gone=Exception)(RETURNS[returned])
    process.unregister_work("a")
    run = process.run_now()
    assert run.counts.incomplete == 1
    assert process.work("a").on is WorkList.CLEANUP
    assert process.work("a").status.state is WorkState.INCOMPLETE


@pytest.mark.parametrize("returned", RETURNS)
def test_a_returned_wait_declines(processes: Processes, returned: str, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that nobody computed is not taken for yes."""
    process = plain(processes)
    process.wait(RETURNS[returned])
    with caplog.at_level(logging.ERROR):
        process.dispatch.trigger(by="test")
    assert [entry.end for entry in process.slots()] == [SlotEnd.DECLINED]
    assert "wait() of p failed" in caplog.text
    assert [run.state for run in process.runs()] == []
    process.wait(lambda: True)
    assert process.run_now().state is RunState.COMPLETED


def test_a_plain_work_is_worked_as_ever(processes: Processes) -> None:
    """A unit test calls the handler and gets what it returns."""
    assert processes.process("p", schedule=60)(lambda work: work.name)(Work("a")) == "a"
