"""The fourth part of the store contract: what people and schedules read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial

from celery_process.protocol import read
from celery_process.protocol.model import (
    NewestSlot,
    Overrides,
    RunStatus,
    SlotEntry,
    StoredProcess,
    WorkInfo,
)
from celery_process.protocol.states import WorkList
from celery_process.stores.atomic import Atomic


class Reads(Atomic):
    """What people and schedules read. None grows with the number of items, except `work_counts`."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the store's clock."""

    def process(self, process: str, *, live: bool = True) -> StoredProcess:
        """Return what is stored of a process; an empty state, if nothing is.

        With `live=False` the counts and stats of an open run leave out its open pages, and the window is not read.
        """
        return self._do("process", process, partial(read.process, live=live))

    def overrides(self, process: str) -> Overrides:
        """Return the stored overrides alone."""
        return self._do("overrides", process, read.overrides)

    def settings_history(self, process: str, *, limit: int) -> tuple[Overrides, ...]:
        """Return the versions of the overrides, newest first, each with who made it and when.

        A version is kept until one is stored that is `MAX_VERSIONS` higher.
        """
        return self._do("settings_history", process, partial(read.settings_history, limit=limit))

    @abstractmethod
    def schedules(self) -> Mapping[str, str]:
        """Return the stored schedule of every process that has one: one read for a beat of any number of processes."""

    @abstractmethod
    def running(self) -> tuple[str, ...]:
        """Return the names of the processes that have an open run, defined by this app or by another, by code point."""

    def run(self, process: str, run: str) -> RunStatus:
        """Return one run, or raise `RunNotFound`."""
        return self._do("run", process, read.run, run)

    def runs(self, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:
        """Return runs with an epoch below `before` (None: all), newest first."""
        return self._do("runs", process, partial(read.runs, before=before, limit=limit))

    def slots(self, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:
        """Return the ledger's entries for slots before `before` (None: all), newest first."""
        return self._do("slots", process, partial(read.slots, before=before, limit=limit))

    @abstractmethod
    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:
        """Return the newest entry of each ledger that has one: a round trip for a few hundred processes."""

    def works(self, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:
        """Return items of a list whose name comes after `after`, in name order (by code point)."""
        return self._do("works", process, partial(read.works, on=on, after=after, limit=limit))

    def work(self, process: str, name: str) -> WorkInfo:
        """Return one item, or raise `WorkNotFound`."""
        return self._do("work", process, read.work, name)

    def work_counts(self, process: str) -> Mapping[WorkList, int]:
        """Return how many items each list has; not constant time on every store."""
        return self._do("work_counts", process, read.work_counts)
