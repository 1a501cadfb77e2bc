"""What the SQL store asks of its database: each step by an index, and no more of them the longer a run is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_process.protocol.states import StopReason
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from tests.protocol.driver import MINUTE, Driver

Asked = Callable[[Callable[[], Any]], list[list[str]]]


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Driver]:
    """Give the driver of a process in a database that has another one."""
    clock = MovableClock()
    store = SqlStore(f"sqlite:///{tmp_path}/store.db", clock=clock)
    store.migrate()
    Driver(store, "other", clock).run_through("a")
    yield Driver(store, "p", clock)
    store.close()


@pytest.fixture
def asked(drive: Driver) -> Iterator[Asked]:
    """Give a function that returns the plans of SQLite for the statements of an act."""
    plans: list[list[str]] = []

    def explain(conn: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = conn.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append([row[3] for row in rows])

    def asked(act: Callable[[], Any]) -> list[list[str]]:
        plans.clear()
        act()
        return list(plans)

    assert isinstance(drive.store, SqlStore)
    engine = drive.store._db.engine
    sa.event.listen(engine, "before_cursor_execute", explain)
    yield asked
    sa.event.remove(engine, "before_cursor_execute", explain)


def test_by_an_index(drive: Driver, asked: Asked) -> None:
    """No step of a run walks over a table."""

    def live() -> None:
        run = drive.start("a", "b", "c", "d", cleanup=("x",))
        drive.page(run, size=2)
        drive.take(run, "a").finish(errors=1)
        token = drive.take(run, "b").token
        drive.release(run, "b", token=token)
        drive.take(run, "b").finish()
        drive.page(run, size=2)
        drive.take(run, "c")
        drive.clock.advance(MINUTE)
        drive.sweep(run)
        drive.targets()
        drive.stop(run, StopReason.SUPERSEDED)
        drive.store.ack_finish(drive.process, run)

    plans = asked(live)
    assert len(plans) > 50
    assert not [plan for plan in plans if any(line.startswith("SCAN cp_") for line in plan)]


def test_folded_pages(drive: Driver, asked: Asked) -> None:
    """A sweep asks the same with many pages behind it as with one."""
    run = drive.start(*"abcd")
    asks = []
    for _ in range(3):
        (name,) = drive.page(run, size=1).names
        asks.append(len(asked(lambda: drive.sweep(run))))
        drive.take(run, name).finish()
    assert len(set(asks)) == 1
