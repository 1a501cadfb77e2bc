"""A real Flower, a real worker and a real command line over one app, each an operating-system process of the test."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from celery_process import Processes
from tests.servers import free_port

from .waiting import end, wait_for

APP = Path(__file__).parent / "apps" / "watched.py"


@dataclass(frozen=True)
class Answer:
    """What Flower answered."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Flower:
    """A Flower that answers at `url`; `user` is "name:password"."""

    url: str
    user: str = ""

    def ask(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """GET a path, or POST a form to it."""
        body = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.url + path, data=body)
        if self.user:
            request.add_header("Authorization", f"Basic {base64.b64encode(self.user.encode()).decode()}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=20) as found:
                return Answer(found.status, found.read().decode(), dict(found.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers))

    def tasks(self, **query: str) -> list[dict[str, Any]]:
        """Return the tasks that Flower knows."""
        answer = self.ask(f"/api/tasks?{urllib.parse.urlencode({'limit': '10000', **query})}")
        return list(answer.json.values())


class Stage:
    """The app's folder, and what runs in it."""

    app = "watched"

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.env = {**os.environ, "CP_TEST_FOLDER": str(folder), "CP_TEST_BROKER": broker}
        self.env.pop("FLOWER_UNAUTHENTICATED_API", None)
        self.move_in()

    def move_in(self) -> None:
        """Put the app into the folder."""
        shutil.copy(APP, self.folder / "watched.py")

    def processes(self) -> Processes:
        """Return the registry of the same app in this interpreter."""
        spec = spec_from_file_location("watched_here", self.folder / "watched.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        os.environ.update({key: self.env[key] for key in ("CP_TEST_FOLDER", "CP_TEST_BROKER")})
        spec.loader.exec_module(module)
        registry: Processes = module.processes
        registry.migrate()
        return registry

    def say(self, *arguments: str, status: int = 0) -> Any:
        """Run `celery -A watched process …` and return what it printed, read as JSON."""
        command = [sys.executable, "-m", "celery", "-A", "watched", "process", *arguments]
        said = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60)
        assert said.returncode == status, said.stderr
        return json.loads(said.stdout)

    @contextmanager
    def running(self, log: str, *arguments: str, **env: str) -> Iterator[Path]:
        """Run `celery -A …` inside the block; give its log."""
        with self.started(log, "-m", "celery", "-A", self.app, *arguments, **env) as file:
            yield file

    @contextmanager
    def started(self, log: str, *arguments: str, **env: str) -> Iterator[Path]:
        """Run Python with these arguments inside the block; give its log."""
        file = self.folder / f"{log}.log"
        with file.open("wb") as out:
            command = [sys.executable, *arguments]
            started = subprocess.Popen(command, cwd=self.folder, env={**self.env, **env}, stdout=out, stderr=out)
        try:
            yield file
        finally:
            end(started)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker of two threads inside the block."""
        options = ("-n", "w@%h", "-c", "2", "--pool=threads", "--without-gossip", "--without-mingle", "-l", "INFO")
        with self.running("worker", "worker", *options) as log:
            wait_for(lambda: " ready." in log.read_text(), what=f"a worker; {log}")
            yield

    @contextmanager
    def flower(self, *options: str, user: str = "", prefix: str = "", **env: str) -> Iterator[Flower]:
        """Run a plain `celery flower` inside the block, and wait until it answers."""
        port = free_port()
        given = [f"--port={port}", "--address=127.0.0.1", "--inspect_timeout=500", *options]
        given += [f"--basic_auth={user}"] if user else []
        given += [f"--url_prefix={prefix}"] if prefix else []
        flower = Flower(f"http://127.0.0.1:{port}{f'/{prefix}' if prefix else ''}", user)
        with self.running(f"flower-{port}", "flower", *given, **env) as log:

            def answers() -> bool:
                try:
                    return flower.ask("/healthcheck").status == 200
                except OSError:
                    return False

            wait_for(answers, what=f"Flower; {log}")
            yield flower
