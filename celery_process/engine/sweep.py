"""The sweep: the repair pass over open runs, so that every run reaches its end whatever was killed.

It needs no beat: the workers' own timers publish it, and the store admits one per interval.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

from celery_process.engine.dispatch import Dispatch
from celery_process.engine.patience import Budget
from celery_process.engine.port import Port
from celery_process.exceptions import CorruptData, RunNotFound, StoreUnavailable
from celery_process.protocol.limits import MAX_LOST
from celery_process.protocol.model import SweepTarget, Swept
from celery_process.protocol.states import StopReason
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

BATCH = 500
"""Rows that one step of a sweep touches at most."""
PUBLISHED_PER_SWEEP = 20_000
"""Items of a run that one sweep publishes at most; the others stay unpublished for the next one."""
LOST_PER_SWEEP = 20_000
"""Items of a run that one sweep gives up as lost at most; the others stay claimed for the next one."""
PURGE_STEPS = 20
"""Steps of a purge in one sweep at most; the next one goes on."""


def sweep(
    dispatches: Mapping[str, Dispatch], *, interval: timedelta | None = None, budget: Budget | None = None
) -> tuple[SweepTarget, ...]:
    """Repair the processes that need it and had no sweep for the interval; return the store's targets.

    An error with one process does not stop the others; a store out of reach ends the sweep. With a `budget`, which the
    dispatches have as well (see `with_budget`), it ends before that is used up, and the next sweep goes on.
    """
    if not dispatches:
        return ()
    first = next(iter(dispatches.values()))
    every = first.config.sweep_interval
    least = every if interval is None else interval
    targets = first.store.begin_sweep(sorted(dispatches), interval=least, grace=every)
    # In random order, so that processes that take long do not always keep the same ones from their turn.
    for done, target in enumerate(random.sample(targets, len(targets))):
        if budget is not None and budget.is_short:
            extra = log_fields("sweep_failed", process_name=target.process, run_id=target.open_run)
            remaining = len(targets) - done
            logger.warning("The sweep used up its time; the next one takes the other %d processes.", remaining, extra=extra)
            break
        try:
            _repair(dispatches[target.process], target)
        except Exception as error:  # noqa: BLE001 - logged; the next sweep tries again
            extra = log_fields("sweep_failed", process_name=target.process, run_id=target.open_run)
            log_failure(logger, "The sweep of %s failed; the next one repeats it", target.process, error=error, extra=extra)
            if isinstance(error, StoreUnavailable):
                break  # each of the others would wait for it as well
    return targets


def with_budget(dispatch: Dispatch, budget: Budget) -> Dispatch:
    """Return a dispatch whose calls to store and broker have a budget; receivers of signals have none."""
    port = cast("Port", _BudgetedPort(dispatch.port, budget))
    return replace(dispatch, store=budget.of(dispatch.store), port=port)


class _BudgetedPort:
    """A port whose items are published within a budget."""

    def __init__(self, port: Port, budget: Budget) -> None:
        self._port, self._budget = port, budget

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def send(self, *args: Any, **options: Any) -> None:
        self._budget.within(partial(self._port.send, *args, **options), operation="publish", whom="broker")


def _repair(dispatch: Dispatch, target: SweepTarget) -> None:
    for run_id in target.unnotified:
        try:
            dispatch.emit_finish(dispatch.store.run(dispatch.name, run_id))
        except RunNotFound:
            continue  # purged meanwhile
        except CorruptData as error:  # the open run is repaired all the same
            extra = log_fields("corrupt_data", process_name=dispatch.name, run_id=run_id)
            log_failure(logger, "The end of run %s could not be emitted", run_id, error=error, extra=extra)
    if target.open_run is not None:
        _repair_run(dispatch, target.open_run)
    for _ in range(PURGE_STEPS if target.purge_due else 0):
        if dispatch.store.purge(dispatch.name, retention=dispatch.config.retention, limit=BATCH) < BATCH:
            return


def _repair_run(dispatch: Dispatch, run_id: str) -> None:
    for _ in range(LOST_PER_SWEEP // MAX_LOST):
        swept = _sweep_run(dispatch, run_id, grace=dispatch.config.sweep_interval)
        published = sum(len(names) for _, names in swept.publish)
        dispatch.emit_repairs(run_id, swept.repairs, published=published)
        _act_on(dispatch, run_id, swept)
        if len(swept.repairs.lost) < MAX_LOST or swept.run is not None:
            return


def go_on(dispatch: Dispatch, run_id: str) -> None:
    """Publish items that a pause left unpublished, and open pages, without waiting for a sweep."""
    swept = _sweep_run(dispatch, run_id, grace=timedelta(0))
    dispatch.emit_repairs(run_id, swept.repairs)
    _act_on(dispatch, run_id, swept)


def _sweep_run(dispatch: Dispatch, run_id: str, *, grace: timedelta) -> Swept:
    config = dispatch.config
    return dispatch.store.sweep_run(
        dispatch.name,
        run_id,
        lease=dispatch.definition.lease,
        redispatch_after=config.redispatch_after,
        grace=grace,
        max_attempts=config.max_attempts,
        limit=PUBLISHED_PER_SWEEP,
    )


def _act_on(dispatch: Dispatch, run_id: str, swept: Swept) -> None:
    """Act on the repair of a run: emit its end, cancel the rest, publish items, open pages."""
    if swept.run is not None:
        dispatch.emit_finish(swept.run)
        return
    if swept.stopping:
        dispatch.stop(run_id, StopReason.ABORTED)
    _publish(dispatch, run_id, swept)
    dispatch.advance(run_id)


def _publish(dispatch: Dispatch, run_id: str, swept: Swept) -> None:
    """Send items in batches, but those that may have killed their worker in messages of their own."""
    for on, names in swept.publish:
        for single in (False, True):
            chosen = [name for name in names if (name in swept.single) is single]
            for start in range(0, len(chosen), BATCH):
                if not dispatch.publish(run_id, on, tuple(chosen[start : start + BATCH]), single=single):
                    return  # the broker is away and is tried once a sweep
