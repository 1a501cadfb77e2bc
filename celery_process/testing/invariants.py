"""The invariants of the run protocol, as far as the public reads of a store show them.

What compares two moments (a closed run never changes, a version never decreases) needs one `Invariants` kept over them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from celery_process.checks import MAX_ERROR
from celery_process.protocol.kept import MAX_RUN_ERRORS, MAX_WORK_ERRORS
from celery_process.protocol.model import ItemCounts, Overrides, RunStatus, SlotEntry, Stats, StoredProcess, WorkInfo
from celery_process.protocol.rules import sum_stats
from celery_process.protocol.states import RunState, SlotEnd, WorkList, WorkState
from celery_process.protocol.stats import MAX_STATS
from celery_process.stores.base import Store

PAGE = 200


def check_invariants(store: Store, process: str) -> None:
    """Raise AssertionError, naming the invariant, where what the store shows of `process` breaks one.

    Reads in several operations: nothing else may write meanwhile.
    """
    Invariants(store, process).check()


def ensure(invariant: str, holds: object, fact: str) -> None:
    """Raise AssertionError with the invariant and the fact that broke it."""
    if not holds:
        raise AssertionError(f"{invariant}: {fact}")


class Invariants:
    """Checks one process again and again, and remembers what it saw."""

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._process = process
        self._closed: dict[str, RunStatus] = {}
        self._aborting: dict[str, ItemCounts] = {}
        self._last: StoredProcess | None = None
        counted = store.process(process).aggregate_stats.get("runs", 0)
        self._gone = counted - sum(not run.state.is_open for run in self._runs())
        """Runs that were added up before and are not kept: purged, or those of another store."""

    def check(self) -> None:
        """Raise AssertionError, naming the invariant, where one is broken."""
        stored = self._store.process(self._process)
        runs, entries = list(self._runs()), list(self._slots())
        self._check_runs(stored, runs)
        for run in runs:
            self._check_run(run)
        self._check_aggregate(stored)
        self._check_overrides(stored.overrides)
        self._check_works()
        self._check_ledger(stored, runs, entries)
        self._last = stored

    def _runs(self) -> Iterator[RunStatus]:
        before = None
        while page := self._store.runs(self._process, before=before, limit=PAGE):
            yield from page
            before = page[-1].epoch

    def _slots(self) -> Iterator[SlotEntry]:
        before = None
        while page := self._store.slots(self._process, before=before, limit=PAGE):
            yield from page
            before = page[-1].slot

    def _works(self, on: WorkList) -> Iterator[WorkInfo]:
        after = ""
        while page := self._store.works(self._process, on=on, after=after, limit=PAGE):
            yield from page
            after = page[-1].name

    def _check_runs(self, stored: StoredProcess, runs: list[RunStatus]) -> None:
        ensure("I1", all(a.epoch > b.epoch for a, b in pairwise(runs)), f"epochs do not fall: {[run.epoch for run in runs]}")
        keys = [(run.slot, run.generation) for run in runs]
        ensure("I1", len(set(keys)) == len(keys), f"a slot has one generation twice: {keys}")
        for run in runs:
            ensure("I1", run.id.startswith(f"{run.epoch}-"), f"run id {run.id} does not begin with epoch {run.epoch}")
        opened = [run.id for run in runs if run.state.is_open]
        ensure("I2", len(opened) <= 1, f"several runs are open: {opened}")
        if opened:
            shown = stored.run.id if stored.run else None
            ensure("I2", shown == opened[0], f"the process shows run {shown}, but {opened[0]} is open")

    def _check_run(self, run: RunStatus) -> None:
        ensure("I13", len(run.errors) <= MAX_RUN_ERRORS, f"run {run.id} keeps {len(run.errors)} errors")
        ensure("I13", all(len(error.text) <= MAX_ERROR for error in run.errors), f"run {run.id} keeps a long error text")
        ensure("I8", run.total_errors >= len(run.errors), f"run {run.id} counts {run.total_errors} errors, keeps more")
        self._check_counts(run)
        if run.state.is_open:
            ensure("I3", run.finished_at is None, f"run {run.id} is open and finished at {run.finished_at}")
            if run.state is RunState.ABORTING:
                before = self._aborting.setdefault(run.id, run.counts)
                ensure("I9", run.counts.enlisted == before.enlisted, f"run {run.id} enlisted items while ABORTING")
                ensure("I9", run.counts.claimed <= before.claimed, f"run {run.id} let items be claimed while ABORTING")
                self._aborting[run.id] = run.counts
            return
        ensure(
            "I3", not run.counts.pending and not run.counts.claimed, f"run {run.id} is closed with open items: {run.counts}"
        )
        ensure("I3", run.finished_at is not None, f"run {run.id} is closed without a time")
        ensure("I4", run.stats.get("runs") == 1, f"run {run.id} counts {run.stats.get('runs')} runs")
        word = f"state.{run.state.value.lower()}"
        ended = [name for name in run.stats if name.startswith("state.")]
        ensure("I4", ended == [word] and run.stats[word] == 1, f"run {run.id} is {run.state} and counts {ended}")
        ensure("I8", run.stats.get("errors") == run.total_errors, f"run {run.id} counts its errors in two ways")
        before_run = self._closed.setdefault(run.id, run)
        ensure("I7", before_run == run, f"run {run.id} changed after its end: {before_run} became {run}")

    def _check_counts(self, run: RunStatus) -> None:
        counts, stats = run.counts, run.stats
        worked = sum(stats.get(name, 0) for name in ("workItems", "workItemsCleaned", "workItemsDirty"))
        ended = counts.completed + counts.incomplete + counts.aborted + counts.lost
        ensure("I5", worked == ended, f"run {run.id} counts {worked} worked items in its stats and {ended} in its counts")
        aborted = stats.get("workItemsAborted", 0)
        ensure("I5", aborted == counts.aborted + counts.cancelled, f"run {run.id}: workItemsAborted {aborted}, {counts}")

    def _check_aggregate(self, stored: StoredProcess) -> None:
        finished, seen = stored.aggregate_stats.get("runs", 0), len(self._closed)
        ensure("I4", self._gone >= 0, f"{-self._gone} runs that are closed were not added up")
        ensure("I4", finished == self._gone + seen, f"{seen} runs closed, {self._gone} before, and {finished} were added up")
        if self._gone:
            return  # so the sum cannot be made
        totals = sum_stats(run.stats for run in self._closed.values())
        for name in totals.keys() | stored.aggregate_stats.keys():
            total = totals.get(name, 0)
            shown = stored.aggregate_stats.get(name, 0)
            ensure("I4", math.isclose(total, shown, rel_tol=1e-9, abs_tol=1e-6), f"{name} adds up to {total}, not {shown}")

    def _check_overrides(self, overrides: Overrides) -> None:
        before = self._last.overrides if self._last else Overrides()
        ensure(
            "I11", overrides.version >= before.version, f"settings went from version {before.version} to {overrides.version}"
        )
        if overrides.version == before.version and self._last:
            same = (overrides.settings, overrides.schedule) == (before.settings, before.schedule)
            ensure("I11", same, f"settings changed within version {before.version}")

    def _check_works(self) -> None:
        seen: dict[str, WorkList] = {}
        counted = self._store.work_counts(self._process)
        for on in WorkList:
            names = []
            for work in self._works(on):
                ensure("I10", work.on is on, f"{work.name!r} is listed as {on} and says {work.on}")
                ensure("I10", work.name not in seen, f"{work.name!r} is on {on} and on {seen.get(work.name)}")
                seen[work.name] = on
                names.append(work.name)
                self._check_work(work)
            ensure("I10", names == sorted(names), f"list {on} is not in the order of code points")
            ensure("I10", counted[on] == len(names), f"list {on} counts {counted[on]} and has {len(names)}")

    def _check_work(self, work: WorkInfo) -> None:
        status = work.status
        ensure("I13", len(status.errors) <= MAX_WORK_ERRORS, f"{work.name!r} keeps {len(status.errors)} errors")
        ensure("I13", all(len(error.text) <= MAX_ERROR for error in status.errors), f"{work.name!r} keeps a long error text")
        ensure("I13", len(status.stats) <= MAX_STATS, f"{work.name!r} keeps {len(status.stats)} stats")
        ensure("I8", status.total_errors >= len(status.errors), f"{work.name!r} counts fewer errors than it keeps")
        if work.on is WorkList.DROPPED:
            ensure("I12", status.state is WorkState.COMPLETED, f"{work.name!r} was dropped and is {status.state}")

    def _check_ledger(self, stored: StoredProcess, runs: list[RunStatus], entries: list[SlotEntry]) -> None:
        ensure("I1", all(a.slot > b.slot for a, b in pairwise(entries)), "the ledger has a slot twice or out of order")
        by_slot = {entry.slot: entry for entry in entries}
        for run in runs:
            entry = by_slot.get(run.slot)
            if entry is not None:  # else the entry was purged
                ensure("I1", entry.end is SlotEnd.RAN, f"run {run.id} stands in the ledger as {entry.end}")
            ensure("I1", stored.last_slot and stored.last_slot >= run.slot, f"run {run.id} is later than the last slot")
        for entry in entries:
            ensure("I1", (entry.run_id is not None) == (entry.end is SlotEnd.RAN), f"the ledger says {entry}")
        before = self._last.last_slot if self._last else None
        ensure(
            "I1",
            before is None or (stored.last_slot and stored.last_slot >= before),
            f"the last slot went back from {before}",
        )


def same_stats(left: Stats, right: Stats) -> bool:
    """Whether two stats are equal but for what floats lose in adding up."""
    return left.keys() == right.keys() and all(
        math.isclose(count, right[name], rel_tol=1e-9, abs_tol=1e-6) for name, count in left.items()
    )
