"""The sweep: the repair pass over open runs, so that every run reaches its end whatever was killed.

It needs no beat: the workers' own timers publish it, and the store lets one through per interval.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from celery_process.dispatch import Dispatch
from celery_process.exceptions import RunNotFound
from celery_process.model import SweepTarget
from celery_process.states import Event, StopReason

logger = logging.getLogger(__name__)

BATCH = 500
"""Rows that one step of a sweep touches at most."""
PURGE_STEPS = 20
"""Steps of purging in one sweep; the next one goes on."""


def sweep(dispatches: Mapping[str, Dispatch], *, interval: timedelta | None = None) -> tuple[str, ...]:
    """Repair the processes that need it and had no sweep for the interval; return their names.

    One process that cannot be repaired holds up no other.
    """
    if not dispatches:
        return ()
    first = next(iter(dispatches.values()))
    every = first.config.sweep_interval
    targets = first.store.begin_sweep(sorted(dispatches), interval=every if interval is None else interval, grace=every)
    for target in targets:
        try:
            _repair(dispatches[target.process], target)
        except Exception:
            extra = {"action": "sweep_failed", "process_name": target.process, "run_id": target.open_run or ""}
            logger.exception("The sweep of %s failed; the next one tries again.", target.process, extra=extra)
    return tuple(target.process for target in targets)


def _repair(dispatch: Dispatch, target: SweepTarget) -> None:
    for run_id in target.unnotified:
        try:
            dispatch.finished(dispatch.store.run(dispatch.name, run_id))
        except RunNotFound:
            continue  # purged meanwhile
    if target.open_run is not None:
        _repair_run(dispatch, target.open_run)
    for _ in range(PURGE_STEPS if target.purge_due else 0):
        if dispatch.store.purge(dispatch.name, retention=dispatch.config.retention, limit=BATCH) < BATCH:
            return


def _repair_run(dispatch: Dispatch, run_id: str) -> None:
    config = dispatch.config
    swept = dispatch.store.sweep_run(
        dispatch.name,
        run_id,
        redispatch_after=config.redispatch_after,
        grace=config.sweep_interval,
        max_attempts=config.max_attempts,
        limit=BATCH,
    )
    extra = {"action": "swept", "process_name": dispatch.name, "run_id": run_id}
    if swept.expired or swept.publish:
        again = sum(len(names) for _, names in swept.publish)
        logger.warning(
            "Sweep of %s: %d leases ran out, %d items published.", dispatch.name, swept.expired, again, extra=extra
        )
        dispatch.emit(Event.RUN_REPAIRED, run_id=run_id, expired=swept.expired, published=again)
    for name in swept.lost:
        dispatch.emit(Event.WORK_LOST, work=name, run_id=run_id)
    if swept.run is not None:
        dispatch.finished(swept.run)
        return
    if swept.stopping:
        dispatch.stop(run_id, StopReason.ABORTED)
    for on, names in swept.publish:
        # One by one: an item that kills its worker must not take the rest of a batch along.
        dispatch.publish(run_id, on, names, single=True)
    dispatch.advance(run_id)
