"""What the pages read from the store: a bounded number of reads, kept for a moment, never in Flower's event loop.

However many people look, the store is asked once a second for each process that is looked at, or less often where its
answers take long.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from celery_process.app import Processes
from celery_process.documents import plain
from celery_process.exceptions import WorkNotFound
from celery_process.frequency import shown
from celery_process.model import Overrides, RunStatus, SettingsVersion
from celery_process.overview import Overview, read_overview
from celery_process.process import Process
from celery_process.values import decode

T = TypeVar("T")
Document = dict[str, Any]

FRESH = 1.0
"""Seconds for which an answer is kept; at least four times as long as it took."""
RUNS, SLOTS, VERSIONS = 30, 30, 20
"""How many runs, slots and versions of the settings a page shows."""
MASK = "********"
_SECRET = re.compile(r"passw|secret|token|credential|(api|private|access)_?key", re.IGNORECASE)


class Board:
    """The processes of an app as JSON. Its coroutines belong to one event loop, its reads to threads of its own."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="processes")
        self._kept: dict[str, tuple[float, asyncio.Task[Document]]] = {}
        self._overviews: dict[str, Overview] = {}

    async def all(self) -> Document:
        """Return the overview of every process. Raises `StoreUnavailable`."""
        return await self._shared("", self._read_all)

    async def one(self, name: str) -> Document:
        """Return one process in full. Raises `ProcessNotFound` and `StoreUnavailable`."""
        process = self.processes[name]
        return await self._shared(name, lambda: self._read_one(process))

    async def act(self, name: str, verb: Callable[[Process], T]) -> T:
        """Do something to a process; what is read after it is read anew."""
        process = self.processes[name]
        try:
            return await self._in_thread(lambda: verb(process))
        finally:
            self._kept.clear()

    def _in_thread(self, read: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def _shared(self, key: str, read: Callable[[], Document]) -> Document:
        until, task = self._kept.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() > until):
            task = asyncio.ensure_future(self._read(key, read))
            self._kept[key] = (0.0, task)
        return await asyncio.shield(task)

    async def _read(self, key: str, read: Callable[[], Document]) -> Document:
        began = time.monotonic()
        try:
            return await self._in_thread(read)
        finally:
            took, task = time.monotonic() - began, asyncio.current_task()
            if task is not None and self._kept.get(key, (0.0, None))[1] is task:
                self._kept[key] = (began + took + max(FRESH, 4 * took), task)

    def _read_all(self) -> Document:
        return {
            "processes": [_summary(self._overview(process)) for process in self.processes],
            "shared": self.processes.store.shared,
        }

    def _overview(self, process: Process, **given: Any) -> Overview:
        seen = read_overview(process, earlier=self._overviews.get(process.name), **given)
        self._overviews[process.name] = seen
        return seen

    def _read_one(self, process: Process) -> Document:
        state, store = process.state(), process.dispatch.store
        run = state.run
        overrides = store.overrides(process.name)
        return {
            "overview": _summary(self._overview(process, state=state)),
            "run": plain(run),
            "failing": _failing(process, run) if run is not None else [],
            "runs": plain(store.runs(process.name, before=None, limit=RUNS)),
            "slots": plain(store.slots(process.name, before=None, limit=SLOTS)),
            "settings": _settings(state.settings, overrides),
            "overrides": {
                "version": overrides.version,
                "changed_at": plain(overrides.changed_at),
                "by": overrides.by,
                "schedule": overrides.schedule is not None,
            },
            "settings_history": [_version(version) for version in process.settings_history(VERSIONS)],
            "aggregate_stats": plain(dict(state.aggregate_stats)),
            "shared": store.shared,
        }


def _summary(overview: Overview) -> Document:
    return {**plain(overview), "schedule": shown(overview.schedule_frequency), "is_open": overview.is_open}


def _failing(process: Process, run: RunStatus) -> list[Document]:
    """Return the items that the run keeps errors of, as many as those are, with their last status."""
    errors: dict[str | None, list[Document]] = {}
    for entry in run.errors:
        errors.setdefault(entry.work, []).append({"text": entry.text, "at": plain(entry.at)})
    found = []
    for name, entries in errors.items():
        status = None
        if name is not None:
            with suppress(WorkNotFound):
                status = process.dispatch.store.work(process.name, name).status
        found.append(
            {
                "work": name,
                "errors": entries,
                "state": status.state.value if status else None,
                "attempt": status.attempt if status else None,
                "total_errors": max(status.total_errors if status else 0, len(entries)),
            }
        )
    return found


def _settings(settings: Mapping[str, Any], overrides: Overrides) -> list[Document]:
    stored = decode(overrides.settings)
    return [
        {"name": name, "value": masked(value, name), "stored": name in stored} for name, value in sorted(settings.items())
    ]


def _version(version: SettingsVersion) -> Document:
    frequency = version.schedule_frequency
    return {
        **plain(version),
        "settings": masked(version.settings),
        "schedule": None if frequency is None else shown(frequency),
    }


def masked(value: Any, name: str = "") -> Any:
    """Return a setting as it may be shown: what is named like a secret is hidden, at any depth."""
    if _SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(item, str(key)) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value
