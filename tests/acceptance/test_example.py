"""The Django project of the example as people meet it: the README's line, Ctrl-C, and the commands of compose.yaml."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers import free_port

from .newcomer import OWN, ROOT, Clone, readme_line
from .waiting import wait_for

MANAGE = "example_project/manage.py"
REMOVED = re.compile(r'^remove realm "trial-.*": completed, 1,800 removed$', re.MULTILINE)
COLLECTED = re.compile(
    r"^key-gc of .*: COMPLETED, accounts 10, accountsRemoved 3, keysKept \d+, keysRemoved \d+, errors 1$", re.MULTILINE
)


@pytest.mark.timeout(600)
def test_the_line_of_the_readme_works_twice(tmp_path: Path) -> None:
    """In a fresh clone the line sets itself up, seeds, and runs all until keys are collected and a realm is removed; twice."""
    clone = Clone(tmp_path)
    for _ in range(2):
        done = clone.shell(f"{readme_line('Django example')} --once --port 8700")
        assert done.returncode == 0, done.stdout + done.stderr
        assert COLLECTED.search(done.stdout), done.stdout
        assert REMOVED.search(done.stdout), done.stdout
        assert done.stdout.endswith("Web, worker and beat have ended.\n")
    shown = clone.shell(f".venv/bin/python {MANAGE} celery_process show key-gc --json")
    state = json.loads(shown.stdout)["state"]
    assert state["settings"] == {"keyTtl": 100, "keysPerAccount": 10, "maxRequestedTtl": 90}
    assert state["aggregate_stats"]["work.accountsRemoved"] == 6


class Browser:
    """Somebody who looks at the pages."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str, **form: str) -> str:
        """Return a page; with a form, what its sending leads to."""
        if form:
            form["csrfmiddlewaretoken"] = next(cookie.value or "" for cookie in self.cookies if cookie.name == "csrftoken")
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(self.home + path, data, timeout=20) as answer:
            return str(answer.read().decode())

    def log_in(self) -> None:
        """Log in as the page of the command says, once the server answers."""
        wait_for(lambda: self.answers("/admin/login/"), within=60, what="the web server", every=0.5)
        self.get("/admin/login/?next=/admin/", username="demo", password="demo")

    def answers(self, path: str) -> bool:
        """Say whether the page is there."""
        try:
            return bool(self.get(path))
        except urllib.error.URLError:
            return False


def of_folder(folder: Path) -> list[int]:
    """Return the ids of the programs that were started with a folder for the example."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"EXAMPLE_FOLDER={folder}".encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
        except OSError:  # another user's, or over by now
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for what is left in /proc")
def test_ctrl_c_ends_web_worker_and_beat(tmp_path: Path) -> None:
    """The page that the command names takes its login and shows every model; Ctrl-C ends all with status 0."""
    environment = {**os.environ, "EXAMPLE_FOLDER": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    line = [sys.executable, MANAGE, "demo", "--port", "8750"]
    log = tmp_path / "demo.log"
    with log.open("wb") as file, subprocess.Popen(line, cwd=ROOT, env=environment, stdout=file, stderr=file) as demo:
        try:
            page = wait_for(
                lambda: re.search(r"(http://127\.0\.0\.1:\d+)/admin/  login demo, password demo", log.read_text()),
                within=120,
                what="the line with the page",
            )
            browser = Browser(page[1])
            browser.log_in()
            index = browser.get("/")
            for model in ("keys/project", "keys/serviceaccount", "keys/key", "realms/realm", "realms/identity"):
                assert f"/admin/{model}/add/" in index
                assert browser.get(f"/admin/{model}/")
            assert "remove realm" in browser.get("/admin/realms/operation/")
            wait_for(
                lambda: "key-gc.schedule" in browser.get("/admin/django_celery_beat/periodictask/"),
                within=60,
                what="beat to make its rows",
                every=1,
            )
            browser.get("/admin/keys/project/add/")
            browser.get("/admin/keys/project/add/", name="vostok", keys_per_account="3")
            works = json.loads(browser.get("/processes/key-gc"))["process"]["activeWork"]
            assert works["vostok"]["params"] == {"intParams": {"keysPerAccount": "3"}}
            assert len(of_folder(tmp_path)) >= 4
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    assert log.read_text().endswith("Web, worker and beat have ended.\n")
    assert of_folder(tmp_path) == []


Service = Callable[[str], Any]


@pytest.fixture
def port() -> int:
    """Give a port for the web server."""
    return free_port()


@pytest.fixture
def services(tmp_path: Path, port: int, postgresql_url: str, rabbitmq_url: str) -> Iterator[Service]:
    """Give a function that starts a service of compose.yaml as a program, its servers being those of the tests."""
    composed = yaml.safe_load((ROOT / "example_project" / "compose.yaml").read_text())["services"]
    urls = {
        "EXAMPLE_DATABASE_URL": postgresql_url.replace("postgresql+psycopg", "postgresql"),
        "EXAMPLE_BROKER_URL": rabbitmq_url,
    }

    @contextmanager
    def started(name: str) -> Iterator[subprocess.Popen[bytes]]:
        service = composed[name]
        assert set(service["environment"]) == set(urls)
        rest = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}
        command = [sys.executable, *service["command"][1:]]
        command = [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in command]
        with (
            (tmp_path / f"{name}.log").open("wb") as log,
            subprocess.Popen(command, cwd=ROOT, env={**rest, **urls}, stdout=log, stderr=log) as program,
        ):
            try:
                yield program
            finally:
                program.terminate()

    with ExitStack() as stack:
        yield lambda name: stack.enter_context(started(name))


@pytest.mark.server("postgresql")
@pytest.mark.server("rabbitmq")
def test_the_commands_of_compose_work_on_postgresql_and_rabbitmq(services: Service, port: int) -> None:
    """Seeded once, web, worker and beat of compose.yaml collect keys and remove the realm on PostgreSQL and RabbitMQ."""
    assert services("seed").wait(120) == 0
    for name in ("web", "worker", "beat"):
        services(name)
    browser = Browser(f"http://127.0.0.1:{port}")
    browser.log_in()

    def totals() -> Any:
        named = [json.loads(browser.get(f"/processes/{name}"))["process"] for name in ("key-gc", "operations")]
        keys, operations = (process.get("aggregateStats", {}) for process in named)
        return keys.get("work.accountsRemoved") == 3 and operations.get("work.removeRealm.itemsRemoved") == 1800

    wait_for(totals, within=90, what="keys collected and a realm removed", every=1)
    assert ">Completed<" in browser.get("/admin/realms/operation/")
