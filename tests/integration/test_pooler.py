"""PostgreSQL behind PgBouncer in transaction mode, and the options of the URL that have to do with connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from celery_process.exceptions import ConfigurationError
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, Progress, RunState, WorkState
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.options import WHERE_DIRECT, Options

LEASE = timedelta(seconds=30)
STORES, NAMES = 6, [f"n{number:03}" for number in range(120)]


def work_off(store: SqlStore, process: str, run: str, names: list[str]) -> set[Progress]:
    """Claim and report items, one by one."""
    found, token = set(), uuid4().hex
    for name in names:
        store.claim(process, run, [name], token=token, lease=LEASE, max_attempts=3)
        report = ItemReport(name, 1, Totals({"x": 1}), 0, 0, WorkState.COMPLETED)
        found |= {item.progress for item in store.report(process, run, [report], token=token, lease=LEASE).items}
        store.overrides(process)
    return found


@pytest.mark.server("postgresql")
def test_whole_run(pgbouncer_url: str) -> None:
    """A run is worked off over more connections than the pooler has sessions, and closes with each item counted once."""
    stores = [SqlStore(pgbouncer_url, table_prefix="pooled_") for _ in range(STORES)]
    stores[0].migrate()
    stores[0].check()
    process = f"p-{uuid4().hex}"
    stores[0].register(process, dict.fromkeys(NAMES, "{}"))
    now = stores[0].now()
    claim = stores[0].claim_run(process, uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="")
    assert claim.run is not None
    run = claim.run.id
    names = list(stores[0].open_page(process, run, token="page", size=500, window=1000).names)
    with ThreadPoolExecutor(STORES) as pool:
        parts = [names[first::STORES] for first in range(STORES)]
        found = pool.map(lambda store, part: work_off(store, process, run, part), stores, parts)
        assert set().union(*found) == {Progress.COMPLETED}
    assert stores[0].open_page(process, run, token="last", size=500, window=1000).run is not None
    closed = stores[1].run(process, run)
    assert (closed.state, closed.stats["work.x"]) == (RunState.COMPLETED, len(NAMES))
    for store in stores:
        store.close()


def prepared(store: SqlStore) -> int:
    """Return how many statements are prepared after a dozen operations."""
    for _ in range(12):
        store.register("p", {"a": "{}"})
        store.process("p")
    return int(store._db.peek("count", lambda tx: tx.conn.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements"))))


@pytest.mark.server("postgresql")
def test_prepared(postgresql_url: str) -> None:
    """Statements are prepared unless the URL says otherwise, and what begins a transaction is not."""
    for query, some in (("", True), ("?prepare_threshold=none", False), ("?prepare_threshold=2", True)):
        store = SqlStore(postgresql_url + query, table_prefix="prepared_")
        store.migrate()
        assert (prepared(store) > 0) is some, query
        store.close()


@pytest.mark.server("postgresql")
def test_prepared_behind_a_pooler(pgbouncer_url: str) -> None:
    """Behind a pooler, which tells its clients another number than that of the session, nothing is prepared."""
    store = SqlStore(pgbouncer_url, table_prefix="pooled_")
    store.migrate()
    assert prepared(store) == 0
    store.close()


class TestOptions:
    @pytest.mark.parametrize("scheme", ["sqlite:///x.db", "postgresql://h/d", "mysql://h/d"])
    def test_pool(self, scheme: str) -> None:
        """The size of the pool is the URL's to say, on every database."""
        store = SqlStore(f"{scheme}?pool_size=1&max_overflow=0&pool_timeout=2")
        pool: Any = store._db.engine.pool
        assert (pool.size(), pool._max_overflow, pool._timeout) == (1, 0, 2)
        assert "pool_size" not in store._db.address.url.query

    def test_by_default(self) -> None:
        """Without options it is each connection's to find out whether to prepare statements."""
        assert SqlStore("postgresql://h/d")._db.address.options == Options()
        assert Options().prepare_threshold == WHERE_DIRECT

    @pytest.mark.parametrize(
        ("url", "wrong"),
        [
            ("postgresql://h/d?pool_size=many", "whole number"),
            ("postgresql://h/d?pool_size=0", "at least one"),
            ("postgresql://h/d?prepare_threshold=-3", "or none"),
            ("postgresql://u:secret@h/d?no_such=1", "no_such"),
            ("mysql://u:secret@h/d?no_such=1", "no_such"),
            ("mysql://h/d?prepare_threshold=1", "prepare_threshold"),
        ],
    )
    def test_refused(self, url: str, wrong: str) -> None:
        """An option that nobody knows, or a value of another type, is refused where the store is opened."""
        with pytest.raises(ConfigurationError, match=wrong) as refused:
            SqlStore(url)
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://h/d?sslmode=require&target_session_attrs=read-write&host=a,b&options=-csearch_path%3Dx",
            "mysql://h/d?charset=utf8mb4&ssl_ca=x&read_timeout=3&unix_socket=/x",
        ],
    )
    def test_taken(self, url: str) -> None:
        """The driver's own options reach it."""
        assert SqlStore(url)._db.address.url.query
