"""A fault planted into the memory store is found by the simulation and by the state machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from celery_process.protocol import rules
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import ItemAnswer
from celery_process.protocol.states import ItemState, Progress, RunState, WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.testing.simulation import simulate
from tests.protocol.machine import store_machine


class AnyToken(MemoryStore):
    """Lets whoever was late write an item that somebody else holds."""

    def _report(self, row, run, report, token, lease):
        item = run.items.get(report.name)
        held = item is not None and item.state is ItemState.CLAIMED
        return super()._report(row, run, report, item.token if held else token, lease)


class CountedTwice(MemoryStore):
    """Adds the stats of an item again when its last report is repeated."""

    def _report(self, row, run, report, token, lease):
        item = run.items.get(report.name)
        if item is not None and item.token == token and item.state is ItemState.DONE and run.state.is_open:
            run.stats = rules.sum_stats([run.stats, rules.item_stats(item.state, item.outcome, item.on, item.totals)])
        return super()._report(row, run, report, token, lease)


class LateSequence(MemoryStore):
    """Takes an older report for a newer one."""

    def _report(self, row, run, report, token, lease):
        item = run.items.get(report.name)
        late = item is not None and report.sequence <= item.sequence and item.token == token
        if late and item.state is ItemState.CLAIMED:
            report = replace(report, sequence=item.sequence + 1)
        return super()._report(row, run, report, token, lease)


class AnyVersion(MemoryStore):
    """Drops an item that was registered again while it was cleaned up."""

    def _drop(self, row, item):
        work = row.works.get(item.name)
        if work is not None and item.on is WorkList.CLEANUP:
            work.on, item.version = WorkList.CLEANUP, work.version
        super()._drop(row, item)


class DirtyDrop(MemoryStore):
    """Drops an item whose cleanup failed."""

    def _drop(self, row, item):
        work = row.works.get(item.name)
        if item.on is WorkList.CLEANUP and work is not None and work.on is WorkList.CLEANUP:
            work.on = WorkList.DROPPED


class ClaimsWhileAborting(MemoryStore):
    """Lets items be claimed in a run that is stopping."""

    def _claim(self, process, run, name, token, lease, max_attempts):
        found = self._run(process, run)
        if found is None or found.state is not RunState.ABORTING:
            return super()._claim(process, run, name, token, lease, max_attempts)
        found.state = RunState.ACTIVE
        answer = super()._claim(process, run, name, token, lease, max_attempts)
        if found.state is RunState.ACTIVE:
            found.state = RunState.ABORTING
        return answer


class NoLeaseEnds(MemoryStore):
    """Gives no item back whose holder died."""

    def sweep_run(self, process, run, **limits):
        found = self._run(process, run)
        held = {name: item.lease_until for name, item in found.items.items()} if found else {}
        for name in held:
            found.items[name].lease_until = None
        swept = super().sweep_run(process, run, **limits)
        for name, until in held.items():
            if name in found.items and found.items[name].state is ItemState.CLAIMED:
                found.items[name].lease_until = until
        return swept


class NobodyReturns(MemoryStore):
    """Takes an item from its last holder when its lease ran out, though nobody claimed it."""

    def sweep_run(self, process, run, **limits):
        swept, found = super().sweep_run(process, run, **limits), self._run(process, run)
        for item in found.open_items() if found else ():
            if item.state is ItemState.PENDING:
                item.free()
        return swept


class NothingTold(MemoryStore):
    """Forgets that the end of a run was never told."""

    def begin_sweep(self, processes, **limits):
        return tuple(replace(target, unnotified=()) for target in super().begin_sweep(processes, **limits))


class ForgetsRepairs(MemoryStore):
    """Answers what a sweep did once, and keeps nothing of it."""

    def sweep_run(self, process, run, **limits):
        swept, found = super().sweep_run(process, run, **limits), self._run(process, run)
        if found is not None:
            found.repairs = Repairs()
        return swept


class ClosesEarly(MemoryStore):
    """Closes a run when no page is open, though its lists go on."""

    def report(self, process, run, reports, **named):
        found = self._run(process, run)
        if found is not None and found.state is RunState.ACTIVE and len(found.open_items()) == 1:
            found.cursor = None
        return super().report(process, run, reports, **named)


class AttemptAlone(MemoryStore):
    """Takes a late outcome of an item that is gone for a repeat, whatever the item ended as."""

    def _report(self, row, run, report, token, lease):
        status = row.ended(report.name, run.epoch)
        if report.name not in run.items and report.outcome and status is not None and status.attempt == report.attempt:
            return ItemAnswer(report.name, Progress.COMPLETED), False
        return super()._report(row, run, report, token, lease)


class NoRate(MemoryStore):
    """Opens the next page before its time."""

    def _early(self, row, run, token, rate):
        return None


def find(store: type[MemoryStore], seeds: int, **more: Any) -> str:
    """Return the first line of what the first seeds find."""
    for seed in range(seeds):
        try:
            simulate(seed, make_store=lambda clock: store(clock=clock), **more)
        except AssertionError as error:
            return str(error).splitlines()[0]
    return "nothing"


PLANTED = [
    (AnyToken, "I6"),
    (CountedTwice, "I5"),
    (LateSequence, "I8"),
    (AnyVersion, "I10"),
    (DirtyDrop, "I12"),
    (ClaimsWhileAborting, "I9"),
    (NoLeaseEnds, "I14"),
    (NobodyReturns, "late"),
    (NothingTold, "I14"),
    (ForgetsRepairs, "told"),
    (ClosesEarly, "I15"),
    (AttemptAlone, "I15"),
    (NoRate, "rate"),
]


@pytest.mark.parametrize(("store", "invariant"), PLANTED)
def test_simulation(store: type[MemoryStore], invariant: str) -> None:
    """The first 600 seeds break the invariant that the fault is about."""
    assert invariant in find(store, 600)


@pytest.mark.parametrize("store", [store for store, _ in PLANTED if store is not AttemptAlone])
def test_machine(store: type[MemoryStore]) -> None:
    """The state machine tells the store from the reference; a purge between a claim and its report it seldom meets."""
    depth = settings(
        max_examples=300,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(store_machine(lambda clock: store(clock=clock)), settings=depth)
