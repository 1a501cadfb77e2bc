"""An app in a folder of its own, with one of the schedulers that keep rows: its worker, its beats, and who edits the rows."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery_process import Process, Processes

from .waiting import end

HERE = Path(__file__).parents[2]
APP = "tests.acceptance.apps.bazaar"


@dataclass
class Market:
    """The registry in the test's interpreter, and the programs that run beside it."""

    scheduler: str
    folder: Path
    environment: dict[str, str]
    processes: Processes
    desk: Any = None
    running: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def prices(self) -> Process:
        return self.processes["prices"]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str, *arguments: str) -> subprocess.Popen[Any]:
        command = [sys.executable, "-m", "celery", "-A", APP, *arguments, "-l", "INFO"]
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(command, env=self.environment, cwd=HERE, stdout=log, stderr=log)
        self.running.append(started)
        return started

    def worker(self) -> None:
        self.start("worker", "worker", "-P", "threads", "-c", "2", "--without-gossip", "--without-mingle")

    def beat(self, name: str = "beat") -> subprocess.Popen[Any]:
        return self.start(name, "beat", "-S", self.scheduler, "--pidfile=")

    def open_desk(self, kind: str) -> None:
        self.desk = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.apps.desk", kind],
            env=self.environment,
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(self.desk)
        assert self.desk.stdout.readline() == "open\n"

    def ask(self, *line: Any) -> Any:
        """Ask the desk."""
        self.desk.stdin.write(json.dumps(line) + "\n")
        self.desk.stdin.flush()
        return json.loads(self.desk.stdout.readline())

    def end(self, *programs: subprocess.Popen[Any]) -> None:
        end(*(programs or self.running))


@contextmanager
def market(kind: str, scheduler: str, folder: Path, conf: dict[str, Any], monkeypatch: Any) -> Iterator[Market]:
    """Give an app with a scheduler, its tables made."""
    given = json.dumps({**conf, "folder": str(folder)})
    monkeypatch.setenv("CP_TEST_CONF", given)
    environment = {**os.environ, **({"CP_TEST_DJANGO": "1"} if kind == "django" else {})}
    made = Market(scheduler, folder, environment, runpy.run_module(APP)["processes"])
    made.processes.migrate()
    try:
        made.open_desk(kind)
        yield made
    finally:
        made.end()
        made.processes.store.close()
