"""What every store decides alike, as pure functions: who may claim, what an item adds to its run, how a run ends.

A store reads rows, asks here, and writes with a compare-and-set; so two stores can only differ in how they keep rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from celery_process.exceptions import RunNotFound, RunOpen
from celery_process.jsontext import decode, encode
from celery_process.protocol.model import (
    REASON_LOST,
    ErrorEntry,
    LimitBroken,
    Overrides,
    RunSpec,
    RunStatus,
    Stats,
    WorkStatus,
)
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ClaimAnswer, ItemState, RunState, StopReason, WorkList, WorkState
from celery_process.protocol.stats import Number, add_stats
from celery_process.protocol.tolerance import Tolerance, exceeded

Cursor = tuple[WorkList, str]
"""Where the walk of a run stands: the list, and the last name taken from it."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
MAX_BACKOFF = timedelta(hours=1)
EVEN_WAITS = 6
"""How often an unclaimed item is published again after the same wait while other items of its run are claimed."""


def passed(at: datetime, now: datetime, span: timedelta) -> bool:
    """Whether a span of time has passed since a stored instant.

    An instant more than a span in the future was stored under a wrong clock. It counts as past, else everything that waits
    for it would stand still until the clock gets there. One that is ahead by less may have been stored after `now` was read.
    """
    return now - at >= span or at - now > span


def seen_moving(now: datetime, instants: Iterable[datetime]) -> datetime:
    """Return the latest of the instants at which a run moved; instants in the future are left out."""
    return max((at for at in instants if at <= now), default=NEVER)


def run_id(epoch: int, uuid: str) -> str:
    """Return the id of a run; the uuid distinguishes runs of one epoch in a store that lost its last writes."""
    return f"{epoch}-{uuid}"


def epoch_of(run: str) -> int:
    """Return the epoch inside a run id; 0, which no run has, for any other text."""
    head = run.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) < 18 else 0


def effective(defaults: str, override: str | None) -> str:
    """Return the settings of a run: the code's defaults overlaid by those that `update_settings` stored (B5)."""
    return encode({**decode(defaults), **decode(override)}, argument="settings") if override else defaults


def restored(old: Overrides, given: Overrides) -> Overrides:
    """Return the overrides that a store keeps after it restores others; the version never decreases (I11)."""
    if (old.settings, old.schedule) == (given.settings, given.schedule):
        return given if given.version >= old.version else old
    version = given.version if given.version > old.version else old.version + 1
    return replace(given, version=version, changed_at=given.changed_at or old.changed_at)


def run_not_found(process: str, run: str) -> RunNotFound:
    """Return the error of a run that is not kept."""
    return RunNotFound(
        f"{process!r} keeps no run {run!r:.80}; `runs()` lists those that it keeps.", process=process, run=run
    )


def run_open(process: str, run: RunStatus) -> RunOpen:
    """Return the error of an operation that is refused while a run is open."""
    return RunOpen(
        f"Run {run.id} of {process!r} is open; let it end, or cancel it, and try again.", process=process, run=run
    )


