"""What a person does to the rows of a scheduler, by the scheduler's own means."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery_process import Process, Processes

TASK = "prices.schedule"
HERE = Path(__file__).parents[2]
APP = "tests.acceptance.apps.bazaar"


@dataclass(frozen=True)
class Seen:
    """A row: its period in seconds, and whether it is enabled."""

    every: float
    enabled: bool


class DjangoAdmin:
    """Edits rows as the Django admin does: by saving models."""

    scheduler = "django_celery_beat.schedulers:DatabaseScheduler"

    def prepare(self, bench: Bench) -> None:
        subprocess.run([sys.executable, "-m", APP], env=bench.environment, cwd=HERE, check=True, timeout=60)

    @property
    def _models(self) -> Any:
        return importlib.import_module("django_celery_beat.models")

    def _row(self) -> Any:
        return self._models.PeriodicTask.objects.select_related("interval").filter(task=TASK).first()

    def row(self) -> Seen | None:
        row = self._row()
        return None if row is None else Seen(row.schedule.run_every.total_seconds(), row.enabled)

    def tasks(self) -> set[str]:
        return set(self._models.PeriodicTask.objects.values_list("task", flat=True))

    def edit(self, every: int) -> None:
        row = self._row()
        row.interval = self._models.IntervalSchedule.objects.get_or_create(every=every, period="seconds")[0]
        row.save()

    def enable(self, enabled: bool) -> None:
        row = self._row()
        row.enabled = enabled
        row.save()


@dataclass
class Bench:
    """An app in a folder of its own, the registry of the test's interpreter, and the programs that run beside it."""

    admin: Any
    folder: Path
    environment: dict[str, str]
    processes: Processes
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def prices(self) -> Process:
        return self.processes["prices"]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", APP, *arguments, "-l", "INFO"]
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(command, env=self.environment, cwd=HERE, stdout=log, stderr=log)
        self.running.append(started)
        return started

    def worker(self) -> None:
        self.start("worker", "worker", "-P", "threads", "-c", "2", "--without-gossip", "--without-mingle")

    def beat(self, name: str = "beat") -> subprocess.Popen[bytes]:
        return self.start(name, "beat", "-S", self.admin.scheduler, "--pidfile=", "-s", str(self.folder / f"{name}-file"))

    def end(self, *programs: subprocess.Popen[bytes]) -> None:
        for program in programs or self.running:
            program.terminate()
        for program in programs or self.running:
            try:
                program.wait(15)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


@contextmanager
def bench(admin: Any, folder: Path, conf: dict[str, Any]) -> Iterator[Bench]:
    """Give an app that the scheduler of `admin` runs, its tables made."""
    given = json.dumps({**conf, "folder": str(folder), "beat_scheduler": admin.scheduler})
    environment = {**os.environ, "CP_TEST_CONF": given, "DJANGO_ALLOW_ASYNC_UNSAFE": "1"}
    code = f"import os; os.environ['CP_TEST_CONF'] = {given!r}; from {APP} import app, processes"
    scope: dict[str, Any] = {}
    exec(code, scope)
    made = Bench(admin, folder, environment, scope["processes"])
    made.processes.migrate()
    admin.prepare(made)
    try:
        yield made
    finally:
        made.end()
        made.processes.store.close()
