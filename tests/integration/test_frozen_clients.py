"""A client that is frozen between a SELECT … FOR UPDATE and its COMMIT: nobody waits for it beyond a bound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, StopReason, WorkState
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.bounds import USUAL

LEASE = timedelta(seconds=30)
FROZEN = """
import sys
from celery_process.stores.sql import SqlStore
store = SqlStore(sys.argv[1], table_prefix="frozen_")
def hold(tx):
    for noun in ("item", "run", "process"):
        tx.conn.exec_driver_sql(f"SELECT * FROM frozen_{noun} FOR UPDATE")
    print("held", flush=True)
    sys.stdin.read()
store._ready.write("hold", hold)
"""


@pytest.fixture(params=["postgresql", "mysql"])
def held(request: pytest.FixtureRequest) -> Iterator[tuple[SqlStore, str, str]]:
    """Give a store with a run of a process, of which two items are claimed."""
    store = SqlStore(request.getfixturevalue(f"{request.param}_url"), table_prefix="frozen_")
    store.migrate()
    process = f"p-{uuid4().hex}"
    store.register(process, dict.fromkeys("abc", "{}"))
    now = store.now()
    claim = store.claim_run(process, uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="")
    assert claim.run is not None
    run = claim.run.id
    store.open_page(process, run, token="page", size=500, window=1000)
    store.claim(process, run, ["a", "b"], token="t", lease=LEASE, max_attempts=3)
    yield store, process, run
    store.close()


def operations(store: SqlStore, process: str, run: str) -> dict[str, Callable[[], Any]]:
    """Return what processes do that come upon the rows."""
    report = ItemReport("a", 1, Totals({"x": 1}), 0, 0, WorkState.COMPLETED, attempt=1)
    return {
        "report": lambda: store.report(process, run, [report], token="t", lease=LEASE),
        "claim": lambda: store.claim(process, run, ["c"], token="u", lease=LEASE, max_attempts=3),
        "sweep": lambda: store.sweep_run(
            process, run, lease=LEASE, redispatch_after=LEASE, grace=LEASE, max_attempts=3, limit=10
        ),
        "cancel": lambda: store.stop_run(process, run, StopReason.CANCELLED),
    }


def within(store: SqlStore, act: Callable[[], Any]) -> tuple[float, bool]:
    """Return how long an operation took, tried again once as its callers do, and whether it was done."""
    began, done = time.monotonic(), False
    for _ in range(2):
        try:
            act()
        except StoreUnavailable:
            continue
        done = True
        break
    return time.monotonic() - began, done


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
def test_frozen(held: tuple[SqlStore, str, str]) -> None:
    """Its server ends the transaction within seconds: reports, claims, sweeps and a cancel are done while it is frozen."""
    store, process, run = held
    url = store._db.address.url.render_as_string(hide_password=False)
    child = subprocess.Popen([sys.executable, "-c", FROZEN, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        os.kill(child.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert store.begin_sweep([process], interval=LEASE, grace=LEASE) == ()
        assert time.monotonic() - began < USUAL.lock, "the sweep waits for nobody"
        acts = operations(store, process, run)
        with ThreadPoolExecutor(len(acts)) as pool:
            took = dict(zip(acts, pool.map(lambda act: within(store, act), acts.values()), strict=True))
        assert all(done for _, done in took.values()), took
        assert max(seconds for seconds, _ in took.values()) < LEASE.total_seconds() / 2, took
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
def test_held_by_another(held: tuple[SqlStore, str, str]) -> None:
    """A lock that is not the store's to bound is an outage of seconds, and the transaction of a caller waits as theirs does."""
    store, process, run = held
    engine = sa.create_engine(store._db.address.url)
    with engine.begin() as conn:
        conn.exec_driver_sql("SELECT * FROM frozen_item FOR UPDATE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"55P03|1205"):
            operations(store, process, run)["report"]()
        assert time.monotonic() - began < LEASE.total_seconds() / 2
    assert operations(store, process, run)["report"]() is not None
    timeouts = "SHOW lock_timeout" if engine.dialect.name == "postgresql" else "SELECT @@innodb_lock_wait_timeout"
    with engine.begin() as conn:
        before = conn.exec_driver_sql(timeouts).scalar()
        store.register(process, {"d": "{}"}, using=conn)
        assert conn.exec_driver_sql(timeouts).scalar() == before
    engine.dispose()


@pytest.mark.server("postgresql")
@pytest.mark.server("mysql")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_statement(request: pytest.FixtureRequest, kind: str) -> None:
    """A statement ends after seconds as well; a migration may take its time."""
    store = SqlStore(request.getfixturevalue(f"{kind}_url"), table_prefix="frozen_")
    store.migrate()
    asked = {"postgresql": "SHOW statement_timeout", "mysql": "SELECT @@max_statement_time"}[kind]
    usual = store._db.write("asked", lambda tx: tx.conn.exec_driver_sql(asked).scalar())
    with store._db.patient() as patient:
        longer = patient.write("asked", lambda tx: tx.conn.exec_driver_sql(asked).scalar())
    assert (str(usual), str(longer)) == {"postgresql": ("7s", "1h"), "mysql": ("7.0", "3600.0")}[kind]
    store.close()
