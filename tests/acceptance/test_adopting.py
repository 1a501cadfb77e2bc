"""A small Celery project gets a process: what docs/adopting.md shows is the whole difference, and the rest goes on."""

from __future__ import annotations

import difflib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .waiting import wait_for

HERE = Path(__file__).parent / "adopting"
PAGE = Path(__file__).parents[2] / "docs" / "adopting.md"


class Shop:
    """The project before or after, with a broker of its own."""

    def __init__(self, home: Path, broker: str, data: Path) -> None:
        store = f"sqlite:///{data}/store.db"
        self.home, self.data = home, data
        self.environment = {**os.environ, "SHOP_BROKER": broker, "SHOP_STORE": store, "PYTHONPATH": str(home)}

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a command of `celery -A shop` beside the test."""
        line = [sys.executable, "-m", "celery", "-A", "shop", *command]
        process = subprocess.Popen(line, env=self.environment, cwd=self.data, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def celery(self, *command: str) -> str:
        """Return what a command of `celery -A shop` prints."""
        line = [sys.executable, "-m", "celery", "-A", "shop", *command]
        done = subprocess.run(
            line, env=self.environment, cwd=self.data, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def call(self, code: str) -> str:
        """Return what code prints that has the project's module."""
        line = [sys.executable, "-c", f"import shop\n{code}"]
        done = subprocess.run(
            line, env=self.environment, cwd=self.data, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()


@pytest.fixture(params=["before", "after"])
def shop(request: pytest.FixtureRequest, start_valkey: Callable[..., str], tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(HERE / request.param, start_valkey(), tmp_path)
    with ExitStack() as stack:
        stack.enter_context(shop.running("worker", "-c", "2", "-l", "warning"))
        stack.enter_context(shop.running("beat", "-l", "warning", "-s", str(tmp_path / "beat")))
        yield shop


def test_the_rest_goes_on(shop: Shop) -> None:
    """The project's own task answers, and beat goes on to send its entry, before and after."""
    assert shop.call("print(shop.greet.delay('you').get(timeout=40))") == "hello you"
    count = "print(len([key for key in shop.app.backend.client.scan_iter('celery-task-meta-*')]))"
    first = int(shop.call(count))
    wait_for(lambda: int(shop.call(count)) > first + 2, within=60, what="beat's own entry to be sent")


@pytest.mark.parametrize("shop", ["after"], indirect=True)
def test_the_process_runs(shop: Shop) -> None:
    """Items that were registered at the command line are worked in every slot, by the same worker and beat."""
    shop.celery("process", "register", "fetch", "news")
    shop.celery("process", "register", "fetch", "weather")

    def done() -> list[Any]:
        runs = json.loads(shop.celery("process", "runs", "fetch", "--json"))
        return [run for run in runs if run["state"] == "COMPLETED" and run["stats"]["workItems"] == 2]

    runs = wait_for(lambda: found if len(found := done()) >= 2 else [], within=90, what="two runs with both items")
    assert {run["stats"]["work.articles"] for run in runs} == {5}
    assert len({run["slot"] for run in runs}) == len(runs)


def test_the_page_shows_the_difference() -> None:
    """The diff on the page is that of the two projects, and it adds five lines at most."""
    before, after = ((HERE / name / "shop.py").read_text(encoding="utf-8").splitlines() for name in ("before", "after"))
    lines = [
        line for line in difflib.unified_diff(before, after, n=1, lineterm="") if not line.startswith(("---", "+++", "@@"))
    ]
    (shown,) = re.findall(r"```diff\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown.splitlines() == [line.rstrip() for line in lines]
    assert sum(line.startswith("+") and len(line) > 1 for line in lines) <= 5
