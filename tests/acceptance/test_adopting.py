"""A small project gets a process: what docs/adopting.md shows is the whole difference, and the rest goes on."""

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


class Project:
    """A project in a folder, with the data of its programs in another."""

    name: str

    def __init__(self, home: Path, data: Path, **environment: str) -> None:
        self.home, self.data = home, data
        self.environment = {**os.environ, "PYTHONPATH": str(home), **environment}

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a command of `celery -A` beside the test."""
        line = [sys.executable, "-m", "celery", "-A", self.name, *command]
        process = subprocess.Popen(line, env=self.environment, cwd=self.data, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def said(self, *command: str) -> str:
        """Return what a command of Python prints."""
        line = [sys.executable, *command]
        done = subprocess.run(line, env=self.environment, cwd=self.data, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Shop(Project):
    """The plain project before or after, with a broker of its own."""

    name = "shop"

    def __init__(self, home: Path, broker: str, data: Path) -> None:
        super().__init__(home, data, SHOP_BROKER=broker, SHOP_STORE=f"sqlite:///{data}/store.db")

    def celery(self, *command: str) -> str:
        """Return what a command of `celery -A shop` prints."""
        return self.said("-m", "celery", "-A", "shop", *command)

    def call(self, code: str) -> str:
        """Return what code prints that has the project's module."""
        return self.said("-c", f"import shop\n{code}")


class Digest(Project):
    """The Django project after, with a broker of its own."""

    name = "digest"

    def __init__(self, broker: str, data: Path) -> None:
        super().__init__(HERE / "django" / "after", data, DIGEST_BROKER=broker, DIGEST_DATABASE=f"{data}/digest.db")

    def manage(self, *command: str) -> str:
        """Return what a command of `manage.py` prints."""
        return self.said(str(self.home / "manage.py"), *command)

    def call(self, code: str) -> str:
        """Return what code prints that has the project's models."""
        return self.manage("shell", "--no-imports", "-c", f"from readers.models import Delivery, Reader\n{code}")


@pytest.fixture(params=["before", "after"])
def shop(request: pytest.FixtureRequest, start_valkey: Callable[..., str], tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(HERE / "plain" / request.param, start_valkey(), tmp_path)
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


@pytest.fixture
def digest(start_valkey: Callable[..., str], tmp_path: Path) -> Iterator[Digest]:
    digest = Digest(start_valkey(), tmp_path)
    digest.manage("migrate", "-v", "0")
    with ExitStack() as stack:
        stack.enter_context(digest.running("worker", "-c", "1", "-l", "warning"))
        stack.enter_context(digest.running("beat", "-l", "warning", "-s", str(tmp_path / "beat")))
        yield digest


def test_a_django_project(digest: Digest) -> None:
    """Its tables are made by its own migrate, the process runs, and beat goes on to send the project's other entry."""
    digest.call("Reader.objects.create(address='gone@example.org', bounced=True)")
    for address in ("ana@example.org", "bo@example.org"):
        digest.manage("celery_process", "register", "digests", address)

    def done() -> list[Any]:
        runs = json.loads(digest.manage("celery_process", "runs", "digests", "--json"))
        return [run for run in runs if run["state"] == "COMPLETED" and run["stats"]["workItems"] == 2]

    wait_for(lambda: len(done()) >= 2, within=90, every=1, what="two runs with both items")
    deliveries = "print(*sorted(set(Delivery.objects.values_list('address', flat=True))))"
    assert digest.call(deliveries) == "ana@example.org bo@example.org"
    wait_for(lambda: digest.call("print(Reader.objects.count())") == "0", within=60, what="the project's own entry")
    assert digest.manage("makemigrations", "--check", "--dry-run").startswith("No changes")


def difference(kind: str) -> list[str]:
    """Return how the two projects of a kind differ, with the name of each file where there are several."""
    before, after = (
        {path.relative_to(top).as_posix(): path.read_text(encoding="utf-8") for path in sorted(top.rglob("*.py"))}
        for top in (HERE / kind / "before", HERE / kind / "after")
    )
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = (side.get(name, "").splitlines() for side in (before, after))
        changed = [
            line.rstrip()
            for line in difflib.unified_diff(old, new, n=1, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
        if changed:
            lines += ([""] if lines else []) + ([f" # {name}"] if len(after) > 1 else []) + changed
    return lines


@pytest.mark.parametrize(("kind", "place"), [("plain", 0), ("django", 1)])
def test_the_page_shows_the_difference(kind: str, place: int) -> None:
    """The diff on the page is that of the two projects, and it makes a project at most five lines longer."""
    lines = difference(kind)
    shown = re.findall(r"```diff\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown[place].splitlines() == lines
    added, removed = (sum(line.startswith(sign) and len(line) > 1 for line in lines) for sign in "+-")
    assert min(added, added - removed) <= 5
    assert added <= 8
