"""The rows of one process in memory, as the steps of the protocol read and write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from celery_process.instants import to_us
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause, RunStatus, SlotEntry
from celery_process.protocol.rows import Head, Run
from celery_process.protocol.states import WorkList
from celery_process.stores.memory import rows


class Unit:
    """See `Rows`. The lock of the store, which its caller holds, makes it atomic."""

    def __init__(self, row: rows.Process, now: datetime) -> None:
        self.row, self.process, self.now = row, row.name, now

    def head(self) -> Head:
        row = self.row
        return Head(row.epoch, row.last_slot, row.rule, row.paused is not None, row.purge_due)

    def run_of_epoch(self, epoch: int) -> Run | None:
        return _newest(run for run in self.row.runs.values() if run.epoch == epoch)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return _newest(run for run in self.row.runs.values() if run.uuid == uuid)

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        return _newest(run for run in self.row.runs.values() if run.slot == slot)

    def open_run(self) -> str | None:
        return self.row.open_run.id if self.row.open_run else None

    def status(self, run: Run) -> RunStatus:
        return self.row.runs[run.epoch].status()

    def settings_version(self) -> int:
        return self.row.overrides.version

    def changed_since(self, at: datetime) -> bool:
        changed_at = self.row.overrides.changed_at
        if changed_at is not None and changed_at >= at:
            return True
        return any(work.version >= to_us(at) for work in self.row.works.values())

    def active_works(self) -> int:
        return sum(work.on is WorkList.ACTIVE for work in self.row.works.values())

    def entry(self, slot: datetime) -> SlotEntry | None:
        return self.row.ledger.get(slot)

    def last_entry_before(self, slot: datetime) -> datetime | None:
        return max((at for at in self.row.ledger if at < slot), default=None)

    def entries(self) -> int:
        return len(self.row.ledger)

    def begin_run(self, run: Run, last_slot: datetime) -> None:
        self.row.epoch, self.row.last_slot = run.epoch, last_slot
        self.row.runs[run.epoch] = rows.Run(
            process=self.process,
            epoch=run.epoch,
            uuid=run.uuid,
            slot=run.slot,
            generation=run.generation,
            defaults=run.defaults,
            work_limit=run.work_limit,
            settings_version=run.settings_version,
            started_at=run.started_at,
            listed_before=run.listed_before,
            error_limit=run.error_limit,
            redrives=run.redrives,
        )

    def enter(self, entry: SlotEntry) -> None:
        self.row.ledger[entry.slot] = entry

    def follow(self, rule: str) -> None:
        self.row.rule = rule

    def make_purge_due(self) -> None:
        self.row.purge_due = True

    def set_pause(self, pause: Pause | None) -> None:
        self.row.paused = pause

    def limits(self) -> Limits | None:
        return self.row.limits

    def set_limits(self, limits: Limits | None) -> None:
        self.row.limits = limits

    def await_nobody(self) -> None:
        self.row.pace = self.row.pace and replace(self.row.pace, awaited="")


def _newest(runs: Iterable[rows.Run]) -> Run | None:
    found = max(runs, key=attrgetter("generation"), default=None)
    if found is None:
        return None
    return Run(
        epoch=found.epoch,
        uuid=found.uuid,
        slot=found.slot,
        generation=found.generation,
        started_at=found.started_at,
        listed_before=found.listed_before,
        settings_version=found.settings_version,
        defaults=found.defaults,
        work_limit=found.work_limit,
        error_limit=found.error_limit,
        redrives=found.redrives,
        state=found.state,
        items_purged=found.items_purged,
    )
