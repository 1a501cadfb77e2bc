"""Schedulers that keep rows: row and process agree, whoever changes which, with real beats and without a restart."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from .market import market
from .waiting import closed_runs, wait_for, wait_for_runs

SECOND = timedelta(seconds=1)
SCHEDULERS = {
    "django": "django_celery_beat.schedulers:DatabaseScheduler",
    "redbeat": "redbeat.RedBeatScheduler",
    "sqlalchemy": "sqlalchemy_celery_beat.schedulers:DatabaseScheduler",
}


@pytest.fixture(params=SCHEDULERS)
def kind(request):
    """Give the kind of the scheduler."""
    return request.param


@pytest.fixture
def bazaar(kind, redis_url, tmp_path, monkeypatch):
    """Give an app with that scheduler; the store is another database than the scheduler's."""
    conf = {
        "broker_url": redis_url,
        "task_default_queue": f"cp-test-{uuid4().hex[:8]}",
        "process_backend": f"sqlite:///{tmp_path}/process.db",
        "process_sweep_interval": 1,
        "broker_connection_retry_on_startup": True,
        "result_expires": None,
        "beat_dburi": f"sqlite:///{tmp_path}/beat.db",
        "redbeat_redis_url": redis_url,
        "redbeat_key_prefix": f"cp-test-{uuid4().hex[:8]}:",
        "redbeat_lock_key": None,  # else one of the two beats waits for the end of the other
    }
    with market(kind, SCHEDULERS[kind], tmp_path, conf, monkeypatch) as made:
        yield made


def slots_of(process):
    return [run.slot for run in closed_runs(process)]


def gaps(slots):
    return [later - earlier for earlier, later in pairwise(slots)]


def wait_for_gap(process, gap):
    """Wait until the last three slots are `gap` apart."""
    wait_for(lambda: gaps(slots_of(process))[-2:] == [gap, gap], what=f"slots {gap} apart")


def wait_for_row(bazaar, **wanted):
    def found():
        row = bazaar.ask("row")
        return row is not None and row.items() >= wanted.items()

    wait_for(found, what=f"a row with {wanted}")


def test_row_and_process_agree_whoever_changes_which(bazaar):
    """Two beats make one row; each side follows the other's schedule and pause; a restart keeps what the row says."""
    prices = bazaar.prices
    bazaar.worker()
    beats = [bazaar.beat("one"), bazaar.beat("two")]
    wait_for_row(bazaar, every=1.0, enabled=True)
    assert [task for task in bazaar.ask("tasks") if not task.startswith("celery.")] == ["prices.schedule"]
    changed = bazaar.ask("changed")
    wait_for_gap(prices, SECOND)
    assert bazaar.ask("changed") == changed  # a run is no change: the later of two changes wins
    assert bazaar.ask("names") == ["prices.schedule"]

    prices.update_settings(None, schedule=2, by="ops")
    wait_for_row(bazaar, every=2.0)
    wait_for_gap(prices, 2 * SECOND)

    bazaar.ask("edit", 1)
    wait_for(lambda: prices.schedule_frequency == SECOND, what="the row's schedule in the process")
    wait_for_gap(prices, SECOND)

    bazaar.ask("enable", False)
    wait_for(lambda: prices.state().paused, what="a pause")
    bazaar.ask("enable", True)
    wait_for(lambda: not prices.state().paused, what="the end of the pause")
    before = len(closed_runs(prices))
    wait_for_runs(prices, before + 2)

    prices.pause("stocktaking", by="ops")
    wait_for_row(bazaar, enabled=False)
    assert prices.state().paused.note == "stocktaking"
    prices.resume()
    wait_for_row(bazaar, enabled=True)

    bazaar.end(*beats)
    bazaar.ask("edit", 3)
    bazaar.beat("three")
    wait_for(lambda: prices.schedule_frequency == 3 * SECOND, what="the row's schedule after a restart")
    wait_for(lambda: "Sending due task prices.schedule" in bazaar.log("three"), what="a trigger after the restart")
    assert bazaar.ask("row") == {"every": 3.0, "enabled": True}
    assert set(Counter(slots_of(prices)).values()) == {1}
    for name in ("one", "two", "three"):
        assert "Sending due task prices.schedule" in bazaar.log(name)
        assert "Traceback" not in bazaar.log(name)
        assert "could not be followed" not in bazaar.log(name)


@pytest.mark.parametrize("kind", ["django"], indirect=True)
def test_an_own_row_of_any_name_and_kind_is_followed(bazaar):
    """A row that was there is the schedule; a change without a signal is seen; a clocked row gives its one slot."""
    prices = bazaar.prices
    bazaar.ask("add", "mine", 2)
    bazaar.worker()
    bazaar.beat()
    wait_for_gap(prices, 2 * SECOND)
    assert bazaar.ask("names") == ["mine"]

    bazaar.ask("quietly", False)
    wait_for(lambda: prices.state().paused, what="a pause")
    bazaar.ask("quietly", True)
    wait_for(lambda: not prices.state().paused, what="the end of the pause")

    at = datetime.now(UTC).replace(microsecond=0) + 8 * SECOND
    bazaar.ask("at", at.isoformat())
    stock = bazaar.processes["stock"]
    wait_for(lambda: slots_of(stock), what=f"a run of {at}")
    assert slots_of(stock) == [at]
    assert not stock.state().paused
