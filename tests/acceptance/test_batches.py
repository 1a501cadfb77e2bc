"""Batches in real workers: what is killed, or told to go, in the middle of one repeats and loses nothing that ended."""

from __future__ import annotations

import pytest

from celery_process import RunState

from .waiting import wait_for, wait_for_end

NAMES = [f"parcel-{number:02}" for number in range(20)]


@pytest.mark.parametrize(("broker_kind", "store_kind"), [("redis", "sqlite"), ("rabbitmq", "postgresql")], indirect=True)
def test_a_killed_worker_gives_back_what_it_had_not_ended(celery_setup, processes, nodes, evidence, folder):
    """SIGKILL in the middle of a message of twenty: those that had ended stay so, the present one and the rest run again."""
    labels = processes["labels"]
    labels.register_works({name: {"gate": "open"} if name == "parcel-07" else {} for name in NAMES})
    run = labels.run_now()
    wait_for(lambda: evidence.starts(item="parcel-07"), what="the item that waits")
    wait_for(lambda: labels.state().run.counts.completed == 7, what="the outcomes of those before it")

    celery_setup.worker.kill()
    (folder / "open").touch()
    nodes.worker()
    run = wait_for_end(labels, run.id)

    assert run.state is RunState.COMPLETED
    assert (run.stats["workItems"], run.stats["work.printed"], run.stats["errors"]) == (20, 20, 0)
    assert evidence.executions() == dict.fromkeys(NAMES, 1)
    again = [start.item for start in evidence.starts() if start.attempt == 2]
    assert sorted(again) == NAMES[7:]
    assert len(evidence.starts()) == len(NAMES) + 1


def exited(container):
    """Whether a container has ended."""
    container.reload()
    return container.status == "exited"


def test_a_worker_that_is_told_to_go_gives_back_what_it_had_not_begun(celery_setup, processes, nodes, evidence):
    """A warm shutdown: the present item ends, the rest of its message goes to another worker at once and uses up no attempt."""
    labels = processes["labels"]
    labels.register_works({name: {"seconds": 0.5} for name in NAMES})
    run = labels.run_now()
    wait_for(lambda: len(evidence.ends()) >= 2, what="the first items")
    celery_setup.app.control.shutdown()
    wait_for(lambda: exited(celery_setup.worker.container), what="the worker to go")
    done = len(evidence.ends())
    assert done < len(NAMES) / 2
    assert labels.state().run.counts.completed == done

    nodes.worker()
    run = wait_for_end(labels, run.id)
    assert run.state is RunState.COMPLETED
    assert evidence.executions() == dict.fromkeys(NAMES, 1)
    assert {start.attempt for start in evidence.starts()} == {1}


def test_an_abort_stops_the_batches_of_others(celery_setup, processes, evidence):
    """One error too many in one message: the other messages give back what they have not begun, and it is cancelled."""
    labels = processes["labels"]
    names = [f"parcel-{number:03}" for number in range(200)]
    labels.register_works({name: {"seconds": 0.15, "torn": name == "parcel-005"} for name in names})
    run = wait_for_end(labels, labels.run_now().id)

    assert (run.state, run.reason) == (RunState.ABORTED, "aborted")
    torn_at = evidence.ends(item="parcel-005")[0].at
    late = [start.item for start in evidence.starts() if start.at > torn_at + 1]
    assert not late
    started = {start.item for start in evidence.starts()}
    assert run.counts.cancelled == len(names) - len(started) > 100
    assert evidence.executions() == dict.fromkeys(started, 1)
