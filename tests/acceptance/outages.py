"""An app with a process and a plain task, in a folder of its own; its worker and beat as operating-system processes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import Celery

from celery_process import Processes
from celery_process.protocol.model import SlotEntry
from celery_process.protocol.states import By, SlotEnd

from .waiting import end, wait_for

MODULE = """
import time
from pathlib import Path
from celery import Celery
from celery_process import Processes

app = Celery("outages", broker={broker!r})
app.conf.update({conf!r})
processes = Processes(app, backend={backend!r})

@app.task(name="plain", ignore_result=True)
def plain():
    with Path({folder!r}, "plain").open("a") as file:
        file.write("x")

@processes.process("ticks", **{options!r})
def ticks(work):
    if seconds := work.params.get("seconds"):
        time.sleep(seconds)
        work.add_stats("done")
        with Path({folder!r}, "worked").open("a") as file:
            file.write(work.name + "\\n")
"""


class Outages:
    """The app, once it is written, and what runs of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue = folder, f"q{uuid4().hex[:8]}"
        self.name = f"outages_{self.queue}"
        self.running: list[subprocess.Popen[Any]] = []

    def write(
        self, broker: str, backend: str, *, plain_every: float = 0, more: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Write the app's module, with `more` settings and a process of these options, and load it here."""
        conf = {
            "task_default_queue": self.queue,
            "process_sweep_interval": 2,
            # The servers are those of all tests, and what one left open is not for the next.
            "process_key_prefix": f"{self.name}:",
            "process_table_prefix": f"{self.name}_",
            "broker_connection_retry_on_startup": True,
            "result_expires": None,
            "beat_schedule": {"plain": {"task": "plain", "schedule": plain_every}} if plain_every else {},
            **(more or {}),
        }
        file = self.folder / f"{self.name}.py"
        file.write_text(MODULE.format(broker=broker, backend=backend, conf=conf, options=options, folder=str(self.folder)))
        spec = spec_from_file_location(self.name, file)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        self.app: Celery = module.app
        self.processes: Processes = module.processes
        self.processes.migrate()

    def plain(self) -> int:
        """Return how often the plain task ran."""
        file = self.folder / "plain"
        return file.stat().st_size if file.exists() else 0

    def worked(self) -> Counter[str]:
        """Return how often each item that takes its time was worked to its end."""
        file = self.folder / "worked"
        return Counter(file.read_text().splitlines() if file.exists() else ())

    def start(self, log: str, *arguments: str) -> Path:
        """Run `celery -A …`; return its log."""
        command = [sys.executable, "-m", "celery", "-A", self.name, *arguments, "-l", "INFO"]
        file = self.folder / f"{log}.log"
        with file.open("ab") as out:
            env = {**os.environ, "PYTHONPATH": str(self.folder)}
            self.running.append(subprocess.Popen(command, cwd=self.folder, env=env, stdout=out, stderr=out))
        return file

    def worker(self, *options: str, name: str = "w") -> Path:
        """Run a worker of two children; return its log once it is ready."""
        log = self.start(name, "worker", "-c", "2", "--without-gossip", "--without-mingle", "-n", f"{name}@%h", *options)
        wait_for(lambda: " ready." in log.read_text(), what=f"a worker; {log}")
        return log

    def beat(self) -> Path:
        """Run beat; return its log."""
        log = self.start("beat", "beat", "--pidfile=", "-s", str(self.folder / "schedule"))
        wait_for(lambda: "beat: Starting" in log.read_text(), what=f"beat; {log}")
        return log

    def slot_in(self, seconds: float) -> datetime:
        """Move the schedule of the process so that a slot begins after so many seconds, and no other for a minute.

        Return that slot. The one before it is in the ledger, brought by beat: what a schedule never brought is not late.
        """
        process = self.processes["ticks"]
        store = process.dispatch.store
        at = math.ceil(store.now().timestamp() + seconds)
        while not (periods := [period for period in range(60, 300) if at % period == 0]):
            at += 1
        process.update_settings(None, schedule=periods[0])
        slot = datetime.fromtimestamp(at, UTC)
        before = process.dispatch.slot_of(slot - timedelta(seconds=1), process.current())
        store.skip_slot("ticks", slot=before, end=SlotEnd.OVERLAPPED, by=By.BEAT)
        return slot

    def ended(self, slot: datetime, *, within: float = 90) -> SlotEntry:
        """Return how a slot ended, once it has."""
        return wait_for(
            lambda: next((entry for entry in self.processes["ticks"].slots() if entry.slot == slot), None),
            within=within,
            what=f"the slot {slot}",
        )

    def end(self) -> None:
        """End what runs."""
        end(*self.running)
        if hasattr(self, "processes"):
            self.processes.store.close()
            self.app.close()
