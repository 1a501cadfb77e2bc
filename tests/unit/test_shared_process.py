"""`shared_process`: a process of a reusable app, in every registry whether made before or after."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakSet

import pytest
from celery import Celery, current_app

from celery_process import Process, Processes, Work, Worker, shared, shared_process
from celery_process.exceptions import ConfigurationError, DuplicateProcess, ProcessNotFound
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


def test_what_is_shared_is_used_like_a_process() -> None:
    """The decorated object has the verbs and readings of the app's process."""

    @shared_process("key-gc", schedule=90, settings={"ttl": 1})
    def collect(work: Work) -> None:
        work.add_stats("seen")

    processes = registry()
    assert collect.register_work("a", {"ttl": 2})
    collect.register_works({"b": None})
    assert collect.unregister_work("b")
    assert collect.update_settings({"ttl": 3}, schedule=30) == 1
    assert collect.run_now().stats["work.seen"] == 1
    assert [run.id for run in collect.runs()] == [run.id for run in processes["key-gc"].runs()]
    assert (collect.state().settings, collect.schedule_frequency.total_seconds()) == ({"ttl": 3}, 30)
    assert collect.process is processes["key-gc"]


def test_all_that_a_process_has_is_there() -> None:
    """Each public name of `Process` is one of the shared object too, and no other name is."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    processes = registry()
    for name in (name for name in dir(Process) if not name.startswith("_")):
        assert hasattr(collect, name), name
    assert collect.definition is processes["key-gc"].definition
    with pytest.raises(AttributeError, match="regster_work"):
        collect.regster_work("a")


def test_without_an_app() -> None:
    """A use before any app has processes is refused with what to do; a name that no process has is only no attribute."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    with pytest.raises(ProcessNotFound, match=r"make a Processes\(app\)"):
        collect.register_work("a")
    assert not hasattr(collect, "wrapped")


def test_of_several_apps_the_current_one_is_used() -> None:
    """With two apps the current one is meant; where neither is, the use is refused and names both."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    first, second = registry("first"), registry("second")
    before = current_app._get_current_object()
    try:
        second.app.set_current()
        collect.register_work("a")
    finally:
        before.set_current()
    assert ([work.name for work in first["key-gc"].works()], [work.name for work in second["key-gc"].works()]) == ([], ["a"])
    with pytest.raises(ConfigurationError, match=r"'first', 'second'"):
        collect.run_now()


def test_in_another_thread() -> None:
    """A thread that has no current app of its own uses the one app that there is."""

    @shared_process("key-gc", schedule=90)
    def collect(work: Work) -> None: ...

    processes = registry()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(collect.register_work, "a").result()
    assert [work.name for work in processes["key-gc"].works()] == ["a"]


def _collect(work: Work) -> None: ...


def test_pickled_and_copied() -> None:
    """What is shared is pickled by its name, and copied as itself."""
    collect = shared_process("key-gc", schedule=90)(_collect)
    assert pickle.loads(pickle.dumps(collect)) is collect
    assert copy.copy(collect) is collect
    pickled = pickle.dumps(collect)
    shared._pending.clear()
    with pytest.raises(ProcessNotFound, match="shares no process 'key-gc'"):
        pickle.loads(pickled)
