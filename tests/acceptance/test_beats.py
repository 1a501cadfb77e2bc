"""Five beats at once: the store decides, so that each slot has exactly one run."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

import pytest

from celery_process import RunState

from .waiting import wait_for_quiet, wait_for_runs

SLOTS = int(os.environ.get("CP_TEST_SLOTS", "50"))
"""Slots of a second each; a fast run of the tests takes 12."""
SLOT = timedelta(seconds=1)
BEATS = 5
ITEMS = [f"price-{number}" for number in range(3)]
KEPT = {"runs": 1_000, "runs_with_items": 1_000}


@pytest.mark.parametrize("conf", [{"process_retention": KEPT}], indirect=True)
@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_five_beats_give_each_slot_one_run(celery_setup, processes, nodes, evidence, record_property):
    """Each slot that five beats bring has exactly one run, closed once; the ledger accounts for every slot."""
    prices = processes["prices"]
    prices.register_works(dict.fromkeys(ITEMS))
    beats = [nodes.beat(f"beat-{number}") for number in range(BEATS)]
    wait_for_runs(prices, SLOTS, within=2 * SLOTS + 90)
    for beat in beats:
        beat.kill()
    runs = wait_for_quiet(prices)

    assert {run.state for run in runs} == {RunState.COMPLETED}
    assert {run.generation for run in runs} == {0}
    slots = [run.slot for run in runs]
    assert len(set(slots)) == len(slots) >= SLOTS
    assert prices.state().aggregate_stats["runs"] == len(runs)
    assert all(evidence.executions(run=run.id) == dict.fromkeys(ITEMS, 1) for run in runs)

    accounted = Counter()
    for entry in prices.slots():
        slot = entry.slot
        while slot > (entry.after or entry.slot - SLOT):
            accounted[slot] = accounted[slot] + 1
            slot -= SLOT
    # The first slots may be late, where the workers are not ready yet.
    first, last = min(accounted), max(accounted)
    count = (last - first) // SLOT + 1
    assert accounted == dict.fromkeys((first + number * SLOT for number in range(count)), 1)
    assert set(slots) <= set(accounted)
    ran = [entry for entry in prices.slots() if entry.run_id is not None]
    assert sorted(entry.run_id for entry in ran) == sorted(run.id for run in runs)
    logs = [beat.logs().count("Sending due task prices.schedule") for beat in beats]
    record_property("slots run of slots passed", f"{len(runs)} of {count}")
    record_property("triggers by beat", str(logs))
    record_property("slots by their end", str(dict(Counter(entry.end.value for entry in prices.slots()))))
    assert sum(logs) > 2 * len(runs)
