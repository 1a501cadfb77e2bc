"""A fault planted into the memory store is found by the simulation and by the state machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from celery_process.protocol import exchange, page, rules, sweep
from celery_process.protocol.entities import Item
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import ItemState, RunState, WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.testing.simulation import simulate
from tests.protocol.machine import store_machine


class Planted(MemoryStore):
    """A store whose own steps run with a part of the protocol replaced."""

    part: tuple[Any, str]
    """Where the part stands, and its name; `fault` gets the part itself before its arguments."""
    of_operation = ""
    """The only operation in which it is replaced; empty for all."""

    def fault(self, part: Callable[..., Any], *args: Any) -> Any:
        raise NotImplementedError

    def atomically(self, operation, process, step, *, using=None):
        if self.of_operation not in ("", operation):
            return super().atomically(operation, process, step, using=using)
        part = getattr(*self.part)
        with patch.object(*self.part, lambda *args: self.fault(part, *args)):
            return super().atomically(operation, process, step, using=using)


class AnyToken(Planted):
    """Lets whoever was late write an item that somebody else holds."""

    part = (exchange, "_report")

    def fault(self, part, unit, run, item, report, token, lease):
        held = item is not None and item.state is ItemState.CLAIMED
        return part(unit, run, item, report, item.token if held else token, lease)


class CountedTwice(Planted):
    """Adds the stats of an item again when its last report is repeated."""

    part = (exchange, "_report")

    def fault(self, part, unit, run, item, report, token, lease):
        if item is not None and item.token == token and item.state is ItemState.DONE and run.state.is_open:
            run.stats = rules.sum_stats([run.stats, rules.item_stats(item.state, item.outcome, item.on, item.totals)])
        return part(unit, run, item, report, token, lease)


class LateSequence(Planted):
    """Takes an older report for a newer one."""

    part = (exchange, "_report")

    def fault(self, part, unit, run, item, report, token, lease):
        late = item is not None and report.sequence <= item.sequence and item.token == token
        if late and item.state is ItemState.CLAIMED:
            report = replace(report, sequence=item.sequence + 1)
        return part(unit, run, item, report, token, lease)


class AnyVersion(Planted):
    """Drops an item that was registered again while it was cleaned up."""

    part = (exchange, "_drop_if_clean")

    def fault(self, part, unit, item):
        work = unit.works([item.name]).get(item.name)
        if work is not None and item.on is WorkList.CLEANUP:
            work.on, item.version = WorkList.CLEANUP, work.version
        part(unit, item)


class DirtyDrop(Planted):
    """Drops an item whose cleanup failed."""

    part = (exchange, "_drop_if_clean")

    def fault(self, part, unit, item):
        work = unit.works([item.name]).get(item.name)
        if item.on is WorkList.CLEANUP and work is not None and work.on is WorkList.CLEANUP:
            work.on = WorkList.DROPPED


class ClaimsWhileAborting(Planted):
    """Lets items be claimed in a run that is stopping."""

    part = (exchange, "_claim")

    def fault(self, part, unit, run, *claim):
        if run.state is not RunState.ABORTING:
            return part(unit, run, *claim)
        run.state = RunState.ACTIVE
        answer = part(unit, run, *claim)
        if run.state is RunState.ACTIVE:
            run.state = RunState.ABORTING
        return answer


class NoLeaseEnds(Planted):
    """Gives no item back whose holder died."""

    part = (Item, "expired")
    of_operation = "sweep_run"

    def fault(self, part, item, now):
        return False


class NobodyReturns(Planted):
    """Takes an item from its last holder when its lease ran out, though nobody claimed it."""

    part = (Item, "offer")
    of_operation = "sweep_run"

    def fault(self, part, item):
        part(item)
        item.token = ""


class NothingTold(MemoryStore):
    """Forgets that the end of a run was never told."""

    def begin_sweep(self, processes, **limits):
        return tuple(replace(target, unnotified=()) for target in super().begin_sweep(processes, **limits))


class ForgetsRepairs(Planted):
    """Answers what a sweep did once, and keeps nothing of it."""

    part = (sweep, "repairs")

    def fault(self, part, unit, run_id):
        run = unit.run(run_id)
        answer, run.repairs = part(unit, run_id), Repairs()
        return answer


class ClosesEarly(Planted):
    """Closes a run when no page is open, though its lists go on."""

    part = (exchange, "_report")

    def fault(self, part, unit, run, *report):
        if run.state is RunState.ACTIVE and unit.rows.count_open(run.epoch) == 1:
            run.cursor = None
        return part(unit, run, *report)


class AttemptAlone(Planted):
    """Takes a late outcome of an item that is gone for a repeat, whatever the item ended as."""

    part = (exchange, "_ended")

    def fault(self, part, unit, run, name):
        kept = unit.statuses([name]).get(name)
        return kept.status.attempt if kept is not None and kept.epoch == run.epoch else None


class NoRate(Planted):
    """Opens the next page before its time."""

    part = (page, "_early")

    def fault(self, part, *args):
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
