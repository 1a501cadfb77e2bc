"""What people and schedules read, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from celery_process.exceptions import RunNotFound, WorkNotFound
from celery_process.protocol import rules
from celery_process.protocol.model import NewestSlot, Overrides, RunStatus, SlotEntry, StoredProcess, WorkInfo
from celery_process.protocol.states import By, WorkList
from celery_process.stores.base import Reads
from celery_process.stores.memory.definitions import MemoryBase
from celery_process.stores.memory.rows import Process


class MemoryReads(MemoryBase, Reads):
    """See `Reads`."""

    def process(self, process: str, *, live: bool = True) -> StoredProcess:  # noqa: D102
        with self._lock:
            row = self._of(process)
            last = row.open_run or row.runs.get(row.epoch)
            return StoredProcess(
                name=process,
                last_slot=row.last_slot,
                paused=row.paused,
                overrides=row.overrides,
                run=last.status(live=live) if last else None,
                aggregate_stats=dict(row.aggregate),
                epoch=row.epoch,
                limits=row.limits,
                swept_at=row.swept_at,
            )

    def overrides(self, process: str) -> Overrides:  # noqa: D102
        with self._lock:
            return self._of(process).overrides

    def settings_history(self, process: str, *, limit: int) -> tuple[Overrides, ...]:  # noqa: D102
        with self._lock:
            return self._of(process).history[:limit]

    def schedules(self) -> Mapping[str, str]:  # noqa: D102
        with self._lock:
            return {name: text for name, row in self._processes.items() if (text := row.overrides.schedule) is not None}

    def running(self) -> tuple[str, ...]:  # noqa: D102
        with self._lock:
            return tuple(sorted(name for name, row in self._processes.items() if row.open_run is not None))

    def run(self, process: str, run: str) -> RunStatus:  # noqa: D102
        with self._lock:
            row = self._of(process).runs.get(rules.epoch_of(run))
            if row is None or row.id != run:
                raise RunNotFound(
                    f"{process!r} keeps no run {run!r:.80}; `runs()` lists those that it keeps.", process=process, run=run
                )
            return row.status()

    def runs(self, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:  # noqa: D102
        with self._lock:
            found = [run for epoch, run in self._of(process).runs.items() if before is None or epoch < before]
            return tuple(run.status() for run in sorted(found, key=lambda run: -run.epoch)[:limit])

    def slots(self, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:  # noqa: D102
        with self._lock:
            found = [entry for entry in self._of(process).ledger.values() if before is None or entry.slot < before]
            return tuple(sorted(found, key=lambda entry: entry.slot, reverse=True)[:limit])

    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:  # noqa: D102
        with self._lock:
            rows = {name: self._of(name) for name in processes}
            return {name: _newest(row) for name, row in rows.items() if row.ledger}

    def works(self, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:  # noqa: D102
        with self._lock:
            row = self._of(process)
            names = sorted(name for name, work in row.works.items() if work.on is on and name > after)
            return tuple(row.info(name) for name in names[:limit])

    def work(self, process: str, name: str) -> WorkInfo:  # noqa: D102
        with self._lock:
            row = self._of(process)
            if name not in row.works:
                raise WorkNotFound(
                    f"{process!r} has no work item {name!r:.80}; register it, or list those it has with `works()`.",
                    process=process,
                    work=name,
                )
            return row.info(name)

    def work_counts(self, process: str) -> Mapping[WorkList, int]:  # noqa: D102
        with self._lock:
            counted = Counter(work.on for work in self._of(process).works.values())
            return {on: counted[on] for on in WorkList}


def _newest(row: Process) -> NewestSlot:
    entry = row.ledger[max(row.ledger)]
    scheduled = any(one.by in set(By) for one in row.ledger.values())
    return NewestSlot(entry.slot, entry.end, entry.by, scheduled, row.paused is not None)
