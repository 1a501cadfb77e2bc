"""The rows of one process in SQL, as the steps of the protocol read and write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.instants import to_us
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause, RunStatus, SlotEntry
from celery_process.protocol.rows import Head, Run
from celery_process.protocol.states import WorkList
from celery_process.stores.sql import ledger
from celery_process.stores.sql.status import status_of
from celery_process.stores.sql.tables import OPEN_RUNS, one_of
from celery_process.stores.sql.transaction import Transaction


def locked_process(tx: Transaction, process: str) -> Row[Any]:
    """Lock and return the row of a process, which is there afterwards."""
    table = tx.t.process
    query = sa.select(table).where(table.c.name == process).with_for_update()
    row = tx.first(query)
    if row is None:
        tx.add_missing(table, {"name": process})
        row = tx.conn.execute(query).one()
    return row


class Unit:
    """See `Rows`. A transaction makes it atomic, and the lock of the process's row, which `head` takes, the only one."""

    def __init__(self, tx: Transaction, process: str) -> None:
        self.tx, self.process = tx, process
        self._row: Row[Any]

    @property
    def now(self) -> datetime:
        return self.tx.now

    def head(self) -> Head:
        row = self._row = locked_process(self.tx, self.process)
        return Head(row.epoch, row.last_slot, row.schedule_rule, row.paused_at is not None, row.purge_due)

    def run_of_epoch(self, epoch: int) -> Run | None:
        return self._run(self.tx.t.run.c.epoch == epoch)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return self._run(self.tx.t.run.c.run_uuid == uuid)

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        return self._run(self.tx.t.run.c.slot == slot)

    def _run(self, which: sa.ColumnElement[bool]) -> Run | None:
        run = self.tx.t.run
        found = sa.select(*(run.c[name] for name in _COLUMNS.values())).where(run.c.process == self.process, which)
        row = self.tx.first(found.order_by(run.c.generation.desc()).limit(1))
        return None if row is None else Run(**{name: getattr(row, column) for name, column in _COLUMNS.items()})

    def open_run(self) -> str | None:
        run = self._run(one_of(self.tx.t.run.c.state, OPEN_RUNS))
        return None if run is None else run.id

    def status(self, run: Run) -> RunStatus:
        table = self.tx.t.run
        row = self.tx.conn.execute(sa.select(table).where(table.c.process == self.process, table.c.epoch == run.epoch))
        return status_of(self.tx, row.one())

    def settings_version(self) -> int:
        settings = self.tx.t.settings.c
        return self.tx.value(sa.select(settings.version).where(settings.process == self.process)) or 0

    def changed_since(self, at: datetime) -> bool:
        settings, work = self.tx.t.settings.c, self.tx.t.work.c
        changed = sa.exists().where(settings.process == self.process, settings.changed_at >= at)
        listed = sa.exists().where(work.process == self.process, work.params_version >= to_us(at))
        return bool(self.tx.value(sa.select(sa.or_(changed, listed))))

    def active_works(self) -> int:
        work = self.tx.t.work.c
        active = sa.select(sa.func.count()).where(work.process == self.process, work.on_list == WorkList.ACTIVE)
        return int(self.tx.value(active))

    def entry(self, slot: datetime) -> SlotEntry | None:
        return ledger.find(self.tx, self.process, slot)

    def last_entry_before(self, slot: datetime) -> datetime | None:
        table = self.tx.t.slot.c
        earlier = sa.select(table.slot).where(table.process == self.process, table.slot < slot)
        last: datetime | None = self.tx.value(earlier.order_by(table.slot.desc()).limit(1))
        return last

    def entries(self) -> int:
        table = self.tx.t.slot.c
        return int(self.tx.value(sa.select(sa.func.count()).where(table.process == self.process)))

    def begin_run(self, run: Run, last_slot: datetime) -> None:
        self._write_process(epoch=run.epoch, last_slot=last_slot)
        row = {column: getattr(run, name) for name, column in _COLUMNS.items()}
        started = {"process": self.process, "cursor_list": WorkList.ACTIVE, "progress_at": run.started_at}
        self.tx.add(self.tx.t.run, [{**row, **started}])

    def enter(self, entry: SlotEntry) -> None:
        ledger.write(self.tx, self.process, entry)

    def follow(self, rule: str) -> None:
        self._write_process(schedule_rule=rule)

    def make_purge_due(self) -> None:
        self._write_process(purge_due=True)

    def set_pause(self, pause: Pause | None) -> None:
        at, note, by = (None, "", "") if pause is None else (pause.at, pause.note, pause.by)
        self._write_process(paused_at=at, pause_note=note, paused_by=by)

    def limits(self) -> Limits | None:
        found: Limits | None = self._row.limits
        return found

    def set_limits(self, limits: Limits | None) -> None:
        self._write_process(limits=limits)

    def await_nobody(self) -> None:
        if self._row.pace:
            self._write_process(pace=replace(self._row.pace, awaited=""))

    def _write_process(self, **values: Any) -> None:
        process = self.tx.t.process
        self.tx.change(sa.update(process).where(process.c.name == self.process).values(**values))


_COLUMNS = {name: {"uuid": "run_uuid"}.get(name, name) for name in Run.__slots__}
