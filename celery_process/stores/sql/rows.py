"""The rows of one process in SQL, as the protocol reads them; how it writes them is in `writes`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.instants import to_us
from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.reports import Totals
from celery_process.protocol.rows import Change, Tally
from celery_process.protocol.states import WorkList
from celery_process.stores.sql import records, writes
from celery_process.stores.sql.keys import among, chunks
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


class SqlRows:
    """See `Rows`. A transaction makes the unit atomic; a row that is held is locked.

    Of an item, a registration, a status and the overrides, which are not, the write is a compare-and-set: where it misses,
    `StaleRead` has the transaction run again.
    """

    def __init__(self, tx: Transaction, process: str) -> None:
        self.tx, self.process = tx, process

    @property
    def now(self) -> datetime:
        return self.tx.now

    def head(self, *, held: bool) -> Head:
        table = self.tx.t.process
        if held:
            return records.head_of(locked_process(self.tx, self.process))
        row = self.tx.first(sa.select(table).where(table.c.name == self.process))
        return Head() if row is None else records.head_of(row)

    def run(self, epoch: int, *, held: bool) -> Run | None:
        query = self._runs().where(self.tx.t.run.c.epoch == epoch)
        return self._run(query.with_for_update() if held else query)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return self._run(self._runs().where(self.tx.t.run.c.run_uuid == uuid))

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        run = self.tx.t.run.c
        return self._run(self._runs().where(run.slot == slot).order_by(run.generation.desc()).limit(1))

    def open_run(self) -> Run | None:
        return self._run(self._runs().where(one_of(self.tx.t.run.c.state, OPEN_RUNS)))

    def runs(self, *, before: int | None, limit: int) -> Sequence[Run]:
        epoch = self.tx.t.run.c.epoch
        query = self._runs() if before is None else self._runs().where(epoch < before)
        return [records.run_of(row) for row in self.tx.rows(query.order_by(epoch.desc()).limit(limit))]

    def _runs(self) -> sa.Select[Any]:
        run = self.tx.t.run
        return sa.select(run).where(run.c.process == self.process)

    def _run(self, query: sa.Select[Any]) -> Run | None:
        row = self.tx.first(query)
        return None if row is None else records.run_of(row)

    def pages(self, epoch: int) -> Sequence[Page]:
        page = self.tx.t.page
        query = sa.select(page).where(self._open_pages(epoch)).order_by(page.c.page)
        return [records.page_of(row) for row in self.tx.rows(query)]

    def _open_pages(self, epoch: int) -> sa.ColumnElement[bool]:
        page = self.tx.t.page.c
        return sa.and_(page.process == self.process, page.epoch == epoch, page.is_open.is_(True))

    def items(self, epoch: int, names: Collection[str]) -> Sequence[Item]:
        item = self.tx.t.item.c
        found = (self._items().where(item.epoch == epoch, among(item.name, chunk)) for chunk in chunks(set(names)))
        return [records.item_of(row) for query in found for row in self.tx.rows(query)]

    def items_on(self, epoch: int, pages: Collection[int]) -> Sequence[Item]:
        page = self.tx.t.page.c
        query = self._items().where(self._open_pages(epoch), page.page.in_(pages))
        return [records.item_of(row) for row in self.tx.rows(query.order_by(page.page, self.tx.t.item.c.name))]

    def _items(self) -> sa.Select[Any]:
        item, page = self.tx.t.item, self.tx.t.page
        joined = item.outerjoin(page, page.c.id == item.c.page_id)
        number = sa.func.coalesce(page.c.page, 0).label("page")
        return sa.select(item, number).select_from(joined).where(item.c.process == self.process)

    def count_open(self, epoch: int) -> int:
        item, page = self.tx.t.item, self.tx.t.page
        pages = sa.select(page.c.id).where(self._open_pages(epoch))
        query = sa.select(sa.func.count()).where(item.c.page_id.in_(pages), self.tx.t.item_is_open)
        return int(self.tx.value(query))

    def tallies(self, epoch: int) -> Sequence[Tally]:
        item, page = self.tx.t.item, self.tx.t.page
        # The totals of open items do not count yet and may be long.
        totals = sa.case((self.tx.t.item_is_open, sa.null()), else_=sa.type_coerce(item.c.totals, sa.Text))
        alike = (item.c.on_list, item.c.state, item.c.outcome, sa.type_coerce(totals, item.c.totals.type).label("totals"))
        query = sa.select(*alike, sa.func.count().label("items"))
        query = query.select_from(page.join(item, item.c.page_id == page.c.id)).where(self._open_pages(epoch))
        return [
            Tally(row.on_list, row.state, row.outcome, row.totals or Totals(), row.items)
            for row in self.tx.rows(query.group_by(item.c.on_list, item.c.state, item.c.outcome, totals))
        ]

    def has_items(self, epoch: int) -> bool:
        item = self.tx.t.item.c
        return bool(self.tx.value(sa.select(sa.exists().where(item.process == self.process, item.epoch == epoch))))

    def empty(self, epochs: Collection[int], *, limit: int) -> int:
        item = self.tx.t.item
        ids = sa.select(item.c.id).where(item.c.process == self.process, item.c.epoch.in_(epochs)).limit(limit)
        found = self.tx.column(ids)
        return self.tx.change(sa.delete(item).where(item.c.id.in_(found))) if found else 0

    def enlisted(self, epoch: int, names: Collection[str]) -> Collection[str]:
        found: set[str] = set()
        for chunk in chunks(names):
            for table in (self.tx.t.item.c, self.tx.t.status.c):
                of_run = (table.process == self.process, table.epoch == epoch, among(table.name, chunk))
                found.update(self.tx.column(sa.select(table.name).where(*of_run)))
        return found

    def works(self, names: Collection[str]) -> Sequence[Work]:
        return [records.work_of(row) for row in self._named(self.tx.t.work, names)]

    def statuses(self, names: Collection[str]) -> Sequence[Status]:
        return [records.status_of(row) for row in self._named(self.tx.t.status, names)]

    def _named(self, table: sa.Table, names: Collection[str]) -> Iterable[Row[Any]]:
        for chunk in chunks(set(names)):
            yield from self.tx.rows(sa.select(table).where(table.c.process == self.process, among(table.c.name, chunk)))

    def listed(self, on: WorkList, *, after: str, limit: int) -> Sequence[Work]:
        work = self.tx.t.work.c
        query = sa.select(self.tx.t.work).where(work.process == self.process, work.on_list == on, work.name > after)
        return [records.work_of(row) for row in self.tx.rows(query.order_by(work.name).limit(limit))]

    def dropped(self, *, kept: int, since: datetime, limit: int) -> Sequence[Work]:
        table, work = self.tx.t.work, self.tx.t.work.c
        dropped = (work.process == self.process, work.on_list == WorkList.DROPPED)
        newest = sa.select(work.id).where(*dropped, work.listed_at > since)
        newest = newest.order_by(work.listed_at.desc(), work.name.desc()).limit(kept)
        # As a table of its own: MySQL takes no LIMIT inside an IN.
        over = sa.select(work.id).where(*dropped, work.id.not_in(sa.select(newest.subquery().c.id)))
        chosen = self.tx.column(over.order_by(work.name).limit(limit))
        free = sa.select(table).where(work.id.in_(chosen), *dropped).order_by(work.name)
        return [records.work_of(row) for row in self.tx.rows(free.with_for_update(skip_locked=True))] if chosen else []

    def work_counts(self) -> Mapping[WorkList, int]:
        work = self.tx.t.work.c
        query = sa.select(work.on_list, sa.func.count().label("works")).where(work.process == self.process)
        return {row.on_list: row.works for row in self.tx.rows(query.group_by(work.on_list))}

    def overrides(self) -> Overrides:
        settings = self.tx.t.settings
        return records.overrides_of(self.tx.first(sa.select(settings).where(settings.c.process == self.process)))

    def history(self, *, limit: int) -> Sequence[Overrides]:
        kept = self.tx.t.settings_version
        query = sa.select(kept).where(kept.c.process == self.process).order_by(kept.c.version.desc()).limit(limit)
        return [records.overrides_of(row) for row in self.tx.rows(query)]

    def changed_since(self, at: datetime) -> bool:
        settings, work = self.tx.t.settings.c, self.tx.t.work.c
        changed = sa.exists().where(settings.process == self.process, settings.changed_at >= at)
        listed = sa.exists().where(work.process == self.process, work.params_version >= to_us(at))
        return bool(self.tx.value(sa.select(sa.or_(changed, listed))))

    def entry(self, slot: datetime) -> SlotEntry | None:
        row = self.tx.first(self._entries().where(self.tx.t.slot.c.slot == slot))
        return None if row is None else records.entry_of(row)

    def entries(self, *, before: datetime | None, limit: int) -> Sequence[SlotEntry]:
        slot = self.tx.t.slot.c.slot
        query = self._entries() if before is None else self._entries().where(slot < before)
        return [records.entry_of(row) for row in self.tx.rows(query.order_by(slot.desc()).limit(limit))]

    def oldest_entries(self, *, limit: int) -> Sequence[SlotEntry]:
        query = self._entries().order_by(self.tx.t.slot.c.slot).limit(limit)
        return [records.entry_of(row) for row in self.tx.rows(query)]

    def _entries(self) -> sa.Select[Any]:
        table = self.tx.t.slot
        return sa.select(table).where(table.c.process == self.process)

    def count_entries(self) -> int:
        slot = self.tx.t.slot.c
        return int(self.tx.value(sa.select(sa.func.count()).where(slot.process == self.process)))

    def write(self, changes: Sequence[Change]) -> None:
        writes.write(self.tx, self.process, changes)
