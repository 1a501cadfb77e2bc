"""How errors are charged to an item and its run, and break their limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from celery_process.protocol import rules
from celery_process.protocol.entities import Item, Run
from celery_process.protocol.kept import MAX_RUN_ERRORS, MAX_WORK_ERRORS
from celery_process.protocol.model import ErrorEntry
from celery_process.protocol.reports import ItemReport
from celery_process.protocol.states import ItemState, RunState, StopReason
from celery_process.protocol.tokens import void_token


def count(run: Run, item: Item, report: ItemReport, now: datetime) -> None:
    """Write the totals of a report, and charge the errors that are new in it."""
    of_work, of_run = rules.new_errors(item.totals, report.totals)
    work_texts, run_texts = rules.new_texts(item.totals, report.totals, now)
    item.totals, item.sequence = report.totals, report.sequence
    item.errors = (*item.errors, *work_texts)[:MAX_WORK_ERRORS]
    item.error_count += of_work
    run.errors = (*run.errors, *work_texts, *run_texts)[:MAX_RUN_ERRORS]
    run.total_errors += of_work + of_run
    if of_work:
        item.last_error_at = now
    if of_work or of_run:
        run.last_error_at = now
        _check_tolerance(run, item)


def lose(run: Run, item: Item, now: datetime) -> None:
    """Give an item up whose last attempt ended without an outcome, with an error that says so."""
    item.move(ItemState.LOST)
    item.offer()
    item.token = void_token(item.token)
    entry = ErrorEntry(rules.lost_text(item.attempt), now, item.name)
    item.errors = (*item.errors, entry)[:MAX_WORK_ERRORS]
    item.error_count += 1
    item.totals = replace(item.totals, stats={}, run_stats={})
    run.errors = (*run.errors, entry)[:MAX_RUN_ERRORS]
    run.total_errors += 1
    item.last_error_at = run.last_error_at = now
    _check_tolerance(run, item)


def _check_tolerance(run: Run, item: Item) -> None:
    broken = rules.limit_broken(
        item.name, item.error_count, run.work_limit, total=run.total_errors, run_limit=run.error_limit
    )
    if broken is not None and run.state is RunState.ACTIVE:
        run.move(RunState.ABORTING, StopReason.ABORTED.value)
        run.limit_broken = broken
