"""Texts that mean harm to an interpreter are kept as they are, and calls that are refused leave no byte behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_process import Process, ProcessError, Processes, Tolerance, Work
from celery_process.stores.base import Store
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore
from celery_process.testing.clock import MovableClock
from tests.hostile import NOW, VALUES, WITHOUT_TEXT, payloads
from tests.snapshots import snapshot

PAYLOADS = payloads("hostile_work")


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an open store of each kind, whose clock stands still."""
    clock = MovableClock(NOW)
    made: Store
    if request.param == "redis":
        made = RedisStore(request.getfixturevalue("redis_url"), key_prefix=f"hostile-{uuid4().hex[:8]}:", clock=clock)
    else:
        url = f"sqlite:///{tmp_path}/s.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
        made = SqlStore(url, table_prefix="hostile_", clock=clock)
        made.migrate()
    yield made
    made.close()


@pytest.fixture
def processes(store: Store) -> Processes:
    app = Celery("hostile", set_as_current=False)
    app.conf.task_always_eager = True
    return Processes(app, backend=store)


def test_payloads_come_back(processes: Processes, store: Store) -> None:
    """As names, params, settings, stats, errors, notes and who did it: 200 texts, each as it went in."""
    assert len(set(PAYLOADS)) == 200
    seen: dict[str, Any] = {}

    def handler(work: Work) -> None:
        seen[work.name] = (work.params["text"], work.settings[work.name])
        work.add_stats(work.name)
        work.add_error(f"a {work.name}")

    name = f"p-{uuid4().hex[:8]}"
    process = processes.process(name, schedule=None, batch_size=50, tolerance=Tolerance(None, None))(handler)
    texts = {text: text for text in PAYLOADS}
    process.update_settings(texts, by=PAYLOADS[0])
    process.register_works({text: {"text": text, text: [text]} for text in PAYLOADS})
    process.unregister_works([])
    run = process.run_now(by=PAYLOADS[1])
    assert seen == {text: (text, text) for text in PAYLOADS}
    assert process.state().settings == texts
    assert run.total_errors == 200
    for work in process.works():
        assert work.params == {"text": work.name, work.name: [work.name]}
        assert work.status is not None
        assert work.status.stats == {work.name: 1}
        assert [error.text for error in work.status.errors] == [f"a {' '.join(work.name.split())}"]
    assert sorted(work.name for work in process.works()) == sorted(PAYLOADS)
    assert {stat.removeprefix("work.") for stat in run.stats if stat.startswith("work.")} >= set(PAYLOADS)
    for text in PAYLOADS[:40]:
        process.pause(text, by=text)
        paused = process.state().paused
        assert paused is not None
        assert (paused.note, paused.by) == (text, text)
    process.resume()
    assert next(process.slots()).by == PAYLOADS[1]
    assert set(process.unregister_works(PAYLOADS)) == set(PAYLOADS)


def test_no_payload_was_a_statement(processes: Processes, store: Store) -> None:
    """Neither a table nor a key of another process is gone, and no item changed its state."""
    other = processes.process(f"o-{uuid4().hex[:8]}", schedule=None)(lambda work: None)
    other.register_works({"a": {"x": 1}})
    mine = processes.process(f"p-{uuid4().hex[:8]}", schedule=None)(lambda work: None)
    before = other.state(), other.work("a"), other.work_counts()
    for text in PAYLOADS:
        mine.register_work(text, {"text": text})
        with pytest.raises(ProcessError):
            mine.redrive(text)
        with pytest.raises(ProcessError):
            mine.work(f"{text}.")
    assert (other.state(), other.work("a"), other.work_counts()) == before
    if isinstance(store, SqlStore):
        assert set(sa.inspect(store._db.engine).get_table_names()) >= {
            table.name for table in store._db.tables.metadata.sorted_tables
        }


VERBS: dict[str, Callable[[Process, Any], Any]] = {
    "register_work": lambda process, value: process.register_work(value),
    "params": lambda process, value: process.register_works({"new": {}, "other": value}),
    "unregister_works": lambda process, value: process.unregister_works(["a", value]),
    "settings": lambda process, value: process.update_settings(value),
    "schedule": lambda process, value: process.update_settings({"ttl": 3}, schedule=value),
    "version": lambda process, value: process.update_settings({"ttl": 3}, expected_version=value),
    "by": lambda process, value: process.update_settings({"ttl": 3}, by=value),
    "max_in_flight": lambda process, value: process.update_limits(max_in_flight=value),
    "note": lambda process, value: process.pause(value),
    "slot": lambda process, value: process.run_now(value),
    "redrive": lambda process, value: process.redrive(value),
    "work": lambda process, value: process.work(value),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_refused_leaves_nothing(processes: Processes, store: Store, verb: str) -> None:
    """All rows, or a DUMP of all keys, are as before; what is accepted can be read."""
    process = processes.process(f"p-{uuid4().hex[:8]}", schedule=None, settings={"ttl": 1})(lambda work: None)
    process.register_works({"a": {"x": 1}, "b": None})
    process.run_now()
    process.update_settings({"ttl": 2})
    before, refused = snapshot(store), 0
    for value in [*VALUES[::5], *WITHOUT_TEXT]:
        try:
            VERBS[verb](process, value)
        except (TypeError, ValueError, LookupError, RuntimeError) as refusal:
            assert isinstance(refusal, ProcessError), value  # noqa: PT017 - whether it is refused is what is asked
            refused += 1
            assert snapshot(store) == before, value
        else:
            process.resume()
            json.dumps(process.state().settings)
            assert process.state_of(store.process(process.name)).name == process.name
            assert all(work.name for work in process.works())
            before = snapshot(store)
    assert refused
