"""The rest of S3: ends of items at a hundred SQL connections beside a plain update of one own row at each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from uuid import uuid4

import sqlalchemy as sa

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from celery_process.protocol.model import ItemClaim, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, WorkState
from celery_process.stores import open_store
from celery_process.stores.base import Store

CONNECTIONS = 100
LEASE = timedelta(minutes=10)


def _rate(acts: list[Callable[[], None]], number: int) -> float:
    """Return how often a second all threads together did their `number` each."""
    together = threading.Barrier(len(acts) + 1)

    def work(act: Callable[[], None]) -> None:
        together.wait()
        for _ in range(number):
            act()

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    together.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(acts) * number / (time.perf_counter() - begin)


def _end(store: Store, process: str, run: str, token: str, claims: Iterator[ItemClaim]) -> None:
    claim = next(claims)
    totals, versions = Totals({"items": 1}), (claim.params_version, claim.settings_version)
    report = ItemReport(claim.name, 1, totals, *versions, WorkState.COMPLETED, claim.attempt)
    store.report(process, run, [report], token=token, lease=LEASE)


def _finishes(url: str, threads: int, number: int) -> float:
    """Return ends of own items a second, one `report` each, with a store and its connection a thread."""
    process = f"ends-{uuid4().hex[:8]}"
    main = open_store(url)
    main.migrate()
    names = [f"item-{item:06}" for item in range(threads * number)]
    main.register(process, dict.fromkeys(names, "{}"))
    now = main.now()
    claimed = main.claim_run(
        process, uuid=uuid4().hex, slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="benchmarks"
    )
    assert claimed.run is not None
    run = claimed.run.id
    acts: list[Callable[[], None]] = []
    stores: list[Store] = []
    for first in range(0, len(names), 500):
        main.open_page(process, run, token=str(first), size=500, window=len(names))
    for thread in range(threads):
        store, token = open_store(url), uuid4().hex
        stores.append(store)
        mine = names[thread * number : (thread + 1) * number]
        claims = store.claim(process, run, mine, token=token, lease=LEASE, max_attempts=3)

        acts.append(partial(_end, store, process, run, token, iter(claims)))
    try:
        return _rate(acts, number)
    finally:
        for store in (*stores, main):
            store.close()


def _updates(url: str, threads: int, number: int) -> float:
    """Return updates of one own row a second, in a transaction each, with a connection a thread."""
    engine = sa.create_engine(url, pool_size=threads, isolation_level="READ COMMITTED")
    table = sa.Table(
        f"updates_{uuid4().hex[:8]}",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer),
    )
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"id": thread, "n": 0} for thread in range(threads)])

    def updating(thread: int) -> Callable[[], None]:
        statement = table.update().where(table.c.id == thread).values(n=table.c.n + 1)

        def act() -> None:
            with engine.begin() as connection:
                connection.execute(statement)

        act()
        return act

    try:
        return _rate([updating(thread) for thread in range(threads)], number)
    finally:
        table.drop(engine)
        engine.dispose()


def ends(options: Options) -> list[Figure]:
    """S3C: ends of items at 100 connections beside an update of one own row."""
    threads, number = (10, 5) if options.quick else (CONNECTIONS, 20)
    rounds = range(1 if options.quick else options.rounds)
    with servers.postgresql() as url:
        pairs = [(_finishes(url, threads, number), _updates(url, threads, number)) for _ in rounds]
    return [
        spread("S3C", f"ends at {threads} connections", [ends for ends, _ in pairs], unit="/s"),
        spread("S3C", f"updates at {threads} connections", [updates for _, updates in pairs], unit="/s"),
        spread("S3C", "ends : updates", [ends / updates for ends, updates in pairs], unit="×", least=0.8),
    ]
