"""`process watch`, `work` and `errors`, on an eager app."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from celery import Celery, current_app
from celery.bin.celery import celery
from click.testing import CliRunner

from celery_process import Processes


@pytest.fixture
def call(monkeypatch):
    """Give a command line over a process of two items, one of which failed in the only run."""
    before = current_app._get_current_object()
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend="memory://")

    @processes.process("prices", schedule=60)
    def prices(work):
        if work.name == "bad":
            raise ValueError("no price")

    prices.register_works({"good": {}, "bad": {"id": 7}})
    prices.run_now()
    module = ModuleType("celery_process_watching")
    module.app = app
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield lambda *arguments: CliRunner().invoke(celery, ["-A", f"{module.__name__}:app", "process", *arguments])
    before.set_current()


def test_watch_prints_a_line_a_look(call):
    """With --json each look is one line of JSON, with the figures of the last run."""
    lines = call("watch", "--json", "--count", "2", "--every", "0.1").output.splitlines()
    assert len(lines) == 2
    [seen] = json.loads(lines[1])
    assert (seen["process"], seen["done"], seen["total"], seen["fraction"]) == ("prices", 2, 2, 1.0)


def test_watch_fits_80_columns(call, monkeypatch):
    """The table names the process and its items within 80 columns, and without a terminal has no colours."""
    monkeypatch.setenv("COLUMNS", "80")
    output = call("watch", "--count", "1").output
    assert "prices" in output
    assert "2/2" in output
    assert "COMPLETED" in output or "INCOMPLETE" in output
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= 80


def test_watch_without_rich(call, monkeypatch):
    """Without the extra it says what to install."""
    monkeypatch.setitem(sys.modules, "rich.live", None)
    result = call("watch", "--count", "1")
    assert result.exit_code == 1
    assert "pip install 'celery-process[cli]'" in result.output


def test_work_shows_one_item(call):
    """One item's params and error are shown, and are the same in JSON."""
    assert "no price" in call("work", "prices", "bad").output
    assert json.loads(call("work", "prices", "bad", "--json").output)["params"] == {"id": 7}


def test_errors_of_a_run(call):
    """The errors of the last run, and of the run that is named, are the same; an unknown run is refused."""
    seen = json.loads(call("errors", "prices", "--json").output)
    assert seen["total_errors"] == 1
    assert call("errors", "prices", seen["run"]).output == call("errors", "prices").output
    assert "bad: " in call("errors", "prices").output
    assert call("errors", "prices", "none").exit_code == 1
