"""A run of thousands of items over two workers."""

from __future__ import annotations

import time

import pytest
from pytest_celery import CeleryWorkerCluster

from celery_process import RunState

from .apps.shop import WINDOW
from .backlog import sampled
from .waiting import wait_for_end

ITEMS = 5_000


@pytest.fixture
def celery_worker_cluster(celery_worker, nodes):
    """Give two workers."""
    cluster = CeleryWorkerCluster(celery_worker, nodes.worker())
    yield cluster
    cluster.teardown()


# A sweep publishes a page again that was not published within its interval, which a busy machine may need for hundreds.
@pytest.mark.parametrize("conf", [{"process_sweep_interval": 60}], indirect=True)
@pytest.mark.parametrize(("broker_kind", "store_kind"), [("redis", "sqlite"), ("rabbitmq", "postgresql")], indirect=True)
def test_a_run_of_thousands_keeps_its_window(celery_setup, processes, evidence, broker_kind, queue, record_property):
    """Each item is worked once and counted once, the run closes once, and the broker never holds more than the window."""
    stock = processes["stock"]
    names = [f"sku-{number:04}" for number in range(ITEMS)]
    stock.register_works(dict.fromkeys(names))
    with sampled(celery_setup.broker, broker_kind, queue=f"{queue}-stock", task="stock.work") as backlog:
        began = time.monotonic()
        run = wait_for_end(stock, stock.run_now().id, within=120)
        elapsed = time.monotonic() - began
    record_property("items a second", round(ITEMS / elapsed))
    record_property("most messages in the broker", backlog.most)
    record_property("samples", len(backlog.samples))

    assert run.state is RunState.COMPLETED
    assert run.counts.completed == run.counts.enlisted == ITEMS
    assert (run.stats["workItems"], run.stats["work.counted"], run.stats["errors"]) == (ITEMS, ITEMS, 0)
    assert stock.state().aggregate_stats["runs"] == 1
    assert evidence.executions() == dict.fromkeys(names, 1)
    assert len(evidence.starts()) == ITEMS
    ends = [
        line for worker in celery_setup.worker_cluster for line in worker.logs().splitlines() if f"Run {run.id} of" in line
    ]
    assert len(ends) == 1
    assert len(backlog.samples) > 50
    assert 0 < backlog.most <= WINDOW
