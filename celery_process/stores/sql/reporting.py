"""The report of a claim's holder: totals kept, errors charged, items ended, a clean cleanup dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process import rules
from celery_process.model import ErrorEntry, ItemAnswer, ItemReport, Reported, Totals
from celery_process.states import ItemState, Progress, RunState, WorkList, WorkState
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.errors import Charged, Fault, charge
from celery_process.stores.sql.items import Over, facts, over
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.pages import Settled, settle
from celery_process.stores.sql.transaction import Transaction
from celery_process.values import MAX_WORK_ERRORS


@dataclass
class Held:
    """An item while the reports about it are gone through: as it was read, then as it was written."""

    row: Row[Any]
    state: ItemState
    sequence: int
    totals: Totals
    error_count: int
    errors: tuple[ErrorEntry, ...]

    @classmethod
    def of(cls, row: Row[Any]) -> Held:
        """Return the item of a row."""
        return cls(row, row.state, row.sequence, row.totals, row.error_count, row.errors)


@dataclass(frozen=True, slots=True)
class Written:
    """What the transaction of a report did, and the pages that it may have ended."""

    answers: tuple[ItemAnswer, ...]
    stopping: bool
    aborting: bool
    pages: tuple[int, ...]


def report(db: Database, key: RunKey, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
    """Write reports in one transaction; pages that this ended are closed after it.

    A repeat looks at its page again, for the first call may have died between the two.
    """
    written = db.write("report", _report, key, reports, token, lease)
    settled = Settled()
    for page in written.pages:
        settled |= settle(db, "report", key, page)
    open_still = settled.run is None
    return Reported(
        written.answers,
        stopping=written.stopping and open_still,
        aborting=written.aborting and open_still,
        page_closed=settled.page_closed,
        run=settled.run,
    )


def _report(tx: Transaction, key: RunKey, reports: Sequence[ItemReport], token: str, lease: timedelta) -> Written:
    rows = facts(tx, key, {report.name for report in reports})
    mine = {name: Held.of(row) for name, row in rows.items() if row.token == token}
    faults: dict[int, Fault] = {}
    ended: set[int] = set()
    # Items are locked in name order; errors count and answers are given in the order of the reports.
    for place in sorted(range(len(reports)), key=lambda place: reports[place].name):
        held = mine.get(reports[place].name)
        if held is None:
            continue
        if held.state is ItemState.CLAIMED:
            fault = _write(tx, held, reports[place], lease)
            if fault is not None:
                faults[place] = fault
        if held.state is ItemState.DONE:
            ended.add(place)
    pages = {mine[reports[place].name].row.page_id for place in ended}
    places = sorted(faults)
    charged = charge(tx, key, [faults[place] for place in places]) if faults else Charged()
    first = len(reports) if charged.fatal is None else places[charged.fatal]
    gone = over(tx, key, absent) if (absent := {report.name for report in reports} - rows.keys()) else Over(None, {})
    answers = tuple(
        _repeated(given, gone)
        if given.name in absent
        else _answer(mine.get(given.name), given, ended=place in ended, aborting=charged.aborting or place >= first)
        for place, given in enumerate(reports)
    )
    stopped = charged.fatal is not None or charged.aborting
    aborting = stopped or RunState.ABORTING in (gone.run_state, *(row.run_state for row in rows.values()))
    return Written(answers, charged.fatal is not None, aborting, tuple(sorted(pages)))


def _repeated(given: ItemReport, gone: Over) -> ItemAnswer:
    repeat = rules.was_reported(given.outcome, given.attempt, gone.completed_by(given.name))
    return ItemAnswer(given.name, Progress.COMPLETED if repeat else Progress.CONFLICT)


def _write(tx: Transaction, held: Held, given: ItemReport, lease: timedelta) -> Fault | None:
    """Write a report that is newer than what the item has; return what it adds to the run."""
    if given.sequence <= held.sequence:
        return None
    item, row = tx.t.item, held.row
    of_work, of_run = rules.new_errors(held.totals, given.totals)
    work_texts, run_texts = rules.new_texts(held.totals, given.totals, tx.now)
    errors = (held.errors + work_texts)[:MAX_WORK_ERRORS]
    values: dict[str, Any] = {
        "sequence": given.sequence,
        "totals": given.totals,
        "lease_until": tx.now + lease,
        "error_count": held.error_count + of_work,
        "errors": errors,
    }
    if of_work:
        values["last_error_at"] = tx.now
    if given.outcome is not None:
        finished_at = rules.finish_time(given.outcome, tx.now)
        values |= {"state": ItemState.DONE, "outcome": given.outcome, "finished_at": finished_at}
    # Who ends an item that another holds takes its token away, so that the state needs no look.
    same = (item.c.id == row.id, item.c.token == row.token, item.c.sequence == held.sequence)
    tx.compare_and_set(sa.update(item).where(*same).values(**values))
    held.sequence, held.totals, held.errors = given.sequence, given.totals, errors
    held.error_count += of_work
    if given.outcome is not None:
        held.state = ItemState.DONE
        _drop(tx, held, given.outcome)
    if of_work or of_run or work_texts or run_texts:
        return Fault(of_work + of_run, work_texts + run_texts, held.error_count)
    return None


def _drop(tx: Transaction, held: Held, outcome: WorkState) -> None:
    """Drop a clean cleanup whose registration is as it was claimed.

    Its version says that it is still on the cleanup list, for each move to another raises it. One that a caller's
    transaction has locked is left on its list, since a report waits for no caller.
    """
    work, row = tx.t.work, held.row
    if not rules.is_clean(row.on_list, outcome, held.totals):
        return
    same = (
        work.c.process == row.process,
        work.c.name == row.name,
        work.c.params_version == row.params_version,
    )
    free = tx.value(sa.select(work.c.id).where(*same).with_for_update(skip_locked=True))
    if free is not None:
        tx.change(sa.update(work).where(work.c.id == free).values(on_list=WorkList.DROPPED, listed_at=tx.now))


def _answer(held: Held | None, given: ItemReport, *, ended: bool, aborting: bool) -> ItemAnswer:
    if held is None or held.state not in (ItemState.CLAIMED, ItemState.DONE):
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