def room(*, size: int, window: int, open_items: int) -> int:
    """Return how many names a new page may have; 0 if the window has no room for a whole page, so that pages stay few.

    Two pages fit into a window, so that workers have one while the next is published.
    """
    page = max(1, min(size, window // 2))
    return page if open_items + page <= window else 0


def claim_answer(
    *,
    run: RunState,
    paused: bool,
    item: ItemState,
    mine: bool,
    expired: bool,
    attempts_left: bool,
    listed: bool,
) -> ClaimAnswer:
    """Return whether a delivery may work on an item. `listed`: its name is still on the list it was enlisted from.

    The cap on attempts holds for items whose lease ran out: the sweep gives them up. A pending item may always be claimed,
    else one that is at a cap lowered in mid-run would never end (I14).
    """
    if item is ItemState.CLAIMED and mine:
        return ClaimAnswer.CLAIMED
    if item is ItemState.CANCELLED:
        return ClaimAnswer.ABORTED
    if item is ItemState.REMOVED:
        return ClaimAnswer.REMOVED
    if not item.is_open:  # in a closed run no item is
        return ClaimAnswer.DONE
    if run is RunState.ABORTING:
        return ClaimAnswer.ABORTED
    if paused:
        return ClaimAnswer.PAUSED
    if item is ItemState.CLAIMED and not (expired and attempts_left):
        return ClaimAnswer.BUSY
    return ClaimAnswer.CLAIMED if listed else ClaimAnswer.REMOVED


def walk_over(state: RunState, cursor: Cursor | None) -> bool:
    """Whether a run enlists nothing more: its cursor is at the end (None), or it was stopped."""
    return cursor is None or state is not RunState.ACTIVE


def listed_for(before: datetime, listed_at: datetime, now: datetime) -> bool:
    """Whether an item listed then belongs to a run that began at `before`; an instant in the future counts as past."""
    return listed_at <= before or listed_at > now


def walked(cursor: Cursor | None, on: WorkList, name: str) -> bool:
    """Whether a run with this cursor has passed a name of a list. The active list comes first."""
    if cursor is None:
        return True
    at, last = cursor
    return name <= last if at is on else at is WorkList.CLEANUP and on is WorkList.ACTIVE


def kept_after_fold(item: ItemState, outcome: WorkState | None) -> bool:
    """Whether an item is kept after its page was folded; of one that completed only the status is, so a run stays small."""
    return (item, outcome) != (ItemState.DONE, WorkState.COMPLETED)


def was_reported(outcome: WorkState | None, attempt: int, ended: int | None) -> bool:
    """Whether a report repeats the outcome of an item that was deleted with its page.

    `ended`: the attempt in the item's status; None if that is of another run or not COMPLETED, as of a lost item that was
    purged, whose holder must not be answered Completed. Only the holder of an attempt reports it.
    """
    return outcome is not None and attempt > 0 and attempt == ended


def new_errors(before: Totals, after: Totals) -> tuple[int, int]:
    """Return how many errors of the item and of the run a report adds; never negative."""
    return max(after.error_count - before.error_count, 0), max(after.run_error_count - before.run_error_count, 0)


def new_texts(before: Totals, after: Totals, now: datetime) -> tuple[tuple[ErrorEntry, ...], tuple[ErrorEntry, ...]]:
    """Return the error texts of the item and of the run that are new in a report, with the store's time (W5)."""
    of_work, of_run = after.errors[len(before.errors) :], after.run_errors[len(before.run_errors) :]
    return tuple(replace(entry, at=now) for entry in of_work), tuple(replace(entry, at=now) for entry in of_run)


def finish_time(outcome: WorkState, now: datetime) -> datetime | None:
    """Return when an item finished its work; one that ends INCOMPLETE did not (B22)."""
    return None if outcome is WorkState.INCOMPLETE else now


def is_clean(on: WorkList, outcome: WorkState, totals: Totals) -> bool:
    """Whether the item may be dropped: a cleanup that completed without an error of its own (I12, W28)."""
    return on is WorkList.CLEANUP and outcome is WorkState.COMPLETED and totals.error_count == 0


def work_state(item: ItemState, outcome: WorkState | None) -> WorkState | None:
    """Return the state that people see of an item that ended; None for a removed one, which does not count."""
    if item is ItemState.DONE:
        return outcome
    return {ItemState.CANCELLED: WorkState.ABORTED, ItemState.LOST: WorkState.INCOMPLETE}.get(item)


def status_seen(live: WorkStatus | None, last: WorkStatus | None, *, waits_in: str) -> WorkStatus:
    """Return what people see of an item: its last status until the open run's first claim of it, then that run's (B14).

    `live`: its status in the open run, None if it has none there; `waits_in`: that run's id while the item is unclaimed.
    """
    if live is None:
        return last or WorkStatus()
    if not waits_in:
        return live
    return replace((last if live.attempt == 0 else live) or WorkStatus(), waits_in=waits_in)


def count_name(item: ItemState, outcome: WorkState | None) -> str:
    """Return the field of `ItemCounts` that an item belongs to."""
    if item is ItemState.DONE and outcome is not None:
        return outcome.value.lower()
    return item.value


def item_stats(item: ItemState, outcome: WorkState | None, on: WorkList, totals: Totals) -> dict[str, Number]:
    """Return what an item that ended adds to the stats of its run (B21, B26, B30, and decisions 4 and 7).

    Only the winning attempt counts: a lost item adds no stats of its own.
    """
    stats: dict[str, Number] = {}
    if item is ItemState.CANCELLED:
        return {"workItemsAborted": 1}
    if item not in (ItemState.DONE, ItemState.LOST):
        return stats
    if on is WorkList.ACTIVE:
        stats["workItems"] = 1
    else:
        stats["workItemsCleaned" if item is ItemState.DONE and outcome is WorkState.COMPLETED else "workItemsDirty"] = 1
    if outcome is WorkState.ABORTED:
        stats["workItemsAborted"] = 1
    if item is ItemState.DONE:
        add_stats(stats, totals.run_stats)
        add_stats(stats, {f"work.{name}": count for name, count in totals.stats.items()})
    return stats


def closing(state: RunState, reason: str, lost: int) -> tuple[RunState, str]:
    """Return the state and reason with which a run closes that enlists nothing more and has no open page."""
    if state is RunState.ABORTING:
        return (RunState.ABORTED if reason == StopReason.ABORTED else RunState.INCOMPLETE), reason
    return (RunState.INCOMPLETE, REASON_LOST) if lost else (RunState.COMPLETED, "")


def finish_stats(stats: Stats, *, state: RunState, total_errors: int, duration: timedelta) -> dict[str, Number]:
    """Return the stats with which a run closes; all of them are added to the aggregate (B36)."""
    return {
        "workItems": 0,
        **stats,
        "errors": total_errors,
        "duration": max(duration.total_seconds(), 0.0),
        "runs": 1,
        f"state.{state.value.lower()}": 1,
    }


def sum_stats(parts: Iterable[Stats]) -> dict[str, Number]:
    """Return the sum of stats, name by name."""
    total: dict[str, Number] = {}
    for part in parts:
        add_stats(total, part)
    return total


def spec_limit(spec: RunSpec, listed: int) -> int | None:
    """Return how many errors the run tolerates when `listed` items are on its active list."""
    return Tolerance(per_run=spec.run_limit, percent=spec.percent).run_limit(listed)


def redispatch_wait(dispatches: int, after: timedelta, *, moved: bool) -> timedelta:
    """Return how long an item waits for a claim before it is published again in a run that stands still.

    `dispatches`: how often it was published since it was last claimed, released or taken from a holder. The wait doubles
    with each, up to an hour. If the run `moved`, other items of it were claimed since, so workers are there: then the wait
    doubles from the seventh on. In a queue that moves more slowly than `after` messages are not lost, only late, and each
    repeat would be one more message.
    """
    doublings = dispatches - (EVEN_WAITS if moved else 1)
    return min(after * 2.0 ** min(max(doublings, 0), 20), max(MAX_BACKOFF, after))


def redispatch_waits(after: timedelta, *, moved: bool) -> tuple[timedelta, ...]:
    """Return `redispatch_wait` for 0, 1, 2, … dispatches while it grows; the last one holds for all that follow."""
    waits = [redispatch_wait(count, after, moved=moved) for count in range(EVEN_WAITS + 21)]
    return tuple(waits[: waits.index(waits[-1]) + 1])


def published_again(now: datetime, dispatched_at: datetime, dispatches: int, after: timedelta, seen: datetime) -> bool:
    """Whether an item that nobody claimed is published again; `seen`: when its run last moved."""
    return passed(dispatched_at, now, redispatch_wait(dispatches, after, moved=seen > dispatched_at))


def limit_broken(work: str, errors: int, work_limit: int | None, *, total: int, run_limit: int | None) -> LimitBroken | None:
    """Return the limit that an error of an item breaks: the item's own, else that of the run, else None.

    `errors` are those of the item over all its attempts, `total` those of the run, this one among them.
    """
    if work_limit is not None and exceeded(errors, work_limit):
        return LimitBroken(work, errors, work_limit)
    return LimitBroken(None, total, run_limit) if run_limit is not None and exceeded(total, run_limit) else None


def lost_text(attempts: int) -> str:
    """Return the error of an item whose last attempt ended without a report."""
    return f"Lost: {attempts} attempts ended without an outcome (killed, hung, or out of reach of the store)."
