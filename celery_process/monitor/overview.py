"""How far a process is, in the numbers that every view shows: the terminal, Flower, Django's admin.

`overview` is pure; `read_overview` reads its arguments from the store, in a bounded number of reads. No view is known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery_process.engine.removed import RemovedProcess
from celery_process.process import Process
from celery_process.protocol.model import ErrorEntry, Pause, ProcessState, RunStatus, StoredProcess
from celery_process.protocol.states import RunState, WorkList
from celery_process.protocol.tolerance import Tolerance

SHORTEST = timedelta(seconds=0.5)
"""A rate over less time than this means nothing."""
FADES = timedelta(seconds=30)
"""In the rate of an open run, computed from an earlier overview, progress this long ago weighs 1/e."""
FARTHEST = timedelta(days=365)
"""A longer remaining time is not reported: nobody would wait for it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A process at an instant, with its schedule.

    `fraction`, `done`, `total`, `slot`, `started_at` and the errors are those of its open run, or else of its last run.
    `state` is the run's, or None for a process that never ran. `total` is the number of items that the run has enlisted
    or, while it is open and more are listed, the number listed: an estimate, and too high for a redrive. `rate` is in items
    a second. `limit` is how many errors the run tolerates; None where it tolerates any number, or where `percent` applies
    to an unknown number. `last_outcome` is how the last closed run ended, where it is known; `next_slot` is None while the
    process is paused. `defined`: this app's code has the process.
    """

    process: str
    at: datetime
    schedule_frequency: Any
    state: RunState | None
    run_id: str | None
    fraction: float | None
    done: int
    total: int
    rate: float | None
    remaining: timedelta | None
    errors: int
    limit: int | None
    last_outcome: RunState | None
    next_slot: datetime | None
    paused: Pause | None
    last_error: ErrorEntry | None
    slot: datetime | None
    started_at: datetime | None
    defined: bool

    @property
    def is_open(self) -> bool:
        """Whether a run is under way."""
        return self.state is not None and self.state.is_open


def overview(
    store_state: ProcessState,
    now: datetime,
    *,
    tolerance: Tolerance,
    next_slot: datetime | None = None,
    listed: int | None = None,
    last_closed: RunStatus | None = None,
    earlier: Overview | None = None,
) -> Overview:
    """Return the overview of a process at the store's `now`.

    `listed`: how many items are on the lists that a run takes. `last_closed`: the last run that ended, if the present one
    is open. `earlier`: an overview of some seconds ago, whose rate is updated; without it the rate is the mean since the
    run's start.
    """
    run = store_state.run
    if run is None:
        return Overview(
            process=store_state.name,
            at=now,
            schedule_frequency=store_state.schedule_frequency,
            state=None,
            run_id=None,
            fraction=None,
            done=0,
            total=0,
            rate=None,
            remaining=None,
            errors=0,
            limit=tolerance.run_limit(listed) if listed is not None else tolerance.per_run,
            last_outcome=None,
            next_slot=None if store_state.paused else next_slot,
            paused=store_state.paused,
            last_error=None,
            slot=None,
            started_at=None,
            defined=store_state.defined,
        )
    same = earlier if earlier is not None and earlier.run_id == run.id else None
    done, is_open = run.counts.ended, run.state.is_open
    total = max(run.counts.enlisted, listed or 0, same.total if same is not None else 0) if is_open else run.counts.enlisted
    rate = _rate(run, now, same)
    closed = last_closed if is_open else run
    return Overview(
        process=store_state.name,
        at=now,
        schedule_frequency=store_state.schedule_frequency,
        state=run.state,
        run_id=run.id,
        fraction=_fraction(done, total, is_open=is_open),
        done=done,
        total=total,
        rate=rate,
        remaining=_remaining(total - done, rate) if is_open and store_state.paused is None else None,
        errors=run.total_errors,
        limit=tolerance.run_limit(total) if total or tolerance.percent is None else tolerance.per_run,
        last_outcome=closed.state if closed is not None else None,
        next_slot=None if store_state.paused else next_slot,
        paused=store_state.paused,
        last_error=run.errors[-1] if run.errors else None,
        slot=run.slot,
        started_at=run.started_at,
        defined=store_state.defined,
    )


def read_overview(
    process: Process | RemovedProcess, *, stored: StoredProcess | None = None, earlier: Overview | None = None
) -> Overview:
    """Read the overview of a process: its state, the run before an open one, and once a run how many items are listed.

    A caller that asks repeatedly passes the last answer as `earlier`: that saves the count and keeps the rate current.
    Pass `stored` to use a process that was just read instead of reading it again.
    """
    if isinstance(process, RemovedProcess):  # only the code has its tolerance and schedule
        return overview(process.state(), process.store.now(), tolerance=Tolerance(percent=None, per_run=None))
    store = process.store
    stored = store.process(process.name) if stored is None else stored
    now, current = store.now(), process.in_force(stored.overrides)
    run, listed, last_closed = stored.run, None, None
    if run is not None and run.state.is_open:
        if earlier is None or earlier.run_id != run.id:
            listed = listed_of(process)
        last_closed = next(iter(store.runs(process.name, before=run.epoch, limit=1)), None)
    return overview(
        process.state_of(stored),
        now,
        tolerance=process.definition.tolerance,
        next_slot=None if current is None else current.occurrences.following(now),
        listed=listed,
        last_closed=last_closed,
        earlier=earlier,
    )


def listed_of(process: Process) -> int:
    """Return how many items a run that begins now would take; some stores count, so the time may grow with the lists."""
    counts = process.work_counts()
    return sum(count for on, count in counts.items() if on is not WorkList.DROPPED)


def _rate(run: RunStatus, now: datetime, earlier: Overview | None) -> float | None:
    """Return the mean since the run's start or, with an earlier overview, one in which older progress weighs less."""
    done = run.counts.ended
    if earlier is None or earlier.rate is None or not run.state.is_open:
        return _mean(done, (run.finished_at or now) - run.started_at)
    since = now - earlier.at
    recent = _mean(done - earlier.done, since)
    if recent is None:
        return earlier.rate
    return earlier.rate + (recent - earlier.rate) * -math.expm1(-since / FADES)


def _mean(done: int, took: timedelta) -> float | None:
    return max(done, 0) / took.total_seconds() if took >= SHORTEST else None


def _fraction(done: int, total: int, *, is_open: bool) -> float | None:
    if total == 0:
        return None if is_open else 1.0
    return min(done / total, 1.0)


def _remaining(items: int, rate: float | None) -> timedelta | None:
    if items <= 0:
        return timedelta(0)
    if not rate or items / rate > FARTHEST.total_seconds():
        return None
    return timedelta(seconds=items / rate)
