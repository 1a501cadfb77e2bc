"""The app of the measured workers: a no-op in each way to fan out, and a counter that costs none of them anything.

The end of a `group` with results ignored is written nowhere. Here each child of the pool counts in eight bytes of its
own in a mapped file that the caller reads, so no way pays a round trip, a lock or an event for being measured.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import Any

from billiard.process import current_process
from celery import Celery
from celery.signals import worker_ready

from celery_process import Processes, Work

CHILDREN = 64
WORD = 8

app = Celery("benchmarks", broker=os.environ.get("BENCHMARKS_BROKER", "memory://"), set_as_current=False)
app.conf.update(
    result_backend=os.environ.get("BENCHMARKS_RESULTS"),
    process_backend=os.environ.get("BENCHMARKS_STORE", "memory://"),
    process_key_prefix=os.environ.get("BENCHMARKS_PREFIX", "benchmarks:"),
    process_sweep_interval=float(os.environ.get("BENCHMARKS_SWEEP", "10")),
    task_default_queue=os.environ.get("BENCHMARKS_QUEUE", "benchmarks"),
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
processes = Processes(app)


class Counter:
    """A number that every child of the pool adds to without a lock: each has a word of its own."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), CHILDREN * WORD)).cast("Q")

    def add(self, number: int) -> None:
        """Count in this child's word."""
        self._words[getattr(current_process(), "index", 0) % CHILDREN] += number

    def total(self) -> int:
        """Return what all children counted."""
        return sum(self._words)


def new_counter(path: Path) -> Counter:
    """Make a counter's file and map it."""
    path.write_bytes(bytes(CHILDREN * WORD))
    return Counter(str(path))


counter = Counter(os.environ["BENCHMARKS_COUNTER"]) if "BENCHMARKS_COUNTER" in os.environ else None


@worker_ready.connect
def _tell(**_: Any) -> None:
    if "BENCHMARKS_READY" in os.environ:
        Path(os.environ["BENCHMARKS_READY"]).touch()


def _count(number: int) -> None:
    if counter is not None:
        counter.add(number)


@app.task(name="benchmarks.noop", shared=False)
def noop(number: int) -> None:
    """Do nothing, once."""
    _count(1)


@app.task(name="benchmarks.kept", shared=False, ignore_result=False)
def kept(number: int) -> int:
    """Do nothing, and leave a result for the chord."""
    return number


@app.task(name="benchmarks.body", shared=False)
def body(results: Any) -> None:
    """Say that the chord fired."""
    _count(1)


@processes.process("one", schedule=None)
def one(work: Work) -> None:
    """Keep a claim, an outcome and stats of an item with a message of its own."""
    work.add_stats("items")
    _count(1)


@processes.process("batch", schedule=None, batch_size=100)
def batch(work: Work) -> None:
    """Keep the same of an item whose message has a hundred."""
    work.add_stats("items")
    _count(1)


@processes.process("lost", schedule=None, lease=float(os.environ.get("BENCHMARKS_LEASE", "2")))
def lost(work: Work) -> None:
    """Write down each start; the first one never ends, so that its worker can be killed in it."""
    with Path(os.environ["BENCHMARKS_STARTS"]).open("a") as starts:
        starts.write(f"{os.getppid()} {time.time()}\n")
    if work.attempt == 1:
        time.sleep(3600)
