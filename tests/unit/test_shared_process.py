"""`shared_process`: a process of a reusable app, in every registry whether made before or after."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
from celery import Celery

from celery_process import Processes, Work, Worker, shared, shared_process
from celery_process.exceptions import DuplicateProcess
from celery_process.stores.memory import MemoryStore


@pytest.fixture(autouse=True)
def _own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is shared here from the registries of other tests."""
    monkeypatch.setattr(shared, "_pending", [])
    monkeypatch.setattr(shared, "_registries", WeakSet())


def registry(name: str = "shared") -> Processes:
    """Return a registry of a new eager app."""
    app = Celery(name, set_as_current=False)
    app.conf.task_always_eager = True
    return Processes(app, backend=MemoryStore())


def test_a_registry_made_after_has_it() -> None:
    """A process that was shared before the registry was made is defined in it, with its options."""

    @shared_process("key-gc", schedule=90, settings={"ttl": 1}, overlap="replace")
    def collect(work: Work) -> None: ...

    process = registry()["key-gc"]
    assert (process.schedule_frequency.total_seconds(), process.default_settings) == (90, {"ttl": 1})
    assert process.definition.overlap == "replace"


def test_a_registry_made_before_gets_it() -> None:
    """A process that is shared later is defined in the registries that are there, with its tasks."""
    processes = registry()

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    assert "key-gc" in processes
    assert {"key-gc.schedule", "key-gc.work", "key-gc.cleanup"} <= set(processes.app.tasks)


def test_a_registry_without_an_app_gets_it_with_its_app() -> None:
    """`Processes()` adopts what is shared when init_app() gives it an app."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    processes = Processes(backend=MemoryStore())
    assert len(processes) == 0
    processes.init_app(Celery("late", set_as_current=False))
    assert len(processes) == 1


def test_each_app_runs_its_own() -> None:
    """Two apps have the process side by side: items of one are worked by one, in its store."""
    seen: list[tuple[str, object]] = []

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None:
        seen.append((work.name, work.params))

    first, second = registry("first"), registry("second")
    first["key-gc"].register_work("a", {"of": 1})
    second["key-gc"].register_work("b", {"of": 2})
    second["key-gc"].run_now()
    assert seen == [("b", {"of": 2})]
    assert list(first["key-gc"].runs()) == []
    assert [work.name for work in first["key-gc"].works()] == ["a"]


@pytest.mark.parametrize("late", [False, True])
def test_cleanup_and_wait_are_shared_too(late: bool) -> None:
    """Decorations reach the registries made before and after them."""
    cleaned: list[str] = []
    asked: list[bool] = []

    @shared_process("key-gc", schedule=None)
    def collect(work: Work) -> None: ...

    processes = registry() if not late else None

    @collect.cleanup(gone=KeyError)
    def clean(work: Work) -> None:
        cleaned.append(work.name)
        raise KeyError(work.name)

    @collect.wait
    def not_now() -> bool:
        asked.append(True)
        return False

    process = (processes or registry())["key-gc"]
    process.unregister_work("gone")
    process.dispatch.trigger(by="test")
    assert (asked, cleaned) == ([True], [])
    process.run_now()
    assert (cleaned, [work.name for work in process.works("dropped")]) == (["gone"], ["gone"])


def test_cleanup_without_options() -> None:
    """`@collect.cleanup` alone decorates as well."""
    cleaned: list[str] = []

    @shared_process("key-gc", schedule=None)
    def collect(work: Work) -> None: ...

    @collect.cleanup
    def clean(work: Work) -> None:
        cleaned.append(work.name)

    process = registry()["key-gc"]
    process.unregister_work("gone")
    process.run_now()
    assert cleaned == ["gone"]


def test_a_worker_class_may_be_shared() -> None:
    """A class with the methods of `Worker` gives each registry an instance of its own."""
    made: list[Any] = []

    class Collector(Worker):
        def process_active_work(self, work: Work) -> None:
            made.append(self)

    shared_process("key-gc", schedule=None)(Collector)
    for processes in (registry("first"), registry("second")):
        processes["key-gc"].register_work("a")
        processes["key-gc"].run_now()
    assert [type(worker) for worker in made] == [Collector, Collector]
    assert made[0] is not made[1]


def test_the_decorated_function_can_be_called() -> None:
    """A unit test calls the handler with a plain work, without any app."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> str:
        return work.name.upper()

    assert collect(Work("a")) == "A"


def test_a_name_that_an_app_has_already_is_refused() -> None:
    """A registry that defines the name itself refuses the shared one."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    processes = registry()
    with pytest.raises(DuplicateProcess):
        processes.process("key-gc", schedule=60)(lambda work: None)
