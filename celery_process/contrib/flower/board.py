"""What the pages read from the store: a bounded number of reads, kept for a moment, never in Flower's event loop.

However many people have a process's page open, the store is read once a second for it, or less often where it answers
slowly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from celery_process.app import Processes
from celery_process.config import store_settings
from celery_process.monitor.cells import Table
from celery_process.monitor.columns import HEAD, PROCESSES, RUNS, SLOTS, VERSIONS
from celery_process.monitor.details import read_details
from celery_process.monitor.health import document, examine
from celery_process.monitor.jsonable import plain
from celery_process.monitor.overview import Overview, read_overview
from celery_process.monitor.probe import PATIENCE
from celery_process.monitor.secrets import Reader, mask_for
from celery_process.monitor.verbs import VERBS, Target, offered
from celery_process.process import Process

T = TypeVar("T")
Document = dict[str, Any]

READER = Reader.FLOWER_PAGE
LISTS = (RUNS, SLOTS, VERSIONS)
FRESH = 1.0
"""Seconds for which an answer is kept; at least four times as long as it took."""
_HEALTH = "\0health"
"""The key of the findings; it cannot be the name of a process, which holds no NUL."""


class Board:
    """The processes of an app as JSON. Its coroutines run in one event loop, its reads in threads of its own."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="processes")
        self._cache: dict[str, tuple[float, asyncio.Task[Document]]] = {}
        self._overviews: dict[str, Overview] = {}
        self._store_settings = store_settings(processes.app)

    async def all(self) -> Document:
        """Return the overview of every process. Raises `StoreUnavailable`."""
        return await self._shared("", self._read_all)

    async def one(self, name: str) -> Document:
        """Return one process in full. Raises `ProcessNotFound` and `StoreUnavailable`."""
        process = self.processes[name]
        return await self._shared(name, lambda: self._read_one(process))

    async def health(self) -> Document:
        """Return the findings about the app, its store, its broker and its workers; raises nothing."""
        return await self._shared(_HEALTH, lambda: document(examine(self.processes, patience=PATIENCE)))

    async def act(self, name: str, verb: Callable[[Process], T]) -> T:
        """Act on a process and drop the kept answers, so that later reads see the effect."""
        process = self.processes[name]
        try:
            return await self._in_thread(lambda: verb(process))
        finally:
            self._cache.clear()

    def _in_thread(self, read: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def _shared(self, key: str, read: Callable[[], Document]) -> Document:
        if self._store_settings != (
            now := store_settings(self.processes.app)
        ):  # the settings name another store: kept answers are stale
            self._store_settings = now
            self._cache.clear()
            self._overviews.clear()
        until, task = self._cache.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() > until):
            task = asyncio.ensure_future(self._read(key, read))
            self._cache[key] = (0.0, task)
        return await asyncio.shield(task)

    async def _read(self, key: str, read: Callable[[], Document]) -> Document:
        began = time.monotonic()
        try:
            return await self._in_thread(read)
        finally:
            took, task = time.monotonic() - began, asyncio.current_task()
            if task is not None and self._cache.get(key, (0.0, None))[1] is task:
                self._cache[key] = (began + took + max(FRESH, 4 * took), task)

    def _read_all(self) -> Document:
        overviews = [read_overview(process, earlier=self._overviews.get(process.name)) for process in self.processes]
        self._overviews.update((overview.process, overview) for overview in overviews)
        masked = mask_for(overviews, READER)
        return {"processes": [_summary(one) for one in masked], "columns": _heads(), "shared": self.processes.store.shared}

    def _read_one(self, process: Process) -> Document:
        details = read_details(process, READER, earlier=self._overviews.get(process.name))
        self._overviews[process.name] = details.overview
        overrides = details.overrides
        return {
            **plain(details),
            "overview": _summary(details.overview),
            "overrides": {
                "version": overrides.version,
                "changed_at": plain(overrides.changed_at),
                "by": overrides.by,
                "schedule": overrides.schedule is not None,
            },
            **{table.name: [_drawn(table, row) for row in getattr(details, table.name)] for table in LISTS},
            "columns": _heads(),
            "above": HEAD,
            "verbs": {verb.name: verb.as_json() for verb in VERBS.values()},
        }


def _summary(overview: Overview) -> Document:
    return {**PROCESSES.drawn(overview, READER), "is_open": overview.is_open, "offered": _names(Target.PROCESS, overview)}


def _drawn(table: Table, row: Any) -> Document:
    drawn = table.drawn(row, READER)
    return {**drawn, "offered": _names(Target.RUN, row)} if table is RUNS else drawn


def _names(target: Target, row: Any) -> list[str]:
    return [verb.name for verb in offered(target, row)]


def _heads() -> Document:
    return {table.name: table.heads(READER) for table in (PROCESSES, *LISTS)}
