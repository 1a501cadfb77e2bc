"""What the pages of processes in Flower rest on: the way in, and what is read how often."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.contrib.flower.board import Board
from celery_process.contrib.flower.hook import ROUTES, install, with_tab
from celery_process.exceptions import ProcessNotFound
from celery_process.stores.memory import MemoryStore
from celery_process.text.masking import MASK

urls = pytest.importorskip("flower.urls", reason="Flower is not installed.")


@pytest.fixture
def processes():
    registry = Processes(Celery("watched", set_as_current=False), backend=MemoryStore())
    registry.process("one", schedule=None)(lambda work: None)
    registry.process("two", schedule=60)(lambda work: None)
    return registry


class TestTheWayIn:
    def test_celery_s_commands_bring_it(self):
        """The module that Celery loads for `process` has put the routes before Flower's own, once."""
        import celery_process.cli  # noqa: F401

        assert install()
        paths = [route[0] for route in urls.handlers if isinstance(route, tuple)]
        assert paths[: len(ROUTES)] == [route[0] for route in ROUTES]
        assert paths.count("/processes") == 1

    def test_each_route_names_a_handler_that_exists(self):
        """The handlers are named by text, so that only Flower imports them."""
        from celery_process.contrib.flower import handlers

        for _, handler in ROUTES:
            module, _, name = handler.rpartition(".")
            assert module == handlers.__name__
            assert hasattr(handlers, name)

    def test_flower_s_navbar_has_a_place(self):
        """The tab stands once in the navbar of the installed Flower, after its own tabs."""
        navbar = (Path(urls.settings["template_path"]) / "navbar.html").read_bytes()
        with_ours = with_tab(navbar)
        assert with_ours.count(b">Processes</a>") == 1
        assert re.search(rb"broker.*Processes</a></li>", with_ours, re.DOTALL)

    def test_a_navbar_of_another_shape_is_left_alone(self, caplog):
        """Without its place the tab is left out, with a warning."""
        assert with_tab(b"<nav></nav>") == b"<nav></nav>"
        assert [record.action for record in caplog.records] == ["flower_refused"]

    def test_a_flower_of_another_shape_is_left_alone(self, monkeypatch, caplog):
        """What does not fit is a warning: the commands of Celery work as before."""
        monkeypatch.setitem(sys.modules, "flower.urls", SimpleNamespace(routes=[]))
        assert not install()
        assert [record.action for record in caplog.records] == ["flower_refused"]


class TestTheBoard:
    def test_many_viewers_cost_one_read(self, processes, monkeypatch):
        """Who looks while an answer is on its way, or just after it, gets that answer; never in the event loop's thread."""
        reads = []
        store, process = processes.store, processes.store.process
        monkeypatch.setattr(store, "process", lambda name: reads.append(threading.current_thread()) or process(name))
        board = Board(processes)

        async def look():
            answers = await asyncio.gather(*(board.one("two") for _ in range(50)))
            return [*answers, await board.one("two")]

        answers = asyncio.run(look())
        assert len(answers) == 51
        assert all(answer is answers[0] for answer in answers)
        assert len(reads) == 1
        assert reads[0] is not threading.current_thread()

    def test_an_action_is_seen_at_once(self, processes):
        """What was kept before an action is not shown after it."""
        board = Board(processes)

        async def look():
            before = await board.one("two")
            await board.act("two", lambda process: process.pause("why", by="ann"))
            return before, await board.one("two")

        before, after = asyncio.run(look())
        assert before["overview"]["paused"] is None
        assert after["overview"]["paused"]["note"] == "why"

    def test_all_processes_are_listed(self, processes):
        """The list has each process, in order of name."""
        answer = asyncio.run(Board(processes).all())
        assert [row["process"] for row in answer["processes"]] == ["one", "two"]
        assert [row["schedule"] for row in answer["processes"]] == ["on demand", "every 1m"]

    def test_settings_come_with_their_history(self, processes):
        """Newest first, with who stored it and the schedule as people read it; of old versions, too, no secret is shown."""
        processes["two"].update_settings({"ttl": 5, "api_key": "s3cret"}, by="ann")
        processes["two"].update_settings(None, schedule=90, by="bob")
        newest, first = asyncio.run(Board(processes).one("two"))["settings_history"]
        assert (newest["version"], newest["by"], newest["schedule"]) == (2, "bob", "every 1m 30s")
        assert (first["version"], first["by"], first["schedule"]) == (1, "ann", "as in the code")
        assert newest["settings"] == first["settings"] == {"ttl": 5, "api_key": MASK}
        assert first["changed_at"] <= newest["changed_at"]

    def test_an_unknown_name_is_kept_nowhere(self, processes):
        """Names that somebody tries leave nothing behind."""
        board = Board(processes)
        with pytest.raises(ProcessNotFound):
            asyncio.run(board.one("three"))
        assert not board._cache
