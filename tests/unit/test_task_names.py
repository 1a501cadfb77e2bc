"""Names that a process needs for its own tasks and for its entry in beat, and somebody else has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import pytest
from celery import Celery, Task, shared_task
from celery.beat import Service

from celery_process import Process, Processes, shared, shared_process
from celery_process.exceptions import TaskNameTaken
from celery_process.monitor import health

NAMES = ["p.schedule", "p.work", "p.cleanup"]
HERE = "tests.unit.test_task_names"


def handler(work: Any) -> None:
    """Do nothing."""


def theirs() -> None:
    """Do something else."""


class Theirs(Task):
    """A task by class."""

    def run(self) -> None:
        """Do something else."""


def decorate(app: Celery, name: str) -> None:
    app.task(name=name, shared=False)(theirs)


def register(app: Celery, name: str) -> None:
    task = Theirs()
    task.name = name
    app.register_task(task)


WAYS = [pytest.param(decorate, "theirs", id="decorated"), pytest.param(register, "Theirs", id="registered")]


@pytest.fixture
def app() -> Celery:
    return Celery("names", set_as_current=False)


def define(app: Celery) -> Process:
    return Processes(app, backend="memory://").process("p", schedule=60)(handler)


def start_worker(app: Celery) -> None:
    """Take the step of a worker's start that looks at the app."""
    step = next(step for step in app.steps["worker"] if step.__name__ == "StartCheck")
    step(None).start(None)


def places(name: str, place: str) -> str:
    return rf"{name}'.*{HERE}\.handler, and {HERE}\.{place};"


@pytest.mark.parametrize("name", NAMES)
class TestBothPlacesAreNamed:
    @pytest.mark.parametrize(("way", "place"), WAYS)
    def test_at_definition(self, app: Celery, name: str, way: Callable[..., None], place: str) -> None:
        """A process is refused in an app that has a task of its name, and is not half there then."""
        way(app, name)
        app.finalize()
        processes = Processes(app, backend="memory://")
        with pytest.raises(TaskNameTaken, match=places(name, place)):
            processes.process("p", schedule=60)(handler)
        assert "p" not in processes
        assert {known for known in app.tasks if known.startswith("p.")} == {name}
        processes.process("other", schedule=60)(handler)

    @pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
    def test_as_the_app_is_finalized(self, app: Celery, name: str, *, first: bool) -> None:
        """Whichever of the two was decorated first, finalizing the app raises."""
        for each in (decorate, lambda app, name: define(app)) if first else (lambda app, name: define(app), decorate):
            each(app, name)
        with pytest.raises(TaskNameTaken, match=places(name, "theirs")):
            app.finalize()

    def test_shared_tasks(self, app: Celery, name: str) -> None:
        """A task of `shared_task` is one of the app's, in either order."""
        from celery import _state

        known = set(_state._on_app_finalizers)
        try:
            define(app)
            shared_task(name=name)(theirs)
            with pytest.raises(TaskNameTaken, match=places(name, "theirs")):
                app.finalize()
        finally:
            _state._on_app_finalizers.clear()
            _state._on_app_finalizers.update(known)

    @pytest.mark.parametrize("pending", [True, False], ids=["before", "after"])
    def test_as_a_worker_starts(self, app: Celery, name: str, *, pending: bool) -> None:
        """A worker refuses to start, also where the task came into an app that was finalized."""
        process = define(app)
        if not pending:
            app.finalize()
        register_late(app, name)
        with pytest.raises(TaskNameTaken, match=places(name, "Theirs")):
            start_worker(app)
        finding = next(found for found in health.examine(registry(app), patience=None) if found.check == "names")
        assert not finding.ok
        assert f"{HERE}.Theirs" in finding.text
        assert process.name == "p"


def register_late(app: Celery, name: str) -> None:
    """Register a task as Celery does by class: the last one of a name wins."""
    try:
        register(app, name)
    except TaskNameTaken:  # this finalizes the app
        task = Theirs()
        task.name = name
        app.tasks.register(task)


def registry(app: Celery) -> Processes:
    from celery_process.app import registry_of

    found = registry_of(app)
    assert found is not None
    return found


@pytest.mark.parametrize(("way", "place"), WAYS)
def test_the_sweep(app: Celery, way: Callable[..., None], place: str) -> None:
    """The sweep of the app has one owner as well."""
    way(app, "celery_process.sweep")
    app.finalize()
    with pytest.raises(TaskNameTaken, match=place):
        define(app)


def test_the_task_that_celery_would_name_so(app: Celery) -> None:
    """A function whose module and name make up a name of ours is one like any other."""
    processes = Processes(app, backend="memory://")
    processes.process(HERE, schedule=60)(handler)

    @app.task(shared=False)
    def work() -> None: ...

    with pytest.raises(TaskNameTaken, match="work"):
        app.finalize()


def test_a_shared_process(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a reusable app is refused as the app's own are."""
    monkeypatch.setattr(shared, "_pending", [])
    monkeypatch.setattr(shared, "_registries", WeakSet())
    shared_process("p", schedule=60)(handler)
    decorate(app, "p.work")
    Processes(app, backend="memory://")
    with pytest.raises(TaskNameTaken, match=places("p.work", "theirs")):
        app.finalize()


FOREIGN = {"p.schedule": {"task": "reports.send", "schedule": 60.0}}


class TestEntriesOfBeat:
    def test_as_the_app_is_finalized(self, app: Celery) -> None:
        """An entry of the name of a process's own that runs another task is refused with both."""
        define(app)
        app.conf.beat_schedule = FOREIGN
        with pytest.raises(TaskNameTaken, match=rf"'p\.schedule'.*'reports\.send'.*'p' of {HERE}\.handler"):
            app.finalize()

    def test_as_beat_starts(self, app: Celery, tmp_path: Any) -> None:
        """Beat does not start where the schedule was set after that."""
        define(app)
        app.finalize()
        app.conf.beat_schedule = FOREIGN
        with pytest.raises(SystemExit, match=r"reports\.send"):
            Service(app, schedule_filename=str(tmp_path / "beat")).start(embedded_process=True)

    def test_an_entry_of_ones_own(self, app: Celery) -> None:
        """An entry that runs the process's task is its schedule, of this name and of any other."""
        process = define(app)
        app.conf.beat_schedule = {"p.schedule": {"task": "p.schedule", "schedule": 5.0}}
        app.finalize()
        assert process.schedule_frequency.total_seconds() == 5


def test_names_that_are_only_near_ours(app: Celery) -> None:
    """Processes whose names look like each other's tasks, and tasks beside ours, are no matter."""
    processes = Processes(app, backend="memory://")
    for name in ("p", "p.schedule", "p.work", "p.work.cleanup"):
        processes.process(name, schedule=60)(handler)
    decorate(app, "p.works")
    app.finalize()
    start_worker(app)
    assert {name for name in app.tasks if name.startswith("p.work.")} == {
        *("p.work.schedule", "p.work.work", "p.work.cleanup"),
        *("p.work.cleanup.schedule", "p.work.cleanup.work", "p.work.cleanup.cleanup"),
    }
