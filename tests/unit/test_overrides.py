"""A store named anew after the first use, as a test's override of the settings does, is the one in use from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.beat.stored import stored_schedules
from celery_process.config import store_of
from celery_process.contrib.flower.board import Board
from celery_process.exceptions import ConfigurationError, RunNotFound
from celery_process.monitor.probe import probe_of
from celery_process.protocol.states import RunState
from celery_process.stores.memory import MemoryStore


@pytest.fixture
def processes() -> Processes:
    app = Celery("overridden", set_as_current=False, broker="memory://", task_always_eager=True)
    registry = Processes(app, backend="memory://")
    registry.process("p", schedule=60)(lambda work: work.add_stats("worked"))
    registry["p"].register_work("before")
    registry["p"].run_now()
    return registry


@contextmanager
def override(app: Celery, **settings: Any) -> Iterator[None]:
    """Set what people's own fixtures set, and give it back."""
    before = {key: app.conf.get(key) for key in settings}
    app.conf.update(settings)
    try:
        yield
    finally:
        app.conf.update(before)


def url_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'other.db'}"


def names(processes: Processes) -> list[str]:
    return [work.name for work in processes["p"].works()]


def test_writes_go_to_the_store_that_is_named_now(processes: Processes, tmp_path: Path) -> None:
    """Registrations, runs and settings of an override are its own; after it the first store is as it was."""
    process = processes["p"]
    first = process.run_now()
    with override(processes.app, process_backend=url_in(tmp_path)):
        assert processes.store.url == url_in(tmp_path)
        assert names(processes) == []
        process.register_work("inside")
        second = process.run_now()
        assert second.state is RunState.COMPLETED
        assert second.stats["work.worked"] == 1
        process.update_settings({}, schedule=30)
        with pytest.raises(RunNotFound):
            processes.store.run("p", first.id)
    assert names(processes) == ["before"]
    assert processes.store.run("p", first.id).state is RunState.COMPLETED
    with pytest.raises(RunNotFound):
        processes.store.run("p", second.id)
    assert process.state().schedule_frequency == process.default_frequency().value
    with override(processes.app, process_backend=url_in(tmp_path)):
        assert names(processes) == ["inside"]


def test_another_prefix_is_another_store(tmp_path: Path) -> None:
    """A prefix names the store as the URL does."""
    processes = Processes(Celery("prefixed", set_as_current=False), backend=url_in(tmp_path))
    processes.process("p", schedule=None)(lambda work: None)
    processes["p"].register_work("before")
    with override(processes.app, process_table_prefix="other_"):
        processes["p"].register_work("inside")
        assert names(processes) == ["inside"]
    assert names(processes) == ["before"]


def test_a_store_that_was_given_comes_back(tmp_path: Path) -> None:
    """An open store that a test brought is in use again when an override of its URL ends."""
    given = MemoryStore()
    processes = Processes(Celery("given", set_as_current=False), backend=given)
    with override(processes.app, process_backend=url_in(tmp_path)):
        assert processes.store is not given
    assert processes.store is given


def test_the_store_of_before_is_closed(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An override leaves no connections behind."""
    closed = []
    with override(processes.app, process_backend=url_in(tmp_path)):
        inside = processes.store
        monkeypatch.setattr(inside, "close", lambda: closed.append(inside))
    assert processes.store is not inside
    assert closed == [inside]


def test_a_url_that_makes_no_sense_is_refused_each_time(processes: Processes) -> None:
    """Nothing is written into the store of before while the settings name none."""
    for wrong in ("nonsense://", None, 5):
        with override(processes.app, process_backend=wrong), pytest.raises(ConfigurationError):
            processes["p"].register_work("inside")
    assert names(processes) == ["before"]


def test_eager_mode_is_followed(processes: Processes) -> None:
    """An override of task_always_eager decides where items are worked from then on."""
    assert processes["p"].dispatch.port.inline
    with override(processes.app, task_always_eager=False):
        assert not processes["p"].dispatch.port.inline
    assert processes["p"].dispatch.port.inline


def test_items_in_hand_end_in_the_store_that_they_came_from(processes: Processes, tmp_path: Path) -> None:
    """A handler during which the settings change reports to its run, which ends."""
    process = processes["p"]

    @processes.process("changes", schedule=None)
    def changes(work: Any) -> None:
        processes.app.conf.process_backend = url_in(tmp_path)
        process.register_work("from inside")

    changes.register_work("item")
    run = changes.run_now()
    assert run.state is RunState.COMPLETED
    assert names(processes) == ["from inside"]


def test_beat_reads_the_store_that_is_named_now(processes: Processes, tmp_path: Path) -> None:
    """What beat knew of another store is forgotten, a slot that it awaited there too, even if the new one does not answer."""
    app = processes.app
    processes["p"].update_settings({}, schedule=30)
    stored = stored_schedules(app)
    stored.read(store_of(app))
    assert stored.text("p") is not None
    with override(app, process_backend=f"sqlite:///{tmp_path / 'missing' / 'other.db'}"):
        stored.read(store_of(app))
        assert stored.text("p") is None


def test_a_probe_is_answered_of_the_store_that_is_named_now(processes: Processes, tmp_path: Path) -> None:
    """The last findings, which serve for seconds, are of the store that they were found in."""
    processes.app.conf.task_always_eager = True

    def urls() -> str:
        return str(probe_of(processes).answer())

    assert "memory:// answers" in urls()
    with override(processes.app, process_backend=url_in(tmp_path)):
        assert "other.db answers" in urls()
    assert "memory:// answers" in urls()


def test_flower_shows_the_store_that_is_named_now(processes: Processes, tmp_path: Path) -> None:
    """Nothing that was kept of another store is shown."""
    board = Board(processes)

    async def look() -> list[Any]:
        shared = [(await board.all())["shared"]]
        with override(processes.app, process_backend=url_in(tmp_path)):
            shared.append((await board.all())["shared"])
        shared.append((await board.all())["shared"])
        return shared

    assert asyncio.run(look()) == [False, True, False]
