"""Folds of the SQL store: items that are alike are kept inside the database, the others one by one, to the same end."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.instants import from_us
from celery_process.protocol.model import ErrorEntry, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, RunState, WorkList, WorkState
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.folds import KINDS

NAMES = [f"n{number:02}" for number in range(24)]
LEASE = timedelta(seconds=30)
COMPLETED, INCOMPLETE = WorkState.COMPLETED, WorkState.INCOMPLETE


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server("postgresql"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a migrated database."""
    url = f"sqlite:///{tmp_path}/process.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    store = SqlStore(url)
    store.migrate()
    store.close()
    return str(url)


@pytest.mark.parametrize("kinds", [1, KINDS, KINDS + 1, 9])
@pytest.mark.parametrize("kind", [int, float])
def test_each_item_keeps_what_it_counted(url: str, kinds: int, kind: type[int | float]) -> None:
    """Whether few kinds of items are folded by the database or many one by one: statuses, sums and rows are the same."""
    store, process = SqlStore(url), f"p-{uuid4().hex[:8]}"
    store.register(process, dict.fromkeys(NAMES, "{}"))
    claim = store.claim_run(
        process, uuid="u", slot=SlotRef(from_us(0), from_us(0)), spec=RunSpec(), again=Again.ALWAYS, by=""
    )
    assert claim.run is not None
    run = claim.run.id
    store.open_page(process, run, token="page", size=500, window=1000)
    claims = store.claim(process, run, NAMES, token="t", lease=LEASE, max_attempts=3)
    reports = []
    for number, given in enumerate(claims):
        error = (ErrorEntry("broken", store.now(), given.name),) if number in (3, 4) else ()
        totals = Totals({"x": kind(number % kinds)}, {"y": 1}, error, len(error))
        outcome = INCOMPLETE if number == 4 else COMPLETED
        reports.append(ItemReport(given.name, 1, totals, given.params_version, 0, outcome, given.attempt))
    assert store.report(process, run, reports, token="t", lease=LEASE).page_closed
    store.open_page(process, run, token="end", size=500, window=1000)

    ended = store.run(process, run)
    assert (ended.state, ended.counts.completed, ended.counts.incomplete) == (RunState.COMPLETED, 23, 1)
    assert ended.stats["work.x"] == sum(number % kinds for number in range(24))
    assert (ended.stats["y"], ended.stats["workItems"], ended.total_errors) == (24, 24, 2)
    shown = {work.name: work.status for work in store.works(process, on=WorkList.ACTIVE, after="", limit=100)}
    assert [shown[name].stats["x"] for name in NAMES] == [number % kinds for number in range(24)]
    assert Counter(status.total_errors for status in shown.values()) == {0: 22, 1: 2}
    assert {status.attempt for status in shown.values()} == {1}
    assert all(status.started_at is not None for status in shown.values())
    assert [name for name in NAMES if shown[name].state is not COMPLETED] == [NAMES[4]]
    engine = sa.create_engine(url)
    with engine.connect() as conn:
        left = (
            conn.execute(sa.text("SELECT name FROM cp_item WHERE process = :process"), {"process": process}).scalars().all()
        )
    engine.dispose()
    store.close()
    assert left == [NAMES[4]]
