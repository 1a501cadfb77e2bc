"""`process export` and `process import` at the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery, current_app
from celery.bin.celery import celery
from click.testing import CliRunner, Result

from celery_process import Processes
from celery_process.stores.memory import MemoryStore


class Shop:
    """An app with two processes, in a module of its own."""

    def __init__(self, module: str) -> None:
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.processes = Processes(self.app, backend=MemoryStore())
        for name in ("key-gc", "other"):
            self.processes.process(name, schedule=3600)(lambda work: None)
        self.name, self.module = module, ModuleType(module)
        self.module.app = self.app  # type: ignore[attr-defined]

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(celery, ["-A", f"{self.name}:app", "process", *arguments])


@pytest.fixture
def shops(monkeypatch: pytest.MonkeyPatch) -> Any:
    before = current_app._get_current_object()
    made = [Shop(f"celery_process_shop_{number}") for number in range(2)]
    for shop in made:
        monkeypatch.setitem(sys.modules, shop.name, shop.module)
    yield made
    before.set_current()


def test_there(shops: list[Shop], tmp_path: Path) -> None:
    """All processes of one app go through a file into the store of another."""
    here, there = shops
    here.processes["key-gc"].register_works({"a": {"x": 1}, "b": None})
    here.processes["key-gc"].update_settings({"ttl": 9}, by="ada")
    file = tmp_path / "processes.jsonl"
    assert here.call("export", "-o", str(file)).exit_code == 0
    result = there.call("import", str(file))
    assert (result.exit_code, result.output) == (0, "key-gc: 2 items imported\nother: 0 items imported\n")
    assert there.processes["key-gc"].work("a").params == {"x": 1}
    assert there.processes["key-gc"].state().settings == {"ttl": 9}


def test_one_to_the_screen(shops: list[Shop]) -> None:
    """Without a file the document is printed, of those that are named."""
    result = shops[0].call("export", "other")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("process", line.get("end")) for line in lines] == ["other", "other"]


def test_refused(shops: list[Shop], tmp_path: Path) -> None:
    """What is newer is refused in one line that says what to do, and --force does it."""
    here, there = shops
    file = tmp_path / "processes.jsonl"
    here.processes["key-gc"].register_work("a", {"x": 1})
    here.call("export", "key-gc", "-o", str(file))
    there.processes["key-gc"].register_work("a", {"x": 2})
    result = there.call("import", str(file))
    assert result.exit_code == 1
    assert "the item 'a'" in result.output
    assert "--force" in result.output
    assert there.call("import", str(file), "--force").exit_code == 0
    assert there.processes["key-gc"].work("a").params == {"x": 1}


def test_unknown(shops: list[Shop], tmp_path: Path) -> None:
    """A process that the app does not define is refused, here and there."""
    assert "nope" in shops[0].call("export", "nope").output
    file = tmp_path / "processes.jsonl"
    text = shops[0].call("export", "other").stdout.replace('"other"', '"nope"')
    file.write_text(text)
    result = shops[1].call("import", str(file))
    assert result.exit_code == 1
    assert "nope" in result.output
