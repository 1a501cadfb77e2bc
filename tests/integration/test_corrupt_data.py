"""What something else wrote under the store's names is `CorruptData` for its process, and holds up no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery
from redis import Redis

from celery_process import Processes, RunState
from celery_process.engine.sweep import sweep as sweep_all
from celery_process.exceptions import CorruptData, NotFound, WrongState
from celery_process.protocol.model import ErrorEntry, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, StopReason, WorkList, WorkState
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore

LEASE = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)
GARBAGE = ("broken{", "", "1\n2", "[5]")


def rising() -> Callable[[], datetime]:
    """Return a clock that is a millisecond on each time it is looked at."""
    looks = count()
    return lambda: datetime(2026, 5, 1, tzinfo=UTC) + timedelta(milliseconds=next(looks))


def prepared(store: Any) -> tuple[str, str]:
    """Make a closed run and an open one, which has an item claimed, one that ended with an error and one that waits."""
    store.update_settings("p", settings='{"a":1}', schedule='{"every":60}')
    store.register("p", {"a": '{"k":1}'})
    first = begin(store, "one")
    work_off(store, first, "a")
    assert store.open_page("p", first, token="end", size=9, window=9).run is not None
    store.register("p", dict.fromkeys("xyz", '{"k":1}'))
    run = begin(store, "two")
    assert run
    work_off(store, run, "x")
    store.claim("p", run, ["y"], token="t", lease=timedelta(microseconds=1), max_attempts=3)
    store.update_limits("p", max_in_flight=5, rate_limit="5/s", by="me")
    store.pause("p", note="n", by="me")
    return first, run


def begin(store: Any, uuid: str) -> str:
    now = store.now()
    claim = store.claim_run("p", uuid=uuid, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="me")
    return str(claim.run.id) if claim.run is not None else ""


def work_off(store: Any, run: str, name: str) -> None:
    store.open_page("p", run, token="page", size=9, window=9)
    store.claim("p", run, [name], token="t", lease=LEASE, max_attempts=3)
    error = ErrorEntry("failed", store.now(), name)
    report = ItemReport(name, 1, Totals({"s": 1.5}, {"r": 2}, (error,), 1, (error,), 1), 0, 0, WorkState.COMPLETED)
    store.report("p", run, [report], token="t", lease=LEASE)


def sweep(store: Any, run: str) -> Any:
    how = {"lease": LEASE, "redispatch_after": MINUTE, "grace": timedelta(0), "max_attempts": 3, "limit": 9}
    return store.sweep_run("p", run, **how)


READS: dict[str, Callable[[Any, str, str], Any]] = {
    "process": lambda s, _, __: s.process("p"),
    "overrides": lambda s, _, __: s.overrides("p"),
    "settings_history": lambda s, _, __: s.settings_history("p", limit=9),
    "run": lambda s, first, _: s.run("p", first),
    "runs": lambda s, _, __: s.runs("p", before=None, limit=9),
    "slots": lambda s, _, __: s.slots("p", before=None, limit=9),
    "works": lambda s, _, __: s.works("p", on=WorkList.ACTIVE, after="", limit=9),
    "work": lambda s, _, __: s.work("p", "x"),
    "work_counts": lambda s, _, __: s.work_counts("p"),
}
OF_MANY: dict[str, Callable[[Any, str, str], Any]] = {
    "newest_slots": lambda s, _, __: s.newest_slots(["p", "other"]),
    "schedules": lambda s, _, __: s.schedules(),
    "begin_sweep": lambda s, _, __: s.begin_sweep(["p", "other"], interval=timedelta(0), grace=timedelta(0)),
    "take_turns": lambda s, _, __: s.take_turns(["p", "other"], interval=timedelta(0)),
}
WRITES: dict[str, Callable[[Any, str, str], Any]] = {
    "sweep_run": lambda s, _, run: sweep(s, run),
    "open_page": lambda s, _, run: s.open_page("p", run, token="more", size=9, window=9),
    "claim": lambda s, _, run: s.claim("p", run, ["x", "y", "z"], token="u", lease=LEASE, max_attempts=3),
    "report": lambda s, _, run: work_off(s, run, "z"),
    "release": lambda s, _, run: s.release("p", run, ["y"], token="t"),
    "stop_run": lambda s, _, run: s.stop_run("p", run, StopReason.SUPERSEDED),
    "claim_run": lambda s, _, __: begin(s, "three"),
    "redrive": lambda s, first, _: s.redrive("p", first, uuid="four", spec=RunSpec(), by=""),
    "unregister": lambda s, _, __: s.unregister("p", ["x", "y", "z"]),
}


def corrupt(act: Callable[[Any, str, str], Any], *given: Any) -> bool:
    """Return whether an operation said that data are corrupt, with its own name and the process; else it was done."""
    said: CorruptData | None = None
    try:
        act(*given)
    except CorruptData as error:
        said = error
    except (NotFound, WrongState):  # another id, a purged run
        pass
    if said is not None:
        assert said.facts["operation"] in str(said)
        assert said.facts.get("process") == "p", said
        assert "'p'" in str(said)
        assert "broken{" not in str(said)
    return said is not None


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[tuple[RedisStore, Any]]:
    """Give a store with keys of its own, and a client."""
    store = RedisStore(redis_url, key_prefix=f"corrupt-{uuid4().hex[:8]}:", clock=rising())
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield store, client
    store.close()


def fields(client: Any, prefix: str) -> list[tuple[str, str]]:
    """Return each field of each hash of a process."""
    keys = sorted(client.scan_iter(match=f"{prefix}{{p}}:*", count=1000))
    return [(key, field) for key in keys if client.type(key) == "hash" for field in sorted(client.hkeys(key))]


@pytest.mark.server("redis")
class TestRedis:
    """Each field of each hash holds garbage, one at a time."""

    def test_reads(self, redis_store: tuple[RedisStore, Any]) -> None:
        """Whatever a field holds, each read is done or raises `CorruptData`; reads of many processes are always done."""
        store, client = redis_store
        runs = prepared(store)
        store.register("other", {"a": "{}"})
        found = set()
        for key, field in fields(client, store._client.prefix):
            before = client.hget(key, field)
            for garbage in GARBAGE:
                client.hset(key, field, garbage)
                found |= {name for name, act in READS.items() if corrupt(act, store, *runs)}
                for act in OF_MANY.values():
                    act(store, *runs)
            client.hset(key, field, before)
        assert found == set(READS) - {"work_counts", "settings_history"}

    @pytest.mark.parametrize("name", WRITES)
    def test_writes(self, redis_url: str, redis_store: tuple[RedisStore, Any], name: str) -> None:
        """Whatever a field holds, each write and each repair is done or raises `CorruptData`."""
        store, client = redis_store
        runs = prepared(store)
        if name in ("claim_run", "redrive"):
            store.stop_run("p", runs[1], StopReason.SUPERSEDED)
        store.resume("p")
        prefix = store._client.prefix
        with Redis.from_url(redis_url) as raw:
            kept = {key: raw.dump(key) for key in raw.scan_iter(match=f"{prefix}*", count=1000)}
            refused = []
            for key, field in fields(client, prefix):
                client.hset(key, field, "broken{")
                refused.append(corrupt(WRITES[name], store, *runs))
                raw.delete(*raw.scan_iter(match=f"{prefix}*", count=1000))
                for whole, value in kept.items():
                    raw.restore(whole, 0, value)
        assert any(refused) or name in ("release", "sweep_run")  # what they look at is no item of theirs any more
        assert not all(refused)

    def test_sweep(self, redis_url: str, redis_store: tuple[RedisStore, Any], caplog: pytest.LogCaptureFixture) -> None:
        """A sweep over a process whose key is of another type, and over one with a broken run, repairs the others."""
        store, client = redis_store
        app = Celery("corrupt", set_as_current=False, broker="memory://")
        app.conf.update(task_always_eager=True, process_sweep_interval=1)
        processes = Processes(app, backend=store)
        made = [processes.process(name, schedule=3600)(lambda work: None) for name in ("a", "b", "c", "d")]
        for process in made:
            process.register_work("x")
            store.claim_run(
                process.name, uuid="u", slot=SlotRef(store.now(), store.now()), spec=RunSpec(), again=Again.NEVER, by=""
            )
        prefix = store._client.prefix
        client.delete(f"{prefix}{{a}}:p")
        client.set(f"{prefix}{{a}}:p", "of another type")
        for key in client.scan_iter(match=f"{prefix}{{c}}:r:*"):
            client.hset(key, "counts", "broken{")
        store._client.tried("forget", lambda server: server.script_flush())
        swept = sweep_all({process.name: process.dispatch for process in made}, interval=timedelta(0))
        assert [target.process for target in swept] == ["b", "c", "d"]
        assert [next(made[place].runs()).state for place in (1, 3)] == [RunState.COMPLETED] * 2
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert [record.process_name for record in errors] == ["a", "c"]
        assert all(repr(record.process_name) in record.getMessage() for record in errors)


class TestSql:
    """Columns of a SQLite store that hold broken JSON, or a word that no enum has."""

    COLUMNS: ClassVar = {
        ("run", "state"): ("run", "runs", "process"),
        ("run", "errors"): ("run", "runs"),
        ("run", "stats"): ("run", "runs"),
        ("item", "totals"): ("works", "work"),
        ("item", "state"): ("works", "work"),
        ("work", "params"): ("works", "work"),
        ("work", "on_list"): ("work", "work_counts"),
        ("status", "errors"): ("works",),
        ("slot", "slot_end"): ("slots",),
        ("process", "aggregate_stats"): ("process",),
        ("process", "limits"): ("process",),
    }

    @pytest.mark.parametrize(("table", "column"), COLUMNS)
    def test_reads(self, tmp_path: Path, table: str, column: str) -> None:
        """Reads say so with the process; the beginning of a sweep is done all the same."""
        store = SqlStore(f"sqlite:///{tmp_path}/store.db", clock=rising())
        store.check()
        runs = prepared(store)
        with store._db.engine.connect() as conn, conn.begin():
            name = store._db.tables.process.name.removesuffix("process") + table
            assert conn.execute(sa.text(f'UPDATE "{name}" SET {column} = :garbage'), {"garbage": "broken{"}).rowcount
        for read in self.COLUMNS[table, column]:
            assert corrupt(READS[read], store, *runs), read
        begun = store.begin_sweep(["p", "other"], interval=timedelta(0), grace=timedelta(0))
        assert [target.process for target in begun] == ["p"]
        store.close()
