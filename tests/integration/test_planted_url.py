"""A password in the URL of a store is in nothing that the library writes, and long errors do not fill a store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_process import Processes, Tolerance, Work, signals
from celery_process.exceptions import StoreError
from celery_process.monitor.details import read_details
from celery_process.monitor.health import document, examine
from celery_process.monitor.jsonable import plain
from celery_process.monitor.secrets import Reader
from celery_process.stores.memory import MemoryStore
from celery_process.stores.sql import SqlStore
from tests.snapshots import snapshot

SECRET = "S3CRET-of-the-url"


def eager(store: Any) -> Processes:
    app = Celery("planted", set_as_current=False, broker="memory://")
    app.conf.task_always_eager = True
    return Processes(app, backend=store)


@pytest.fixture(params=["redis", "postgresql"])
def closed(request: pytest.FixtureRequest) -> str:
    """Give the URL of a server that refuses it, at once: by its password, or since there is no such database."""
    if request.param == "redis":
        start: Callable[..., str] = request.getfixturevalue("start_valkey")
        return start(requirepass="other").replace("://", f"://:{SECRET}@")
    url = sa.make_url(request.getfixturevalue("postgresql_url"))
    return url.set(password=SECRET, database="no_such_database").render_as_string(hide_password=False)


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """Give the payloads of all signals."""
    payloads: list[Any] = []

    def receive(**payload: Any) -> None:
        payloads.append({name: (repr(value), str(value)) for name, value in payload.items()})

    for signal in signals.BY_EVENT.values():
        signal.connect(receive, weak=False)
    yield payloads
    for signal in signals.BY_EVENT.values():
        signal.disconnect(receive)


def test_the_password_of_a_url(closed: str, sent: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """Not in the error that a handler records, nor in log, signals, stored rows, pages and health; the host is."""
    caplog.set_level(logging.DEBUG)
    other, processes = eager(closed), eager(MemoryStore())
    broken = other.process("far", schedule=60)(lambda work: None)
    errors: list[StoreError] = []

    @processes.process("near", schedule=None)
    def near(work: Work) -> None:
        try:
            broken.register_work("a", {"password": SECRET})
        except StoreError as error:
            errors.append(error)
            work.run.add_error(error)
            raise

    near.register_work("a")
    run = near.run_now()
    health = document(examine(other, patience=None))
    assert run.total_errors == 1  # it was recorded before it was raised
    assert sent
    seen = {
        "error": [(str(error), repr(error), error.facts) for error in errors],
        "signals": sent,
        "stored": repr(snapshot(processes.store)),
        "log": caplog.text,
        "page": json.dumps(plain(read_details(near, Reader.ADMIN)), default=str),
        "health": json.dumps(health),
        "url": broken.store.url,
    }
    assert [where for where, text in seen.items() if SECRET in str(text)] == []
    assert "127.0.0.1" in str(seen["error"])


def test_ten_megabytes_of_error_leave_a_store_small(tmp_path: Path) -> None:
    """A thousand errors of ten megabytes each make it grow by less than a five-thousandth of them."""
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    store.migrate()
    processes = eager(store)
    text, items, each = "broken " * 1_500_000, 20, 50

    @processes.process("p", schedule=None, tolerance=Tolerance(None, None))
    def process(work: Work) -> None:
        for _ in range(each):
            work.add_error(text)

    process.register_works(dict.fromkeys(map(str, range(items))))
    before = sum(file.stat().st_size for file in tmp_path.iterdir())
    run = process.run_now()
    assert run.total_errors == items * each
    store.close()
    grown = sum(file.stat().st_size for file in tmp_path.iterdir()) - before
    assert grown < items * each * len(text) / 5_000
