"""S7: one sweep over a thousand processes with nothing to do."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from benchmarks.trips import round_trips
from celery_process.stores import open_store

PROCESSES = 1_000


def idle_sweep(options: Options) -> list[Figure]:
    """S7: time and round trips of a sweep over 1,000 processes."""
    names = [f"process-{number:04}" for number in range(PROCESSES)]
    times, trips = [], []
    with servers.redis() as redis:
        store = open_store(options.store or f"{redis}/1")
        for name in names:
            store.register(name, {"item": "{}"})
        store.begin_sweep(names, interval=timedelta(0), grace=timedelta(seconds=10))
        for _ in range(3 if options.quick else 15):
            with round_trips() as counted:
                begin = time.perf_counter()
                store.begin_sweep(names, interval=timedelta(0), grace=timedelta(seconds=10))
                times.append((time.perf_counter() - begin) * 1_000)
            trips.append(counted.number / (PROCESSES / 100))
        store.close()
    return [
        spread("S7", "sweep of 1,000 idle processes", times, unit="ms", most=50),
        spread("S7", "round trips a hundred processes", trips, most=1),
    ]
