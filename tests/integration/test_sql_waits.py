"""What a write was decided on still stands when it is written: what commits while it waits for a row counts for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Reported, Totals
from celery_process.protocol.states import Again, ClaimAnswer, Progress, StopReason
from celery_process.stores.sql import SqlStore, stopping
from celery_process.stores.sql.keys import RunKey

LEASE = timedelta(seconds=30)
PATIENCE = 30.0
WAITING: Mapping[str, str] = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


@pytest.fixture(params=["postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> str:
    """Give the databases that lock rows."""
    return str(request.param)


@pytest.fixture
def run(store: SqlStore, process: str) -> str:
    """Return the id of a run with the item `a` on its only page."""
    store.register(process, {"a": "{}"})
    now = store.now()
    claim = store.claim_run(process, uuid=uuid4().hex, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
    assert claim.run is not None
    store.open_page(process, claim.run.id, token=uuid4().hex, size=500, window=1000)
    return claim.run.id


@contextmanager
def frozen(store: SqlStore, process: str, waits: Callable[[], Any]) -> Iterator[Any]:
    """Hold the item's row as a client that stands still does, until `waits` waits for it; give its future."""
    item, theirs = store._db.tables.item, sa.create_engine(store._db.address.url)
    with ThreadPoolExecutor(1) as pool, theirs.connect() as conn:
        conn.execute(sa.select(item.c.id).where(item.c.process == process).with_for_update()).all()
        future = pool.submit(waits)
        family = "postgresql" if conn.dialect.name == "postgresql" else "mysql"
        until = time.monotonic() + PATIENCE
        with theirs.connect() as looker:
            while not looker.execute(sa.text(WAITING[family])).scalar():
                looker.rollback()
                assert not future.done(), future.result()
                assert time.monotonic() < until
                time.sleep(0.2)  # MariaDB shows a list that nobody read for 0.1 s anew
        yield future
        conn.rollback()
    theirs.dispose()


def abort(store: SqlStore, process: str, run: str) -> None:
    """Commit the first transaction of a stop; the others wait for the items."""
    store._db.write("stop_run", stopping._stop, RunKey.of(process, run), StopReason.CANCELLED)


CHANGES: Mapping[str, tuple[Callable[[SqlStore, str, str], Any], ClaimAnswer]] = {
    "abort": (abort, ClaimAnswer.ABORTED),
    "pause": (lambda store, process, _: store.pause(process, note="", by=""), ClaimAnswer.PAUSED),
    "unregister": (lambda store, process, _: store.unregister(process, ["a"]), ClaimAnswer.REMOVED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_claim_waits(store: SqlStore, process: str, run: str, change: str) -> None:
    """A claim that waited for the item's row is refused for what was committed meanwhile."""
    commit, answer = CHANGES[change]

    def claim() -> ClaimAnswer:
        return store.claim(process, run, ["a"], token="late", lease=LEASE, max_attempts=3)[0].answer

    with frozen(store, process, claim) as future:
        commit(store, process, run)
    assert future.result(PATIENCE) is answer


def test_report_waits(store: SqlStore, process: str, run: str) -> None:
    """A report that waited for the item's row is answered by the run as it became meanwhile."""
    claim = store.claim(process, run, ["a"], token="held", lease=LEASE, max_attempts=3)[0]

    def report() -> Reported:
        renewal = ItemReport("a", 1, Totals(), claim.params_version, claim.settings_version, attempt=1)
        return store.report(process, run, [renewal], token="held", lease=LEASE)

    with frozen(store, process, report) as future:
        abort(store, process, run)
    told = future.result(PATIENCE)
    assert (told.items[0].progress, told.aborting) == (Progress.ABORTED, True)


def test_release_waits(store: SqlStore, process: str, run: str) -> None:
    """An item that was to be given back while the run was stopped is cancelled, and the run ends with it."""
    store.claim(process, run, ["a"], token="held", lease=LEASE, max_attempts=3)
    with frozen(store, process, lambda: store.release(process, run, ["a"], token="held")) as future:
        abort(store, process, run)
    closed = future.result(PATIENCE).run
    assert closed is not None
    assert closed.counts.cancelled == 1


def test_claim_waits_for_nothing(store: SqlStore, process: str, run: str) -> None:
    """A claim that waited for the item's row takes it where nothing was changed."""

    def claim() -> ClaimAnswer:
        return store.claim(process, run, ["a"], token="late", lease=LEASE, max_attempts=3)[0].answer

    with frozen(store, process, claim) as future:
        pass
    assert future.result(PATIENCE) is ClaimAnswer.CLAIMED
