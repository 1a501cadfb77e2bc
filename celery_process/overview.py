"""How a process is doing, as one small value for a terminal or a page. Pure: it reads no clock and no store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from celery_process.model import RunStatus
from celery_process.states import RunState
from celery_process.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class Overview:
    """The open or last run of a process in figures; `state` is None where it never ran.

    `total` of an open run is an estimate from above: all items that are listed now, even where a redrive takes fewer.
    `rate` is items a second since the run began, `remaining` what that rate makes of the rest; both are None where
    there is nothing to tell them from. `tolerated` is None where any number of errors is.
    """

    process: str
    paused: bool
    state: RunState | None
    done: int
    total: int
    rate: float | None
    remaining: timedelta | None
    errors: int
    tolerated: int | None
    last_outcome: RunState | None
    slot: datetime | None
    next_slot: datetime | None

    @property
    def fraction(self) -> float:
        """The share of the items that ended, 0 to 1; a closed run is at 1."""
        if self.state is not None and not self.state.is_open:
            return 1.0
        return self.done / self.total if self.total else 0.0


def overview(
    process: str,
    newest: tuple[RunStatus, ...],
    *,
    now: datetime,
    listed: int,
    tolerance: Tolerance,
    paused: bool = False,
    next_slot: datetime | None = None,
) -> Overview:
    """Return the overview of a process from its newest runs (two are enough), at the store's `now`."""
    run = newest[0] if newest else None
    closed = next((item.state for item in newest if not item.state.is_open), None)
    if run is None:
        limit = tolerance.run_limit(listed)
        return Overview(process, paused, None, 0, listed, None, None, 0, limit, None, None, next_slot)
    is_open = run.state.is_open
    done, total = run.counts.ended, max(run.counts.enlisted, listed) if is_open else run.counts.enlisted
    elapsed = ((run.finished_at or now) - run.started_at).total_seconds()
    rate = done / elapsed if done and elapsed > 0 else None
    remaining = timedelta(seconds=(total - done) / rate) if rate and run.state is RunState.ACTIVE and not paused else None
    return Overview(
        process=process,
        paused=paused,
        state=run.state,
        done=done,
        total=total,
        rate=rate,
        remaining=remaining,
        errors=run.total_errors,
        tolerated=tolerance.run_limit(total),
        last_outcome=closed,
        slot=run.slot,
        next_slot=next_slot,
    )
