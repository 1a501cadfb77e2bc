"""The story of a process: defined, registered, run by beat and a worker slot by slot, and read back."""

from __future__ import annotations

from datetime import timedelta

import celery
import pytest

from celery_process import RunState

from .waiting import wait_for_quiet, wait_for_runs

SLOT = timedelta(seconds=1)
ITEMS = {f"price-{units}": {"units": units} for units in range(5)}
STATS = {"workItems": 5, "work.checked": 5, "work.units": 10, "errors": 0, "runs": 1, "state.completed": 1}


def tell(processes, nodes, evidence, *, runs):
    """Let beat bring some slots; check each run by its stats and by what the handlers wrote down; return the runs."""
    prices = processes["prices"]
    prices.register_works(ITEMS)
    beat = nodes.beat()
    wait_for_runs(prices, runs, within=90 + 2 * runs)
    beat.kill()
    found = wait_for_quiet(prices)

    beat.assert_log_exists("Sending due task prices.schedule")
    for run in found:
        assert run.state is RunState.COMPLETED
        assert {name: run.stats[name] for name in STATS} == STATS
        assert run.slot.microsecond == 0
        assert timedelta(0) <= run.started_at - run.slot < 2 * SLOT
        assert evidence.executions(run=run.id) == dict.fromkeys(ITEMS, 1)
    slots = [run.slot for run in found]
    assert slots == sorted(set(slots))
    assert {start.run for start in evidence.starts()} == {run.id for run in found}
    return found


@pytest.mark.parametrize(
    ("broker_kind", "store_kind"),
    [("redis", "sqlite"), ("redis", "postgresql"), ("rabbitmq", "sqlite"), ("rabbitmq", "postgresql")],
    indirect=True,
)
def test_beat_and_a_worker_run_a_process_slot_by_slot(celery_setup, processes, nodes, evidence, command):
    """The entry of a process appears in beat by itself; each slot has one run, which closes with exact stats."""
    found = tell(processes, nodes, evidence, runs=3)

    said = command("show", "prices", "--json")
    assert said.status == 0, said.err
    shown = said.json["state"]
    assert shown["run"]["id"] == found[-1].id
    assert shown["run"]["state"] == "COMPLETED"
    assert shown["run"]["counts"]["completed"] == len(ITEMS)
    assert shown["schedule_frequency"] == 1.0
    assert shown["settings"] == {"step": 1}
    assert {name: shown["aggregate_stats"][name] for name in STATS} == {
        name: count * len(found) for name, count in STATS.items()
    }
    assert said.json["work_counts"]["active"] == len(ITEMS)


SPAWN = pytest.mark.skipif(celery.VERSION < (5, 7), reason="worker_pool_start_method came with Celery 5.7")


@pytest.mark.parametrize(
    ("worker_options", "conf", "worked_by"),
    [
        pytest.param(("--pool=prefork",), {}, "ForkPoolWorker", id="prefork"),
        pytest.param(("--pool=prefork",), {"worker_pool_start_method": "spawn"}, "SpawnPoolWorker", id="spawn", marks=SPAWN),
        pytest.param(("--pool=threads",), {}, "MainProcess", id="threads"),
        pytest.param(("--pool=solo",), {}, "MainProcess", id="solo"),
    ],
    indirect=["worker_options", "conf"],
)
def test_the_story_is_the_same_under_every_pool(celery_setup, processes, nodes, evidence, worked_by):
    """A process needs nothing of its pool: forked, spawned, threaded and solo workers end its runs alike."""
    tell(processes, nodes, evidence, runs=2)

    lines = celery_setup.worker.logs().splitlines()
    assert {worked_by in line for line in lines if "Task prices.work" in line and "succeeded" in line} == {True}
