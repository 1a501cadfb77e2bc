"""How what a step changed is written: kind by kind in the order of locks, within a kind in the order of its keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from celery_process.protocol.entities import Head, Item, Page, Run, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Row, key_of
from celery_process.stores.sql import history
from celery_process.stores.sql.keys import chunks
from celery_process.stores.sql.records import RECORDS
from celery_process.stores.sql.transaction import Transaction


def write(tx: Transaction, process: str, changes: Sequence[Change]) -> None:
    """Write changes; raise `StaleRead` where a row that was read is another one by now."""
    writer = Writer(tx, process)
    by_kind: dict[type[Row], list[Change]] = defaultdict(list)
    for change in changes:
        by_kind[type(change.row)].append(change)
    for kind in filter(by_kind.__contains__, RECORDS):
        found = sorted(by_kind[kind], key=_place)
        new = [change.row for change in found if _is_new(change)]
        gone = [change.row for change in found if change.new is None]
        for change in found:
            if change.old is not None and change.new is not None and not _is_new(change):
                writer.change(change.old, change.new)
        if new:
            writer.add(new)
        if gone:
            writer.delete(kind, gone)
        if kind is Overrides:
            writer.keep_version(found[0].old, found[0].row)


def _place(change: Change) -> Any:
    return key_of(change.row)


def _is_new(change: Change) -> bool:
    """Whether a row is not there yet: overrides of version 0 stand for none."""
    return change.old is None or (isinstance(change.old, Overrides) and change.old.version == 0)


class Writer:
    """Writes rows of one process in a transaction."""

    def __init__(self, tx: Transaction, process: str) -> None:
        self.tx, self.process = tx, process
        self._page_ids: dict[tuple[int, int], int] = {}

    def change(self, old: Row, new: Row) -> None:
        """Write the columns of a row that changed."""
        record = RECORDS[type(new)]
        before, after = record.values(old), record.values(new)
        values = {column: value for column, value in after.items() if value != before[column]}
        guards = {column: before[column] for column in (*record.key, *record.guards)}
        self.tx.compare_and_set(
            sa.update(self._table(new)).where(self._of_process(new), *self._are(new, guards)).values(values)
        )

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows. Where another transaction was first, the duplicate key has this one run again."""
        record, table = RECORDS[type(rows[0])], self._table(rows[0])
        values = [{"process": self.process, **record.values(row), **self._of_page(row)} for row in rows]
        if isinstance(rows[0], SlotEntry):  # an entry is put in the place of what its slot has, which need not be read
            self.tx.put(table, values, lambda new: {name: new[name] for name in values[0] if name not in table.info["key"]})
        elif isinstance(rows[0], Page):
            for page in values:
                self._page_ids[page["epoch"], page["page"]] = self.tx.add_one(table, page)
        else:
            self.tx.add(table, values)

    def delete(self, kind: type[Row], rows: Sequence[Any]) -> None:
        """Delete rows, and what goes with them. A page is closed, so that its token opens another one."""
        if kind is Page:
            self._close(rows)
        elif kind is Work:
            self._delete(rows, self.tx.t.work, self.tx.t.status)
        elif kind is Run:
            self._delete(rows, self.tx.t.run, self.tx.t.page)
        else:
            self._delete(rows, self._table(rows[0]))

    def keep_version(self, old: Row | None, new: Row) -> None:
        """Let overrides of a new version begin the history."""
        before = old.version if isinstance(old, Overrides) else 0
        if isinstance(new, Overrides) and new.version > before:
            history.keep(self.tx, self.process, new.version)

    def _close(self, pages: Iterable[Page]) -> None:
        table = self.tx.t.page
        for page in pages:
            still_open = (table.c.is_open.is_(True), *self._are(page, {"epoch": page.epoch, "page": page.number}))
            closed = {"is_open": False, "token": sa.cast(table.c.id, table.c.token.type)}
            self.tx.compare_and_set(sa.update(table).where(self._of_process(page), *still_open).values(closed))

    def _delete(self, rows: Sequence[Row], *tables: sa.Table) -> None:
        record = RECORDS[type(rows[0])]
        *alike, last = record.key
        values = [record.values(row) for row in rows]
        for shared in {tuple(value[column] for column in alike) for value in values}:
            of_group = [value[last] for value in values if tuple(value[column] for column in alike) == shared]
            for table in tables:
                same = [table.c[column] == value for column, value in zip(alike, shared, strict=True)]
                for chunk in chunks(of_group):
                    of_rows = (table.c.process == self.process, *same, table.c[last].in_(chunk))
                    self.tx.change(sa.delete(table).where(*of_rows))

    def _table(self, row: Row) -> sa.Table:
        table: sa.Table = getattr(self.tx.t, RECORDS[type(row)].table)
        return table

    def _of_process(self, row: Row) -> sa.ColumnElement[bool]:
        columns = self._table(row).c
        return (columns.name if isinstance(row, Head) else columns.process) == self.process

    def _are(self, row: Row, values: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
        columns = self._table(row).c
        return [columns[name] == value for name, value in values.items()]

    def _of_page(self, row: Row) -> dict[str, Any]:
        return {"page_id": self._page_ids[row.epoch, row.page]} if isinstance(row, Item) else {}
