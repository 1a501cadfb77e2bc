"""S8: registrations a second in bulk."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from celery_process.stores import open_store

PAGE = 5_000


def _rate(url: str, number: int, *, process: str) -> float:
    store = open_store(url)
    try:
        store.migrate()
        names = [f"item-{item:07}" for item in range(number)]
        begin = time.perf_counter()
        for first in range(0, number, PAGE):
            store.register(process, dict.fromkeys(names[first : first + PAGE], '{"quota":10}'))
        return number / (time.perf_counter() - begin)
    finally:
        store.close()


def bulk(options: Options) -> list[Figure]:
    """S8: register 100,000 items in bulk on Redis and on PostgreSQL."""
    number = options.size(100_000, 1_000)
    rounds = range(1 if options.quick else options.rounds)
    with ExitStack() as stack:
        redis = f"{stack.enter_context(servers.redis())}/1"
        postgresql = stack.enter_context(servers.postgresql())
        on_redis = [_rate(redis, number, process=f"register-{round_}") for round_ in rounds]
        on_postgresql = [_rate(postgresql, number, process=f"register-{round_}") for round_ in rounds]
    return [
        spread("S8", f"{number:,} items on Redis", on_redis, unit="items/s", least=20_000),
        spread("S8", f"{number:,} items on PostgreSQL", on_postgresql, unit="items/s", least=5_000),
    ]
