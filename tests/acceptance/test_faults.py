"""What is killed, hangs or gets lost: the run ends all the same, and nothing is counted twice."""

from __future__ import annotations

import time

import pytest

from celery_process import RunState, WorkState

from .apps.shop import LEASE
from .conftest import SWEEP
from .waiting import wait_for, wait_for_end

SLACK = 60
"""Seconds that a machine with other things to do may need: to start a worker, to notice, to publish."""
ATTEMPTS = 3
"""The default of `process_max_attempts`."""


@pytest.mark.parametrize(("broker_kind", "store_kind"), [("redis", "sqlite"), ("rabbitmq", "postgresql")], indirect=True)
def test_an_item_of_a_killed_worker_runs_again(celery_setup, processes, nodes, evidence, folder, record_property):
    """SIGKILL to a worker and its children in mid-item: another worker, and no beat, end the run after lease and sweep."""
    export = processes["export"]
    export.register_works({"a": {}, "b": {"gate": "open"}, "c": {}})
    run = export.run_now()
    wait_for(lambda: evidence.starts(item="b"), what="the item that waits")
    wait_for(lambda: len(evidence.ends()) == 2, what="the items that do not wait")
    wait_for(lambda: export.state().run.counts.completed == 2, what="their reports")  # else they rightly run again

    celery_setup.worker.kill()
    killed_at = time.monotonic()
    assert celery_setup.worker.container.status == "exited"
    (folder / "open").touch()
    nodes.worker()
    run = wait_for_end(export, run.id, within=LEASE + SWEEP + SLACK)
    elapsed = time.monotonic() - killed_at
    record_property("seconds from SIGKILL to the end of the run", round(elapsed, 2))

    assert elapsed <= LEASE + SWEEP + SLACK
    assert run.state is RunState.COMPLETED
    assert (run.stats["workItems"], run.stats["work.exported"], run.stats["errors"]) == (3, 3, 0)
    first, second = evidence.starts(item="b")
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.token < second.token
    assert evidence.executions() == {"a": 1, "b": 1, "c": 1}


def test_an_item_that_kills_its_child_every_time_is_given_up(celery_setup, processes, evidence):
    """A poison item is lost after `process_max_attempts`: one error, the run INCOMPLETE, the other items COMPLETED."""
    thumbnails = processes["thumbnails"]
    good = [f"good-{number}" for number in range(6)]
    thumbnails.register_works({**dict.fromkeys(good), "poison": {"poison": True}})
    run = wait_for_end(thumbnails, thumbnails.run_now().id, within=ATTEMPTS * (LEASE + SWEEP + SLACK))

    assert (run.state, run.reason) == (RunState.INCOMPLETE, "lost")
    assert (run.counts.completed, run.counts.lost, run.counts.enlisted) == (6, 1, 7)
    assert (run.total_errors, run.stats["errors"], run.stats["work.drawn"]) == (1, 1, 6)
    assert [error.work for error in run.errors] == ["poison"]
    assert [start.attempt for start in evidence.starts(item="poison")] == list(range(1, ATTEMPTS + 1))
    assert thumbnails.work("poison").status.state is WorkState.INCOMPLETE
    assert {thumbnails.work(name).status.state for name in good} == {WorkState.COMPLETED}
    assert evidence.executions() == dict.fromkeys(good, 1)


@pytest.mark.parametrize(
    "worker_options", [pytest.param((), id="prefork"), pytest.param(("--pool=threads",), id="threads")], indirect=True
)
def test_a_handler_that_hangs_loses_its_item_at_the_time_limit(celery_setup, processes, evidence):
    """At `time_limit` the lease is not renewed any more, under any pool; the item runs again and the run closes."""
    crawl = processes["crawl"]
    crawl.register_works({"a": {}, "hangs": {"hangs": True}, "z": {}})
    run = wait_for_end(crawl, crawl.run_now().id, within=2 * LEASE + SWEEP + SLACK)

    assert run.state is RunState.COMPLETED
    assert (run.stats["workItems"], run.stats["work.crawled"]) == (3, 3)
    first, second = evidence.starts(item="hangs")
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.at - first.at >= LEASE  # the limit; the lease runs out after it
    assert crawl.work("hangs").status.attempt == 2


@pytest.mark.parametrize("conf", [{"process_redispatch_after": 2}], indirect=True)
@pytest.mark.parametrize(("broker_kind", "store_kind"), [("redis", "sqlite"), ("rabbitmq", "postgresql")], indirect=True)
def test_items_whose_messages_are_lost_are_published_again(celery_setup, processes, evidence):
    """A broker that loses every waiting message in mid-run holds a run up for `process_redispatch_after`, not for ever."""
    mirror = processes["mirror"]
    names = [f"page-{number:02}" for number in range(40)]
    mirror.register_works({name: {"seconds": 0.2} for name in names})
    run = mirror.run_now()
    wait_for(lambda: len(evidence.ends()) >= 4, what="some items")
    lost = celery_setup.app.control.purge()
    run = wait_for_end(mirror, run.id, within=60)

    assert lost > 10
    assert run.state is RunState.COMPLETED
    assert (run.counts.completed, run.stats["work.mirrored"]) == (40, 40)
    assert evidence.executions() == dict.fromkeys(names, 1)
