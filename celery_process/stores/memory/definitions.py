"""What callers write, in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import Any

from celery_process.exceptions import CannotJoin, SettingsChanged
from celery_process.instants import to_us
from celery_process.jsontext import encode
from celery_process.protocol import rules
from celery_process.protocol.model import Overrides, StoredProcess, WorkInfo
from celery_process.protocol.rows import Rows
from celery_process.protocol.states import WorkList
from celery_process.stores.atomic import Answer
from celery_process.stores.base import Definitions, Store
from celery_process.stores.memory.rows import Process, Run, Work
from celery_process.stores.memory.unit import Unit


def refuse_using(using: Any) -> None:
    """Raise `CannotJoin` for a transaction: this store has none."""
    if using is not None:
        raise CannotJoin(
            "memory:// has no transactions to join; leave out using=, and call after your commit (an on-commit hook).",
            using=using,
        )


class MemoryBase(Store):
    """What the four parts share."""

    _lock: RLock
    _processes: dict[str, Process]

    def _of(self, process: str) -> Process:
        raise NotImplementedError

    def atomically(self, operation: str, process: str, step: Callable[[Rows], Answer]) -> Answer:  # noqa: ARG002, D102
        with self._lock:
            return step(Unit(self._of(process), self.now()))

    def _run(self, process: str, run: str) -> Run | None:
        row = self._of(process).runs.get(rules.epoch_of(run))
        return row if row is not None and row.id == run else None


class MemoryDefinitions(MemoryBase, Definitions):
    """See `Definitions`."""

    def register(self, process: str, works: Mapping[str, str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        refuse_using(using)
        with self._lock:
            return tuple(name for name in sorted(works) if self._list(process, name, WorkList.ACTIVE, works[name]))

    def unregister(self, process: str, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:  # noqa: D102
        refuse_using(using)
        with self._lock:
            return tuple(name for name in sorted(set(names)) if self._list(process, name, WorkList.CLEANUP, None))

    def _list(self, process: str, name: str, on: WorkList, params: str | None) -> bool:
        works, now = self._of(process).works, self.now()
        old = works.get(name)
        if old is not None:
            if on is WorkList.CLEANUP and old.on is not WorkList.ACTIVE:
                return False
            if on is WorkList.ACTIVE and old.on is WorkList.ACTIVE and old.params == params:
                return False
            params = old.params if params is None else params
        listed_at = old.listed_at if old is not None and old.on is on else now
        version = max(to_us(now), old.version + 1 if old else 0)
        works[name] = Work(on, listed_at, params or "{}", version)
        return True

    def update_settings(  # noqa: D102
        self,
        process: str,
        *,
        settings: str | None,
        schedule: str | None,
        by: str = "",
        expected_version: int | None = None,
        using: Any = None,
    ) -> int:
        refuse_using(using)
        with self._lock:
            row = self._of(process)
            old = row.overrides
            if settings in (None, old.settings) and schedule in (None, old.schedule):
                if settings is not None or schedule is not None:
                    row.override(replace(old, changed_at=self.now(), by=by))
                return old.version
            if expected_version is not None and expected_version != old.version:
                raise SettingsChanged(
                    f"The settings of {process!r} are at version {old.version}, not {expected_version}; read them again.",
                    process=process,
                    expected=expected_version,
                    found=old.version,
                )
            row.override(
                Overrides(
                    settings=old.settings if settings is None else settings,
                    schedule=old.schedule if schedule is None else schedule,
                    version=old.version + 1,
                    changed_at=self.now(),
                    by=by,
                )
            )
            return row.overrides.version

    def restore(  # noqa: D102
        self, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool = False
    ) -> None:
        with self._lock:
            row = self._of(process)
            if row.open_run is not None:
                raise rules.run_open(process, row.open_run.status(live=False))
            row.epoch = max(row.epoch, stored.epoch)
            row.last_slot = max(filter(None, (row.last_slot, stored.last_slot)), default=None)
            row.aggregate = dict(stored.aggregate_stats)
            row.paused = stored.paused or row.paused
            row.limits = stored.limits or row.limits
            row.override(rules.restored(row.overrides, stored.overrides))
            for work in works:
                old, version = row.works.get(work.name), to_us(work.changed_at)
                if old is not None and old.version >= version:
                    if not force or old.version == version:
                        continue
                    version = old.version + 1
                row.works[work.name] = Work(work.on, work.listed_at, encode(work.params), version)
