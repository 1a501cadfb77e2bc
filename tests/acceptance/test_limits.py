"""Limits of a process in real workers, changed while its run is under way."""

from __future__ import annotations

import pytest

from celery_process import RunState

from .waiting import wait_for, wait_for_end

NAMES = [f"mirror-{number:03}" for number in range(120)]
RATE = 10


@pytest.mark.parametrize(("broker_kind", "store_kind"), [("redis", "redis"), ("rabbitmq", "postgresql")], indirect=True)
def test_a_rate_holds_over_all_workers_and_changes_in_mid_run(celery_setup, processes, nodes, evidence):
    """Two workers together start no more than the rate allows; the next ones go as fast as it allows after a change."""
    mirror = processes["mirror"]
    mirror.register_works({name: {"seconds": 0} for name in NAMES})
    nodes.worker()
    mirror.update_limits(rate_limit=f"{RATE}/s", by="ada")
    run = mirror.run_now()
    wait_for(lambda: len(evidence.starts()) > 3 * RATE, what="four pages")

    began = run.started_at.timestamp()
    starts = sorted(start.at - began for start in evidence.starts())
    assert all(number <= RATE * (at + 2) for number, at in enumerate(starts, start=1)), starts
    assert len({start.pid for start in evidence.starts()}) > 1
    assert mirror.state().run.counts.enlisted < len(NAMES)

    mirror.update_limits(rate_limit="100/s", by="ada")
    run = wait_for_end(mirror, run.id)
    assert run.state is RunState.COMPLETED
    assert evidence.executions() == dict.fromkeys(NAMES, 1)
    assert (run.finished_at - run.started_at).total_seconds() < len(NAMES) / RATE - 1


def test_a_window_is_made_smaller_in_mid_run(processes, evidence, folder):
    """What is out stays out; from then on no more than the new window is."""
    export = processes["export"]
    names = [f"export-{number:03}" for number in range(400)]
    export.register_works({name: {"gate": "open"} for name in names})
    export.update_limits(max_in_flight=40)
    export.run_now()
    wait_for(lambda: len(evidence.starts()) >= 2, what="workers that wait")
    counts = export.state().run.counts
    assert counts.pending + counts.claimed == 40

    export.update_limits(max_in_flight=10, by="ada")
    (folder / "open").touch()
    most = []

    def through() -> bool:
        counts = export.state().run.counts
        if counts.enlisted > 40:
            most.append(counts.pending + counts.claimed)
        return not export.state().run.state.is_open

    wait_for(through, what="the run")
    assert most
    assert max(most) <= 10
    assert evidence.executions() == dict.fromkeys(names, 1)
