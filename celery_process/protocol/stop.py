"""How a run ends early: nothing new starts, and what is pending is cancelled."""

from __future__ import annotations

from collections.abc import Iterable

from celery_process.protocol.entities import Page, Run
from celery_process.protocol.fold import close_if_due, fold_if_done
from celery_process.protocol.model import RunStatus
from celery_process.protocol.read import status_of
from celery_process.protocol.states import ItemState, RunState, StopReason
from celery_process.protocol.unit import Unit


def stop_run(unit: Unit, run_id: str, reason: StopReason) -> RunStatus | None:
    """Make an open run ABORTING and cancel what is pending, with SUPERSEDED also what is claimed; return it if closed."""
    run = unit.run(run_id, held=True)
    if run is None or not run.state.is_open:
        return None
    if run.state is RunState.ACTIVE:
        run.move(RunState.ABORTING, reason.value)
    pages = unit.pages(run)
    cancel(unit, run, pages, claimed=StopReason.SUPERSEDED in (reason, run.reason))
    fold_if_done(unit, run, [page.number for page in pages])
    close_if_due(unit, run)
    return None if run.state.is_open else status_of(unit, run)


def cancel(unit: Unit, run: Run, pages: Iterable[Page], *, claimed: bool) -> None:
    """Cancel what is pending on pages of a run, and, if asked to, what is claimed, whose holders are then in Conflict."""
    for item in unit.items_on(run, pages):
        if item.state is ItemState.PENDING or (claimed and item.state is ItemState.CLAIMED):
            item.move(ItemState.CANCELLED)
            item.free()


def ack_finish(unit: Unit, run_id: str) -> bool:
    """Note that the end of a closed run was emitted; return whether this was the first time."""
    run = unit.run(run_id, held=True)
    if run is None or run.state.is_open or run.notified_at is not None:
        return False
    run.notified_at = unit.now
    return True


def ack_repairs(unit: Unit, run_id: str, number: int) -> None:
    """Acknowledge the emitted repairs of this number."""
    run = unit.run(run_id, held=True)
    if run is not None:
        run.repairs = run.repairs.acknowledged(number)
