"""The report of a claim's holder: totals kept, errors charged, items ended, a clean cleanup dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.kept import MAX_WORK_ERRORS
from celery_process.protocol.model import ErrorEntry
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported, Totals
from celery_process.protocol.states import ItemState, Progress, RunState, WorkList, WorkState, moved
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.errors import Charged, Fault, charge
from celery_process.stores.sql.facts import FoldedItems, decided, over, read, report_facts
from celery_process.stores.sql.folds import fold_if_done
from celery_process.stores.sql.keys import RunKey, among
from celery_process.stores.sql.transaction import BulkUpdate, Transaction


class ReportedItem:
    """An item while the reports about it are gone through: as it was read, and as it becomes."""

    def __init__(self, row: Row[Any]) -> None:
        self.row = row
        self.state: ItemState = row.state
        self.sequence: int = row.sequence
        self.totals: Totals = row.totals
        self.error_count: int = row.error_count
        self.errors: tuple[ErrorEntry, ...] = row.errors
        self.last_error_at: datetime | None = row.last_error_at
        self.outcome: WorkState | None = row.outcome
        self.finished_at: datetime | None = row.finished_at

    @property
    def cleaned(self) -> bool:
        """Whether a clean cleanup ended it."""
        return self.outcome is not None and rules.is_clean(self.row.on_list, self.outcome, self.totals)

    def take(self, given: ItemReport, tx: Transaction) -> Fault | None:
        """Take a report that is newer than what the item has; return what it adds to the run."""
        if given.sequence <= self.sequence:
            return None
        of_work, of_run = rules.new_errors(self.totals, given.totals)
        work_texts, run_texts = rules.new_texts(self.totals, given.totals, tx.now)
        self.state = moved(self.state, ItemState.CLAIMED)
        self.sequence, self.totals = given.sequence, given.totals
        self.errors = (self.errors + work_texts)[:MAX_WORK_ERRORS]
        self.error_count += of_work
        if of_work:
            self.last_error_at = tx.now
        if given.outcome is not None:
            self.state, self.outcome = moved(self.state, ItemState.DONE), given.outcome
            self.finished_at = rules.finish_time(given.outcome, tx.now)
        if of_work or of_run or work_texts or run_texts:
            return Fault(given.name, of_work + of_run, work_texts + run_texts, self.error_count)
        return None


@dataclass(frozen=True, slots=True)
class Written:
    """What the transaction of a report did, and the pages that it may have ended."""

    answers: tuple[ItemAnswer, ...]
    stopping: bool
    aborting: bool
    pages: tuple[int, ...]


def report(db: Database, key: RunKey, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
    """Write reports in one transaction; pages that this ended are closed after it.

    A repeat checks its page again, since the first call may have died between the two.
    """
    written = decided(db, "report", _report, key, reports, token, lease)
    settled = fold_if_done(db, "report", key, written.pages)
    open_still = settled.run is None
    return Reported(
        written.answers,
        stopping=written.stopping and open_still,
        aborting=written.aborting and open_still,
        page_closed=settled.page_closed,
        run=settled.run,
    )


def _report(
    tx: Transaction, key: RunKey, reports: Sequence[ItemReport], token: str, lease: timedelta, *, wait: bool
) -> Written:
    rows = read(tx, report_facts, key, {report.name for report in reports}, wait=wait)
    mine = {name: ReportedItem(row) for name, row in rows.items() if row.token == token}
    faults: dict[int, Fault] = {}
    ended: set[int] = set()
    for place, given in enumerate(reports):
        held = mine.get(given.name)
        if held is None:
            continue
        if held.state.is_open:
            fault = held.take(given, tx)
            if fault is not None:
                faults[place] = fault
        if held.state is ItemState.DONE:
            ended.add(place)
    _write(tx, [held for held in mine.values() if held.sequence != held.row.sequence], tx.now + lease)
    pages = {mine[reports[place].name].row.page_id for place in ended}
    places = sorted(faults)
    charged = charge(tx, key, [faults[place] for place in places]) if faults else Charged()
    first = len(reports) if charged.fatal is None else places[charged.fatal]
    gone = over(tx, key, absent) if (absent := {report.name for report in reports} - rows.keys()) else FoldedItems(None, {})
    answers = tuple(
        _repeated(given, gone)
        if given.name in absent
        else _answer(mine.get(given.name), given, ended=place in ended, aborting=charged.aborting or place >= first)
        for place, given in enumerate(reports)
    )
    stopped = charged.fatal is not None or charged.aborting
    aborting = stopped or RunState.ABORTING in (gone.run_state, *(row.run_state for row in rows.values()))
    return Written(answers, charged.fatal is not None, aborting, tuple(sorted(pages)))


def _repeated(given: ItemReport, gone: FoldedItems) -> ItemAnswer:
    repeat = rules.was_reported(given.outcome, given.attempt, gone.completed_by(given.name))
    return ItemAnswer(given.name, Progress.COMPLETED if repeat else Progress.CONFLICT)


def _reported(tx: Transaction, new: Any) -> sa.Update:
    item = tx.t.item
    # Ending or claiming an item that another holds replaces its token, so the token alone proves the state.
    same = (item.c.id == new.of_id, item.c.token == new.was_token, item.c.sequence == new.was_sequence)
    return (
        sa.update(item)
        .where(*same)
        .values(
            state=new.new_state,
            sequence=new.new_sequence,
            totals=new.new_totals,
            error_count=new.new_error_count,
            errors=new.new_errors,
            last_error_at=new.new_last_error_at,
            outcome=new.new_outcome,
            finished_at=new.new_finished_at,
            lease_until=sa.bindparam("until", type_=item.c.lease_until.type),
        )
    )


_WRITTEN = ("state", "sequence", "totals", "error_count", "errors", "last_error_at", "outcome", "finished_at")
REPORT = BulkUpdate(
    "item",
    {"of_id": "id", "was_token": "token", "was_sequence": "sequence", **{f"new_{column}": column for column in _WRITTEN}},
    _reported,
)


def _write(tx: Transaction, changed: Sequence[ReportedItem], until: datetime) -> None:
    rows = [
        {
            "of_id": held.row.id,
            "was_token": held.row.token,
            "was_sequence": held.row.sequence,
            **{f"new_{column}": getattr(held, column) for column in _WRITTEN},
        }
        for held in changed
    ]
    tx.change_each(REPORT, rows, until=until)
    _drop(tx, [held for held in changed if held.cleaned])


def _drop(tx: Transaction, cleaned: Sequence[ReportedItem]) -> None:
    """Drop clean cleanups whose registrations are as they were claimed.

    An unchanged version proves that an item is still on the cleanup list, since each move to another list raises it. A
    registration that a caller's transaction locks stays on its list, since a report waits for no caller.
    """
    if not cleaned:
        return
    work = tx.t.work
    versions = {held.row.name: held.row.params_version for held in cleaned}
    chosen = (work.c.process == cleaned[0].row.process, among(work.c.name, versions))
    query = sa.select(work.c.id, work.c.name, work.c.params_version).where(*chosen).order_by(work.c.name)
    free = [row.id for row in tx.rows(query.with_for_update(skip_locked=True)) if row.params_version == versions[row.name]]
    if free:
        tx.change(sa.update(work).where(work.c.id.in_(free)).values(on_list=WorkList.DROPPED, listed_at=tx.now))


def _answer(held: ReportedItem | None, given: ItemReport, *, ended: bool, aborting: bool) -> ItemAnswer:
    if held is None or not (held.state.is_open or held.state is ItemState.DONE):
        return ItemAnswer(given.name, Progress.CONFLICT)
    if ended:
        return ItemAnswer(given.name, Progress.COMPLETED)
    row = held.row
    if aborting or row.run_state is not RunState.ACTIVE:
        return ItemAnswer(given.name, Progress.ABORTED)
    version = row.version if row.listed_on is row.on_list else given.params_version
    settings_version = row.settings_version or 0
    if version == given.params_version and settings_version == given.settings_version:
        return ItemAnswer(given.name, Progress.UPDATED)
    return ItemAnswer(
        given.name,
        Progress.MERGED,
        params="{}" if row.params is None else row.params,
        params_version=version,
        settings=rules.effective(row.defaults, row.settings),
        settings_version=settings_version,
    )
