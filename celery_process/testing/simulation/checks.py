"""What holds once all is quiet: each run ended and its end was emitted, each slot has an entry, nothing counts twice."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from itertools import pairwise

from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import RunState, WorkList, WorkState
from celery_process.protocol.stats import Number, add_stats
from celery_process.testing.invariants import ensure, same_stats
from celery_process.testing.simulation.recorder import Finish, Recorder

OWN = ("workItems", "workItemsCleaned", "workItemsDirty", "workItemsAborted", "errors", "duration", "runs")


def check_end(recorder: Recorder, *, period: timedelta) -> tuple[RunStatus, ...]:
    """Raise AssertionError, naming the invariant, where the store and the recorder disagree; return the runs."""
    recorder.invariants.check()
    store, process = recorder.store, recorder.process
    runs = store.runs(process, before=None, limit=10_000)
    first = Counter(run.slot for run in runs if not run.generation)
    ensure("I1", max(first.values(), default=1) == 1, f"slots were run twice: {first}")
    for run in runs:
        ensure("I14", not run.state.is_open, f"run {run.id} does not end")
        ensure("I14", recorder.told[run.id], f"the end of run {run.id} was never told")
        told = sum(run_id == run.id for run_id, _ in recorder.told_lost)
        ensure("told", told == run.counts.lost, f"run {run.id} lost {run.counts.lost} items, and {told} were told")
        _check_run(recorder, run)
    _check_lists(recorder)
    _check_slots(recorder, period)
    overrides = store.overrides(process)
    ensure("I11", (overrides.settings, overrides.version) == recorder.settings, f"{recorder.settings} became {overrides}")
    return runs


def _check_run(recorder: Recorder, run: RunStatus) -> None:
    finishes = {name: finish for (run_id, name), finish in recorder.finishes.items() if run_id == run.id}
    ended = Counter(finish.outcome for finish in finishes.values())
    counts = (run.counts.completed, run.counts.incomplete, run.counts.aborted)
    seen = (ended[WorkState.COMPLETED], ended[WorkState.INCOMPLETE], ended[WorkState.ABORTED])
    ensure("I15", counts == seen, f"run {run.id} counts {counts} items ended, the recorder {seen}")
    stats: dict[str, Number] = {}
    for name, finish in finishes.items():
        _add(recorder, run, name, finish, stats)
    shown = {name: count for name, count in run.stats.items() if name not in OWN and not name.startswith("state.")}
    ensure("I5", same_stats(shown, stats), f"run {run.id} sums up to {shown}, its handlers counted {stats}")
    _check_errors(recorder, run, finishes)
    if run.state is RunState.COMPLETED:
        missing = sorted(set(recorder.frozen.get(run.id, {})) - set(finishes))
        ensure("I15", not missing, f"run {run.id} is COMPLETED without {missing}")


def _add(recorder: Recorder, run: RunStatus, name: str, finish: Finish, stats: dict[str, Number]) -> None:
    done = recorder.executions.get((run.id, name, finish.attempt))
    worked = done is not None and done.ended is not None and done.ended <= finish.at
    ensure("I15", worked, f"{name!r} of {run.id} ended in attempt {finish.attempt}, which no handler worked to its end")
    assert done is not None
    add_stats(stats, {f"work.{stat}": count for stat, count in done.stats.items()})
    add_stats(stats, done.run_stats)


def _check_errors(recorder: Recorder, run: RunStatus, finishes: dict[str, Finish]) -> None:
    lost = run.counts.lost
    least = lost + sum(finish.totals.error_count + finish.totals.run_error_count for finish in finishes.values())
    most = lost + sum(count for (run_id, _, _), count in recorder.sent_errors.items() if run_id == run.id)
    ensure("I8", least <= run.total_errors <= most, f"run {run.id} counts {run.total_errors} errors of {least} to {most}")


def _check_lists(recorder: Recorder) -> None:
    store, process = recorder.store, recorder.process
    shown = {work.name: on for on in WorkList for work in store.works(process, on=on, after="", limit=10_000)}
    for name, on in shown.items():
        kept = WorkList.CLEANUP if on is WorkList.DROPPED else on
        ensure("I10", recorder.lists.get(name) is kept, f"{name!r} is on {on}, last put on {recorder.lists.get(name)}")
        if on is WorkList.DROPPED:
            clean = [
                finish
                for (_, item), finish in recorder.finishes.items()
                if item == name and finish.outcome is WorkState.COMPLETED and not finish.totals.error_count
            ]
            ensure("I12", clean, f"{name!r} was dropped without a clean cleanup")
    ensure("I10", shown.keys() == recorder.lists.keys(), f"{sorted(shown.keys() ^ recorder.lists.keys())} lost or made up")


def _check_slots(recorder: Recorder, period: timedelta) -> None:
    entries = recorder.store.slots(recorder.process, before=None, limit=10_000)
    for newer, older in pairwise(entries):
        start = newer.slot - period if newer.after is None else newer.after
        # What landed late, of a slot before all others: nothing was missed since, the ledger had not begun.
        before_all = recorder.entered.get(older.slot, 0.0) > recorder.entered.get(newer.slot, math.inf)
        ensure(
            "slots",
            start <= older.slot or before_all,
            f"nobody accounts for the slots between {older.slot} and {newer.slot}",
        )
