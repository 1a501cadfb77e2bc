"""S4 to S6: what grows with the number of items of a run, and what must not."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from celery import Celery
from redis import Redis

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from benchmarks.throughput import register, run
from benchmarks.trips import round_trips
from benchmarks.workers import Bench, bench
from celery_process import Processes, Progress

PERIOD = 0.1
"""Seconds between two looks at a run; a short one is looked at more often, so that it is seen at all."""


@dataclass
class Samples:
    """What was seen of a run while it was open."""

    memory: list[int] = field(default_factory=list)
    store: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    state: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)


def _resident(parent: int) -> int:
    """Return the bytes that the largest of a worker's processes holds."""
    tasks = Path(f"/proc/{parent}/task/{parent}/children")
    pids = [parent, *(int(pid) for pid in tasks.read_text().split())]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return max(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


class Sampler(threading.Thread):
    """Looks at a run of `number` items from beside it, again and again."""

    def __init__(self, at: Bench, process: str, *, store: str, broker: str, number: int) -> None:
        super().__init__(daemon=True)
        self._period = min(PERIOD, number / 200_000)
        self.samples, self._at, self._process = Samples(), at, process
        self._store, self._broker = Redis.from_url(store), Redis.from_url(broker)
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        self._sample()
        while not self._over.wait(self._period):
            self._sample()

    def stop(self) -> Samples:
        """End the samples and return them."""
        self._over.set()
        self.join()
        return self.samples

    def _sample(self) -> None:
        found = self._at.app.processes[self._process]
        begin = time.perf_counter()
        found.state()
        between = time.perf_counter()
        next(iter(found.runs()), None)
        self.samples.state.append((between - begin) * 1_000)
        self.samples.runs.append((time.perf_counter() - between) * 1_000)
        self.samples.memory.append(_resident(self._at.worker.pid))
        self.samples.queue.append(int(self._broker.llen(self._at.app.app.conf.task_default_queue)))
        self.samples.store.append(run_bytes(self._store, self._at.app.app.conf.process_key_prefix, self._process))


def run_bytes(client: Any, prefix: str, process: str) -> int:
    """Return the bytes of the keys of a process's runs; those of a run, its items and pages."""
    pattern = f"{prefix}{{{quote(process, safe='')}}}:r:*"
    return sum(int(client.memory_usage(key, samples=50) or 0) for key in client.scan_iter(pattern, count=1_000))


def grown(options: Options, number: int) -> tuple[float, Samples]:
    """Return the rate of a run of `number` items in batches, and what was seen of it."""
    with servers.redis() as redis:
        broker, store = f"{redis}/0", f"{redis}/1"
        with bench(broker=broker, store=store, results=f"{redis}/2") as at:
            register(at, "batch", 100)
            run(at, "batch", 100)  # connections and imports of the children
            time.sleep(1.1)
            register(at, "batch", number)
            sampler = Sampler(at, "batch", store=store, broker=broker, number=number)
            sampler.start()
            rate = run(at, "batch", number)
            return rate, sampler.stop()


def scale(options: Options) -> list[Figure]:
    """S4 and S5: a run of 10,000 beside one of 1,000,000 items, and reading its state meanwhile."""
    small, large = (200, 1_000) if options.quick else (10_000, options.items or 1_000_000)
    slow, _ = grown(options, small)
    rate, seen = grown(options, large)
    window = 1_000
    return [
        spread("S4", f"{large:,} items", [rate], unit="items/s"),
        spread("S4", f"items/s of {large:,} : {small:,}", [rate / slow], unit="×", least=0.9),
        spread("S4", "memory grown", [(max(seen.memory) - seen.memory[0]) / 2**20], unit="MiB", most=50),
        spread("S4", "run's bytes an item of the window", [max(seen.store) / window], unit="B", most=300),
        spread("S4", "longest queue in items", [max(seen.queue) * 100], most=window),
        spread("S5", "state()", seen.state, unit="ms", most=5),
        spread("S5", "a page of runs()", seen.runs, unit="ms", most=5),
    ]


def _progress(url: str, number: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds and the bytes sent of writing `progress` in a run over `number` items."""
    app = Celery("progress", broker="memory://", set_as_current=False)
    app.conf.update(task_always_eager=True, process_backend=url, process_key_prefix=f"progress-{number}:")
    processes = Processes(app)
    times: list[float] = []
    sizes: list[float] = []

    @processes.process("progressing", schedule=None, progress_frequency=0.001)
    def progressing(work: Any) -> None:
        for _ in range(200 if work.name == "item-0000000" else 0):
            time.sleep(0.002)
            with round_trips() as trips:
                begin = time.perf_counter()
                said = work.progress()
                took = time.perf_counter() - begin
            if said is Progress.UPDATED:
                times.append(took * 1_000)
                sizes.append(trips.size)
        if work.name == "item-0000000":
            progressing.cancel_run()

    names = [f"item-{item:07}" for item in range(number)]
    for first in range(0, number, 5_000):
        progressing.register_works(dict.fromkeys(names[first : first + 5_000]))
    progressing.run_now()
    processes.store.close()
    return times, sizes


def progress(options: Options) -> list[Figure]:
    """S6: the time of one writing `progress()` in a run of 1,000 and in one of 100,000 items."""
    small, large = (50, 500) if options.quick else (1_000, options.items or 100_000)
    with servers.redis() as redis:
        (few, fewer), (many, more) = _progress(f"{redis}/1", small), _progress(f"{redis}/1", large)
    figures = [spread("S6", f"{small:,} items", few, unit="ms"), spread("S6", f"{large:,} items", many, unit="ms")]
    ratio = figures[1].value / figures[0].value
    size = median(more) / median(fewer)
    return [
        *figures,
        spread("S6", f"{large:,} : {small:,}", [ratio], unit="×", most=1.1),
        spread("S6", "bytes sent", [size], unit="×", most=1.1),
    ]
