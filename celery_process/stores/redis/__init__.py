"""The Redis store: the contract over Lua scripts, for Redis and Valkey, alone, behind sentinels or as a cluster.

All keys of a process are in one hash slot, and each script is atomic over them. A step of the protocol reads its rows by one
script and writes them by another, if they are unchanged (`rows`). What is here are the operations over many processes, and
those that are hot: scripts decide about them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery_process.jsontext import encode
from celery_process.protocol import read
from celery_process.protocol.model import (
    ItemClaim,
    NewestSlot,
    Page,
    RunStatus,
    StoredProcess,
    SweepTarget,
    Swept,
    WorkInfo,
)
from celery_process.protocol.reports import ItemReport, Reported
from celery_process.protocol.states import StopReason
from celery_process.protocol.unit import Unit
from celery_process.stores.atomic import Answer
from celery_process.stores.base import Store
from celery_process.stores.redis import definitions, items, pages, reads, reporting, server, stopping, sweeps
from celery_process.stores.redis.address import parse
from celery_process.stores.redis.client import Client, Clock
from celery_process.stores.redis.keys import RunKey, check_prefix
from celery_process.stores.redis.unit import atomically, refuse_using
from celery_process.stores.warning import StoreWarning


class RedisStore(Store):
    """`redis://host:port/db`, `rediss://`, `unix://`, `sentinel://`, `redis+cluster://`; keys begin with `key_prefix`.

    `clock` returns the store's time; without it the server's is used. `volatile_store=true` in the URL's query declares that
    losing all data at a restart is intended.
    """

    shared = True

    def __init__(self, url: str, *, key_prefix: str = "cp:", clock: Clock | None = None, **_: Any) -> None:
        address = parse(url)
        self.url = address.shown
        self._client = Client(address, prefix=check_prefix(key_prefix), clock=clock)

    def register(self, process: str, works: Mapping[str, str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        refuse_using(using, self.url)
        return definitions.register(self._client, process, works)

    def unregister(self, process: str, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        refuse_using(using, self.url)
        return definitions.unregister(self._client, process, names)

    def restore(  # noqa: D102
        self, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool = False
    ) -> None:
        items = {work.name: work for work in works}
        for chunk in list(definitions.by_size({name: encode(work.params) for name, work in items.items()})) or [[]]:
            super().restore(process, stored, [items[name] for name in chunk], force=force)

    def atomically(  # noqa: D102
        self, operation: str, process: str, step: Callable[[Unit], Answer], *, using: Any = None
    ) -> Answer:
        refuse_using(using, self.url)
        return atomically(self._client, operation, process, step)

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:  # noqa: D102
        return stopping.stop_run(self._client, RunKey.of(process, run), reason)

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        return sweeps.begin_sweep(self._client, processes, interval=interval, grace=grace)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        return sweeps.take_turns(self._client, processes, interval=interval)

    def open_page(  # noqa: D102
        self, process: str, run: str, *, token: str, size: int, window: int, rate: float | None = None
    ) -> Page:
        key = RunKey.of(process, run)
        return pages.open_page(self._client, key, token=token, size=size, window=window, rate=rate)

    def mark_published(self, process: str, run: str, names: Collection[str]) -> None:  # noqa: D102
        items.mark_published(self._client, RunKey.of(process, run), names)

    def claim(  # noqa: D102
        self, process: str, run: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
    ) -> tuple[ItemClaim, ...]:
        key = RunKey.of(process, run)
        return items.claim(self._client, key, names, token=token, lease=lease, max_attempts=max_attempts)

    def report(  # noqa: D102
        self, process: str, run: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta
    ) -> Reported:
        return reporting.report(self._client, RunKey.of(process, run), reports, token=token, lease=lease)

    def release(self, process: str, run: str, names: Sequence[str], *, token: str) -> Reported:  # noqa: D102
        return items.release(self._client, RunKey.of(process, run), names, token=token)

    def sweep_run(  # noqa: D102
        self,
        process: str,
        run: str,
        *,
        lease: timedelta,
        redispatch_after: timedelta,
        grace: timedelta,
        max_attempts: int,
        limit: int,
    ) -> Swept:
        return sweeps.sweep_run(
            self._client,
            RunKey.of(process, run),
            lease=lease,
            redispatch_after=redispatch_after,
            grace=grace,
            max_attempts=max_attempts,
            limit=limit,
        )

    def now(self) -> datetime:  # noqa: D102
        return reads.now(self._client)

    def process(self, process: str, *, live: bool = True) -> StoredProcess:  # noqa: D102
        step = partial(read.process, live=live)
        return atomically(self._client, "process", process, step, live=live)

    def schedules(self) -> Mapping[str, str]:  # noqa: D102
        return reads.schedules(self._client)

    def running(self) -> tuple[str, ...]:  # noqa: D102
        return reads.running(self._client)

    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:  # noqa: D102
        return reads.newest_slots(self._client, processes)

    def check(self) -> tuple[StoreWarning, ...]:
        """Make a round trip, refuse a Redis before 6.2, and warn of settings that may lose data."""
        return server.check(self._client)

    def deployment(self, own: str = "", *, adopt: bool = False) -> str:  # noqa: D102
        return server.deployment(self._client, own, adopt=adopt)

    def migrate(self) -> tuple[str, ...]:
        """Do nothing: keys need no tables."""
        return ()

    def close(self) -> None:  # noqa: D102
        self._client.close()
