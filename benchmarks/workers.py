"""The worker that is measured: Celery's own command as a subprocess, with the environment that the app reads."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from uuid import uuid4

import click

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Bench:
    """The app of this process and the worker beside it, on the same broker and store."""

    app: ModuleType
    worker: subprocess.Popen[bytes]
    folder: Path

    def done(self) -> int:
        """Return how many no-ops the worker's children have counted."""
        return int(self.app.counter.total())


def environment(folder: Path, *, broker: str, store: str, results: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return what the app reads, with names of its own on servers that others may use."""
    from benchmarks.app import new_counter  # noqa: PLC0415 - the app reads the environment when it is imported

    name = uuid4().hex[:8]
    new_counter(folder / "counter")
    return {
        "BENCHMARKS_BROKER": broker,
        "BENCHMARKS_STORE": store,
        "BENCHMARKS_RESULTS": results,
        "BENCHMARKS_QUEUE": f"benchmarks-{name}",
        "BENCHMARKS_PREFIX": f"b{name}:",
        "BENCHMARKS_COUNTER": str(folder / "counter"),
        **more,
    }


@contextmanager
def bench(
    *, broker: str, store: str, results: str, concurrency: int = 2, more: Mapping[str, str] = NOTHING
) -> Iterator[Bench]:
    """Give the app on these servers with a prefork worker that is ready."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        settings = environment(folder, broker=broker, store=store, results=results, more=more)
        os.environ.update(settings)
        import benchmarks.app  # noqa: PLC0415 - it reads the environment just set

        module = importlib.reload(benchmarks.app)
        module.processes.migrate()
        worker = start(folder, concurrency=concurrency)
        try:
            yield Bench(module, worker, folder)
        finally:
            end(worker)
            module.processes.store.close()


def start(folder: Path, *, concurrency: int = 2) -> subprocess.Popen[bytes]:
    """Start a worker and wait until it says that it is ready."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.app", "worker", "-l", "WARNING", "-P", "prefork"]
    options = ["-c", str(concurrency), "--without-gossip", "--without-mingle", "-n", f"{uuid4().hex[:8]}@%h"]
    ready = folder / f"ready-{uuid4().hex[:8]}"
    with (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={**os.environ, "BENCHMARKS_READY": str(ready)},
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while not ready.exists():
        if worker.poll() is not None or time.monotonic() > deadline:
            end(worker)
            raise click.ClickException(f"The worker did not start:\n{(folder / 'worker.log').read_text()[-2000:]}")
        time.sleep(0.05)
    return worker


def end(worker: subprocess.Popen[bytes], sign: signal.Signals = signal.SIGTERM) -> None:
    """End a worker; with SIGKILL its children too, which would otherwise outlive it."""
    if worker.poll() is None:
        if sign is signal.SIGKILL:
            os.killpg(worker.pid, sign)
        else:
            worker.send_signal(sign)
    try:
        worker.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
