"""Deletion past the retention, a chunk a unit: items of closed runs, runs, dropped registrations, the ledger's tail."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import islice

from celery_process.protocol.entities import Run
from celery_process.protocol.model import Retention
from celery_process.protocol.unit import Unit

CHUNK = 500
"""Rows that one unit deletes at most."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Epochs of the closed runs whose items are to be deleted, and of those of them that are to be deleted whole."""

    emptied: tuple[int, ...]
    gone: tuple[int, ...]


def mark(unit: Unit, retention: Retention) -> Marked:
    """Mark the closed runs whose items are to be deleted, and return them.

    They are marked before the first item is deleted, while the process's row is held, so that no redrive begins over a part
    of them. What the open run redrives stays until it is closed. A run that closes later requests a purge again.
    """
    head, open_run = unit.head(), unit.open_run()
    head.purge_due = False
    spared = () if open_run is None else (open_run.epoch, *open_run.redrives)
    closed = [run for run in _all_runs(unit) if not run.state.is_open]
    gone = [run.epoch for run in closed[retention.runs :] if run.epoch not in spared]
    old = [run for run in closed[min(retention.runs, retention.runs_with_items) :] if run.epoch not in spared]
    for run in old:
        run.items_purged = True
    return Marked(tuple(run.epoch for run in old), tuple(gone))


def delete(do: Callable[[Callable[[Unit], int]], int], marked: Marked, retention: Retention, limit: int) -> int:
    """Delete up to about `limit` rows, each chunk by `do`, in a unit of its own; return how many.

    Where more may be past the retention the next sweep purges again.
    """
    deleted = 0
    kinds = (
        partial(_items, epochs=marked.emptied),
        partial(_runs, epochs=marked.gone),
        partial(_dropped, retention=retention),
        partial(_slots, retention=retention),
    )
    for kind in kinds:
        while (most := min(CHUNK, limit - deleted)) > 0:
            done = do(partial(kind, most=most))
            deleted += done
            if done < most:
                break
    if deleted >= limit:
        do(_note_due)
    return deleted


def _all_runs(unit: Unit) -> list[Run]:
    runs = found = unit.runs(limit=CHUNK)
    while len(found) == CHUNK:
        found = unit.runs(before=found[-1].epoch, limit=CHUNK)
        runs = runs + found
    return runs


def _items(unit: Unit, *, epochs: Collection[int], most: int) -> int:
    return unit.rows.empty(epochs, limit=most) if epochs else 0


def _runs(unit: Unit, *, epochs: Collection[int], most: int) -> int:
    runs = (run for run in map(unit.run_of_epoch, epochs) if run is not None and not unit.rows.has_items(run.epoch))
    found = list(islice(runs, most))
    unit.delete(*found)
    return len(found)


def _dropped(unit: Unit, *, retention: Retention, most: int) -> int:
    found = unit.dropped(kept=retention.dropped, since=unit.now - retention.dropped_for, limit=most)
    unit.delete(*found)
    return len(found)


def _slots(unit: Unit, *, retention: Retention, most: int) -> int:
    over = min(unit.rows.count_entries() - retention.slots, most)
    found = unit.rows.oldest_entries(limit=over) if over > 0 else ()
    unit.delete(*found)
    return len(found)


def _note_due(unit: Unit) -> int:
    unit.head().purge_due = True
    return 0
