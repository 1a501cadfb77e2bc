"""The entities of the protocol as rows of the tables: which columns keep them, and which transaction may write over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy.engine import Row as SqlRow

from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, Pause, SlotEntry, WorkStatus
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.rows import Row
from celery_process.protocol.tokens import task_of, void_token


@dataclass(frozen=True, slots=True)
class Record:
    """How an entity is kept: its table, the columns that identify it within its process, and its values by column.

    `guards`: columns that must be as they were read when it is written over, where its row was not locked.
    """

    table: str
    key: tuple[str, ...]
    values: Callable[[Any], Mapping[str, Any]]
    guards: tuple[str, ...] = ()


def head_of(row: SqlRow[Any]) -> Head:
    """Return the process's own row."""
    return Head(
        epoch=row.epoch,
        last_slot=row.last_slot,
        rule=row.schedule_rule,
        paused=None if row.paused_at is None else Pause(row.pause_note, row.paused_by, row.paused_at),
        limits=row.limits,
        pace=row.pace,
        aggregate=row.aggregate_stats,
        swept_at=row.swept_at,
        purge_due=row.purge_due,
    )


def _head(head: Head) -> Mapping[str, Any]:
    return {
        "epoch": head.epoch,
        "last_slot": head.last_slot,
        "schedule_rule": head.rule,
        "paused_at": head.paused and head.paused.at,
        "pause_note": head.paused.note if head.paused else "",
        "paused_by": head.paused.by if head.paused else "",
        "limits": head.limits,
        "pace": head.pace,
        "aggregate_stats": head.aggregate,
        "swept_at": head.swept_at,
        "purge_due": head.purge_due,
    }


def work_of(row: SqlRow[Any]) -> Work:
    """Return a registration."""
    return Work(row.name, row.on_list, row.listed_at, row.params, row.params_version)


def _work(work: Work) -> Mapping[str, Any]:
    return {
        "name": work.name,
        "on_list": work.on,
        "listed_at": work.listed_at,
        "params": work.params,
        "params_version": work.version,
    }


_OF_STATUS = ("state", "stats", "errors", "last_error_at", "started_at", "finished_at", "attempt")


def status_of(row: SqlRow[Any]) -> Status:
    """Return how the last run of a name ended."""
    same = {name: getattr(row, name) for name in _OF_STATUS}
    status = WorkStatus(**same, total_errors=row.error_count, task_id=task_of(row.token))
    return Status(row.name, row.params_version, row.epoch, status)


def _status(status: Status) -> Mapping[str, Any]:
    return {
        "name": status.name,
        "params_version": status.version,
        "epoch": status.epoch,
        **{name: getattr(status.status, name) for name in _OF_STATUS},
        "error_count": status.status.total_errors,
        "token": void_token(f".{status.status.task_id}"),
    }


_OF_RUN = {
    **{name: name for name in Run.__slots__ if name not in ("uuid", "cursor", "repairs")},
    "uuid": "run_uuid",
}


def run_of(row: SqlRow[Any]) -> Run:
    """Return a run."""
    same = {name: getattr(row, column) for name, column in _OF_RUN.items()}
    cursor = None if row.cursor_list is None else (row.cursor_list, row.cursor_name)
    return Run(**same, cursor=cursor, repairs=row.repairs or Repairs())


def _run(run: Run) -> Mapping[str, Any]:
    cursor_list, cursor_name = run.cursor or (None, "")
    return {
        **{column: getattr(run, name) for name, column in _OF_RUN.items()},
        "cursor_list": cursor_list,
        "cursor_name": cursor_name,
        "repairs": None if run.repairs == Repairs() else run.repairs,
    }


def page_of(row: SqlRow[Any]) -> Page:
    """Return an open page."""
    return Page(row.epoch, row.page, row.token, row.on_list, row.opened_at)


def _page(page: Page) -> Mapping[str, Any]:
    return {
        "epoch": page.epoch,
        "page": page.number,
        "token": page.token,
        "on_list": page.on,
        "opened_at": page.opened_at,
    }


_OF_ITEM = {
    **{name: name for name in Item.__slots__ if name not in ("on", "page", "version")},
    "on": "on_list",
    "version": "params_version",
}


def item_of(row: SqlRow[Any]) -> Item:
    """Return an item; the row has the number of its page as well."""
    return Item(**{name: getattr(row, column) for name, column in _OF_ITEM.items()}, page=row.page)


_ITEM_FIELDS = attrgetter(*_OF_ITEM)


def _item(item: Item) -> Mapping[str, Any]:
    return dict(zip(_OF_ITEM.values(), _ITEM_FIELDS(item), strict=True))


def overrides_of(row: SqlRow[Any] | None) -> Overrides:
    """Return stored overrides, those of version 0 where there are none."""
    return Overrides() if row is None else Overrides(row.settings, row.schedule, row.version, row.changed_at, row.changed_by)


def _overrides(overrides: Overrides) -> Mapping[str, Any]:
    return {
        "settings": overrides.settings,
        "schedule": overrides.schedule,
        "version": overrides.version,
        "changed_at": overrides.changed_at,
        "changed_by": overrides.by,
    }


def entry_of(row: SqlRow[Any]) -> SlotEntry:
    """Return an entry of the ledger."""
    return SlotEntry(row.slot, row.slot_end, row.noted_at, row.noted_by, row.run, row.after_slot)


def _entry(entry: SlotEntry) -> Mapping[str, Any]:
    return {
        "slot": entry.slot,
        "after_slot": entry.after,
        "slot_end": entry.end,
        "noted_at": entry.at,
        "noted_by": entry.by,
        "run": entry.run_id,
    }


RECORDS: Mapping[type[Row], Record] = {
    Page: Record("page", ("epoch", "page"), _page),
    Item: Record("item", ("epoch", "name"), _item, ("state", "token", "sequence", "attempt")),
    Work: Record("work", ("name",), _work, ("on_list", "params_version")),
    Overrides: Record("settings", (), _overrides, ("version",)),
    Status: Record("status", ("name",), _status, ("epoch",)),
    Run: Record("run", ("epoch",), _run),
    SlotEntry: Record("slot", ("slot",), _entry),
    Head: Record("process", (), _head),
}
"""By entity, in the order in which transactions lock them."""
