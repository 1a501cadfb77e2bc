"""Whether a worker stops, as its pool children know it, and which exceptions end a worker."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import WorkerShutdown, WorkerTerminate

from celery_process import Processes
from celery_process.stores.memory import MemoryStore
from celery_process.tasks import shutdown as module
from celery_process.tasks.shutdown import ShutdownNote, ends_worker, shutting_down


@pytest.fixture
def app() -> Celery:
    return Celery("shutdown", broker="memory://", set_as_current=False)


@pytest.fixture
def in_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Celery, "current_worker_task", SimpleNamespace(request=SimpleNamespace(is_eager=False)))


@pytest.mark.usefixtures("in_a_task")
class TestTheNote:
    def test_a_worker_that_runs_and_stops(self, app: Celery) -> None:
        """It is not stopping before its start, nor while it runs; it is from the beginning of its end on."""
        parent = SimpleNamespace(app=app)
        assert not shutting_down(app)
        note = ShutdownNote(parent)
        assert not shutting_down(app)
        note.start(parent)
        assert not shutting_down(app)
        note.close(parent)
        assert shutting_down(app)

    def test_a_worker_that_starts_again(self, app: Celery) -> None:
        """A later worker of the same interpreter runs, until it stops as well."""
        parent = SimpleNamespace(app=app)
        ShutdownNote(parent).close(parent)
        note = ShutdownNote(parent)
        note.start(parent)
        assert not shutting_down(app)
        note.close(parent)
        assert shutting_down(app)

    def test_another_app(self, app: Celery) -> None:
        """A worker of one app says nothing of another's."""
        parent, other = SimpleNamespace(app=app), Celery("other", set_as_current=False)
        ShutdownNote(parent).close(parent)
        ShutdownNote(SimpleNamespace(app=other))
        assert (shutting_down(app), shutting_down(other)) == (True, False)

    @pytest.mark.forks
    def test_a_child_hears_of_it(self, app: Celery) -> None:
        """A child that was forked before the end sees it, since it shares the byte."""
        parent = SimpleNamespace(app=app)
        note = ShutdownNote(parent)
        note.start(parent)
        there, back = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.write(back[1], b"1" if shutting_down(app) else b"0")
            os.read(there[0], 1)
            os.write(back[1], b"1" if shutting_down(app) else b"0")
            os._exit(0)
        assert os.read(back[0], 1) == b"0"
        note.close(parent)
        os.write(there[1], b"x")
        assert os.read(back[0], 1) == b"1"
        os.waitpid(child, 0)
        for end in (*there, *back):
            os.close(end)

    def test_it_keeps_no_app_alive(self) -> None:
        """The byte goes with its app."""
        app = Celery("gone", set_as_current=False)
        ShutdownNote(SimpleNamespace(app=app))
        assert app in module._bytes
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None

    def test_every_worker_has_the_step(self, app: Celery) -> None:
        """It is taken before the pool forks, and only with an app that has processes."""
        assert ShutdownNote not in app.steps["worker"]
        Processes(app, backend=MemoryStore())
        assert ShutdownNote in app.steps["worker"]
        assert [re.findall(r"\bcomponents[:.](\w+)", str(step))[0] for step in ShutdownNote.requires] == ["Pool"]


@pytest.mark.parametrize(
    "task", [None, SimpleNamespace(request=SimpleNamespace(is_eager=True))], ids=["no task", "an eager task"]
)
def test_who_is_not_in_a_worker(app: Celery, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell, and a task that runs where it is called, begin further items although a worker stopped there."""
    ShutdownNote(SimpleNamespace(app=app)).close(SimpleNamespace(app=app))
    monkeypatch.setattr(Celery, "current_worker_task", task)
    assert not shutting_down(app)


def test_the_port_asks_for_its_own_app(app: Celery, in_a_task: None) -> None:
    """Between two items the runner asks the port, which knows the app."""
    port = Processes(app, backend=MemoryStore()).process("p", schedule=60)(lambda work: None).dispatch.port
    assert not port.stopping()
    ShutdownNote(SimpleNamespace(app=app)).close(SimpleNamespace(app=app))
    assert port.stopping()
    assert port.ends_worker(WorkerShutdown(0))
    assert not port.ends_worker(ValueError())


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (WorkerShutdown(0), True),
        (WorkerTerminate(1), True),
        (SystemExit(signal.SIGTERM - 256), True),
        (SystemExit(-255), True),
        (SystemExit(-193), True),
        (SystemExit(-256), False),
        (SystemExit(-192), False),
        (SystemExit(0), False),
        (SystemExit(15), False),
        (SystemExit("-250"), False),
        (SystemExit(None), False),
        (KeyboardInterrupt(), False),
        (ValueError(), False),
    ],
    ids=repr,
)
def test_what_ends_a_worker(error: BaseException, ends: bool) -> None:
    """Celery's own two, and the exit of a pool child by a signal; no exit that a handler chose for itself."""
    assert ends_worker(error) is ends


def test_what_ends_a_green_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """GreenletExit does, if greenlet is there at all."""

    class GreenletExit(BaseException):
        """As greenlet has it."""

    monkeypatch.delitem(sys.modules, "greenlet", raising=False)
    assert not ends_worker(GreenletExit())
    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(GreenletExit=GreenletExit))
    assert ends_worker(GreenletExit())
    assert not ends_worker(ValueError())
