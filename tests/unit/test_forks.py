"""Processes that a handler forks: what is locked is made anew in them, and a `Work` stays with the one that claimed it."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes, RunState, Work, WorkState
from celery_process.engine.heartbeat import Heartbeat
from celery_process.exceptions import ProcessError, WorkElsewhere
from celery_process.protocol.reports import ItemAnswer
from celery_process.protocol.states import Progress
from celery_process.stores.memory import MemoryStore
from celery_process.stores.redis.address import parse
from celery_process.stores.redis.client import Client

pytestmark = [pytest.mark.forks, pytest.mark.skipif(not hasattr(os, "fork"), reason="This system forks nothing.")]

BOUND = 20
"""Seconds after which a child that hangs is killed."""


def forked(act: Callable[[], object]) -> int:
    """Run `act` in a forked child; return its exit code, or the negative signal that ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(BOUND)
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one_process(handler: Any, **options: Any) -> Process:
    """Return an eager process of two items."""
    app = Celery("forks", set_as_current=False)
    app.conf.task_always_eager = True
    process = Processes(app, backend=MemoryStore()).process("p", schedule=60, **options)(handler)
    process.register_works({"a": None, "b": None})
    return process


def work_items() -> None:
    """Work items of a process of one's own, as a forked child may that is a worker itself."""
    assert one_process(lambda work: None).run_now().state is RunState.COMPLETED


def redis_client() -> Client:
    return Client(parse("redis://localhost:1/0"), prefix="cp:", clock=None)


HOLDERS: dict[str, tuple[Callable[[], Any], Callable[[Any], AbstractContextManager[Any]], Callable[[Any], object]]] = {
    "heartbeat": (Heartbeat, lambda made: made._lock, lambda made: made._lock.acquire()),
    "memory store": (
        MemoryStore,
        lambda made: made._lock,
        lambda made: list(made.works("p", on="active", after="", limit=1)),
    ),
    "redis client": (redis_client, lambda made: made._lock, lambda made: made.close()),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_another_thread_holds_is_free_in_a_child(holder: str) -> None:
    """A process that is forked while another thread of its parent holds a lock can go on; the parent's stays held."""
    make, lock_of, use = HOLDERS[holder]
    made, held, end = make(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock_of(made):
            held.set()
            end.wait(2 * BOUND)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        assert held.wait(BOUND)
        try:
            assert forked(lambda: use(made)) == 0
        finally:
            end.set()


def test_a_child_forked_as_its_parent_begins_an_item_works_items() -> None:
    """However close to the heartbeat's first step the fork comes: forty of forty children end."""
    codes = []
    process = one_process(lambda work: codes.append(forked(work_items)))
    for _ in range(20):
        process.run_now()
    assert codes == [0] * 40


VERBS: dict[str, Callable[[Work], object]] = {
    "add_stats": lambda work: work.add_stats("x"),
    "add_error": lambda work: work.add_error("x"),
    "progress": lambda work: work.progress(),
    "run.add_stats": lambda work: work.run.add_stats("x"),
    "run.add_error": lambda work: work.run.add_error("x"),
}


def refused(work: Work, verb: str) -> None:
    with pytest.raises(WorkElsewhere, match=r"'a' belongs to the process \d+ .* return results to the handler") as caught:
        VERBS[verb](work)
    assert (caught.value.work, caught.value.pid) == ("a", os.getppid())
    assert work.params == {}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_in_a_forked_process_is_an_error(verb: str) -> None:
    """Each verb raises there; its params can be read. In the parent the attempt goes on, and its outcome is stored."""
    codes = []

    def handler(work: Work) -> None:
        if work.name == "a":
            codes.extend(forked(lambda: refused(work, verb)) for _ in range(3))
        work.add_stats("done")

    process = one_process(handler)
    run = process.run_now()
    assert codes == [0, 0, 0]
    assert (run.state, run.stats["work.done"], run.total_errors) == (RunState.COMPLETED, 2, 0)
    assert process.work("a").status.attempt == 1


def test_a_work_cannot_be_pickled() -> None:
    """A pool of processes gets the item's name and params, and the error says so."""
    with pytest.raises(WorkElsewhere, match="pass its name and params"):
        pickle.dumps(Work("a"))


@pytest.mark.parametrize("way", ["returns", "raises", "exits"])
def test_a_child_that_comes_back_from_the_handler_is_ended(way: str) -> None:
    """A copy of the worker goes no further: it reports nothing, gives nothing back, and works nothing."""
    children = []

    def handler(work: Work) -> None:
        if work.name == "b":
            work.add_stats("by", os.getpid())
            return
        child = os.fork()
        if child == 0:
            signal.alarm(BOUND)
            if way == "raises":
                raise ProcessError("in the child")
            if way == "exits":
                sys.exit(7)
            return
        children.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    process = one_process(handler, batch_size=2)
    run = process.run_now()
    assert children == [7 if way == "exits" else 1]
    assert (run.state, run.counts.completed, run.total_errors) == (RunState.COMPLETED, 2, 0)
    assert run.stats["work.by"] == os.getpid()


class Deaf(MemoryStore):
    """A store that answers an outcome of the item `a` as if it were only progress."""

    def report(self, process, run, reports, **named):
        kept = [one for one in reports if one.name != "a" or one.outcome is None]
        told = super().report(process, run, kept, **named)
        answers = {answer.name: answer for answer in told.items}
        items = tuple(answers.get(one.name, ItemAnswer(one.name, Progress.UPDATED)) for one in reports)
        return type(told)(**{**{name: getattr(told, name) for name in told.__dataclass_fields__}, "items": items})


def test_an_outcome_that_the_store_did_not_take_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    """An answer other than Completed or Conflict to an outcome: the task fails, no event tells an end, it is logged."""
    app = Celery("deaf", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=Deaf())
    process = processes.process("p", schedule=60, batch_size=2)(lambda work: None)
    process.register_works({"a": None, "b": None})
    task, results = app.tasks["p.work"], []
    apply = task.apply
    task.apply = lambda **options: results.append(apply(**options))
    process.run_now()
    (result,) = results
    assert result.state == "FAILURE"
    assert "'a' ended, and its outcome could not be stored" in str(result.result)
    assert process.work("a").status.state is WorkState.ACTIVE
    assert process.work("b").status.state is WorkState.COMPLETED
    assert [getattr(record, "action", "") for record in caplog.records].count("outcome_not_stored") == 1
