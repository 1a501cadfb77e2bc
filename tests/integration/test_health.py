"""What `health.examine` says of each fault, with the real thing at fault."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_process import Processes
from celery_process.monitor import beat_slots
from celery_process.monitor.health import Finding, document, examine
from celery_process.stores.memory import MemoryStore
from celery_process.stores.sql.tables import Tables
from celery_process.testing.clock import MovableClock

MODULE = """
from celery import Celery
from celery_process import Processes

app = Celery("shop", broker={broker!r})
app.conf.update(task_default_queue={queue!r}, beat_enable_remote_control=True, beat_max_loop_interval=1)
processes = Processes(app, backend={backend!r})

@processes.process("ticks", schedule=1)
def ticks(work): ...
"""


class Programs:
    """An app in a module of its own, and its worker and beat as operating-system processes."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder, self.queue = folder, f"q{uuid4().hex[:10]}"
        backend = f"sqlite:///{folder}/process.db"
        self.name = f"shop_{self.queue}"
        (folder / f"{self.name}.py").write_text(MODULE.format(broker=broker, queue=self.queue, backend=backend))
        self.app = Celery("shop", broker=broker, set_as_current=False)
        self.app.conf.update(task_default_queue=self.queue, beat_enable_remote_control=True)
        self.processes = Processes(self.app, backend=backend)
        self.process = self.processes.process("ticks", schedule=1)(lambda work: None)

    @contextlib.contextmanager
    def run(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "celery", "-A", self.name, *arguments]
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            running = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(self.folder)}
            )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGCONT)
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def worker(self, *options: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        fast = ("--without-gossip", "--without-mingle", "-n", f"{self.queue}@%h")
        return self.run("worker", "-P", "threads", "-c", "2", "-l", "WARNING", *fast, *options)

    def beat(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.run("beat", "-s", str(self.folder / "schedule"), "--pidfile=")

    def findings(self, **options: Any) -> dict[str, Finding]:
        return {finding.check: finding for finding in examine(self.processes, **options)}

    def until(self, check: str, *, ok: bool, **options: Any) -> Finding:
        """Return the finding of a check once it is as awaited."""
        deadline = time.monotonic() + 60
        while True:
            finding = self.findings(**options)[check]
            if finding.ok is ok or time.monotonic() > deadline:
                assert finding.ok is ok, finding
                return finding
            time.sleep(0.3)


@pytest.fixture
def programs(tmp_path: Path, redis_url: str) -> Iterator[Programs]:
    made = Programs(tmp_path, redis_url)
    yield made
    made.processes.store.close()
    with made.app.connection_for_write() as connection:
        connection.default_channel.queue_delete(made.queue)


@pytest.fixture
def shop() -> Callable[..., Processes]:
    """Give a function that makes an app with a process, eager, over a store."""

    def make(backend: Any, *, eager: bool = True, broker: str = "memory://", **conf: Any) -> Processes:
        app = Celery("shop", broker=broker, set_as_current=False)
        app.conf.update(task_always_eager=eager, **conf)
        processes = Processes(app, backend=backend)
        processes.process("key-gc", schedule=timedelta(hours=1))(lambda work: None)
        return processes

    return make


def found(processes: Processes, **options: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(processes, **options)}


def faults(processes: Processes, **options: Any) -> set[str]:
    return {check for check, finding in found(processes, **options).items() if not finding.ok}


class TestBeat:
    def test_stopped_wedged_and_well(self, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
        """Slots come: beat is well. It is frozen, or ended: none comes any more, and the cure names both."""
        monkeypatch.setattr(beat_slots, "LATE_LEAST", timedelta(seconds=3))
        monkeypatch.setattr(beat_slots, "LATE_MOST", timedelta(seconds=3))
        with programs.worker():
            with programs.beat() as beat:
                programs.until("workers", ok=True)
                deadline = time.monotonic() + 60
                while next(programs.process.slots(), None) is None:
                    assert time.monotonic() < deadline, "no slot came"
                    time.sleep(0.2)
                assert all(finding.ok for finding in programs.findings().values())
                beat.send_signal(signal.SIGSTOP)
                wedged = programs.until("beat:ticks", ok=False)
                assert "wedged" in wedged.cure
                beat.send_signal(signal.SIGCONT)
                programs.until("beat:ticks", ok=True)
            stopped = programs.until("beat:ticks", ok=False)
            assert "celery -A " in stopped.cure
            assert {check for check, finding in programs.findings().items() if not finding.ok} == {"beat:ticks"}

    def test_ticking_for_nobody(self, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beat answers and its slots do not come: the cure leads to the queue of the scheduling task, not to beat."""
        monkeypatch.setattr(beat_slots, "LATE_LEAST", timedelta(seconds=3))
        monkeypatch.setattr(beat_slots, "LATE_MOST", timedelta(seconds=3))
        programs.process.run_now()
        with programs.beat():
            deadline = time.monotonic() + 60
            while "celerybeat@" not in (finding := programs.until("beat:ticks", ok=False)).cure:
                assert time.monotonic() < deadline, finding
            assert "ticks.schedule" in finding.cure
            assert programs.queue in programs.findings()["workers"].text

    def test_a_shortened_schedule_owes_nothing_of_before(self, shop: Callable[..., Processes]) -> None:
        """A schedule that was hourly until now is not late by the minutes that it has now."""
        clock = MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
        processes = shop(MemoryStore(clock=clock))
        processes["key-gc"].run_now()
        clock.advance(timedelta(minutes=50))
        processes["key-gc"].update_settings(None, schedule=60)
        assert found(processes, clock=clock)["beat:key-gc"].ok
        clock.advance(timedelta(minutes=3))
        assert faults(processes, clock=clock) == {"beat:key-gc"}


class TestStore:
    @pytest.fixture
    def postgresql(self, postgresql_url: str, shop: Callable[..., Processes]) -> Iterator[tuple[str, Any, str]]:
        prefix = f"t{uuid4().hex[:8]}_"
        processes = shop(postgresql_url, process_table_prefix=prefix)
        processes.migrate()
        processes.store.close()
        engine = sa.create_engine(postgresql_url)
        yield postgresql_url, engine, prefix
        with engine.begin() as conn:
            Tables(prefix).metadata.drop_all(conn)
        engine.dispose()

    def test_read_only_sessions(self, postgresql: Any, shop: Callable[..., Processes]) -> None:
        """A database whose transactions may only read, as a standby's, is said to take no writes."""
        url, _, prefix = postgresql
        processes = shop(f"{url}?options=-c%20default_transaction_read_only%3Don", process_table_prefix=prefix)
        assert faults(processes) == {"writes"}
        assert "read-only" in found(processes)["writes"].text
        processes.store.close()

    def test_an_account_that_may_only_read(self, postgresql: Any, shop: Callable[..., Processes]) -> None:
        """So is one whose account has no right to write."""
        url, engine, prefix = postgresql
        role = f"reader_{uuid4().hex[:8]}"
        with engine.begin() as conn:
            conn.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 's3cr3t'")
            conn.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        try:
            other = sa.make_url(url).set(username=role, password="s3cr3t").render_as_string(hide_password=False)
            processes = shop(other, process_table_prefix=prefix)
            assert faults(processes) == {"writes"}
            assert "s3cr3t" not in json.dumps(document(examine(processes)))
            processes.store.close()
        finally:
            with engine.begin() as conn:
                conn.exec_driver_sql(f"DROP OWNED BY {role}")
                conn.exec_driver_sql(f"DROP ROLE {role}")

    def test_an_old_schema(self, postgresql: Any, shop: Callable[..., Processes]) -> None:
        """Tables of another version are named with the command that mends them."""
        url, engine, prefix = postgresql
        with engine.begin() as conn:
            conn.execute(sa.update(Tables(prefix).meta).values(number=0))
        processes = shop(url, process_table_prefix=prefix)
        assert faults(processes) == {"schema"}
        assert "process migrate" in found(processes)["schema"].cure
        processes.store.close()

    def test_evicting(self, start_valkey: Callable[..., str], shop: Callable[..., Processes]) -> None:
        """A server that deletes keys when it is full is a fault; one that only forgets at a restart is a note."""
        processes = shop(start_valkey(maxmemory_policy="allkeys-lru"))
        assert faults(processes) == {"eviction"}
        assert found(processes)["durability"].ok
        assert "noeviction" in found(processes)["eviction"].cure
        processes.store.close()

    def test_gone(self, shop: Callable[..., Processes]) -> None:
        """A store that nobody listens for is one fault, and what needs it is not judged."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            processes = shop(f"redis://127.0.0.1:{free.getsockname()[1]}/0")
            assert faults(processes) == {"store"}
            assert "beat:key-gc" not in found(processes)

    def test_clocks(self, shop: Callable[..., Processes]) -> None:
        """A host whose clock is a minute from the store's is told by how much, and on which side."""
        store = MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
        processes = shop(MemoryStore(clock=store))
        assert faults(processes, clock=store) == set()
        host = MovableClock(store() + timedelta(minutes=1))
        assert faults(processes, clock=host) == {"clock"}
        assert "60.0 s behind" in found(processes, clock=host)["clock"].text

    def test_the_probe_writes_nothing(self, shop: Callable[..., Processes], start_valkey: Callable[..., str]) -> None:
        """To ask whether the store takes writes leaves no key behind."""
        url = start_valkey(appendonly="yes")
        processes = shop(url)
        assert faults(processes) == set()
        from redis import Redis

        with Redis.from_url(url) as server:
            assert server.keys("*") == []
        processes.store.close()


class TestWorkers:
    def test_a_broker_that_nobody_listens_for(self, shop: Callable[..., Processes]) -> None:
        """A broker out of reach is named, and its workers are not asked."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            processes = shop(MemoryStore(), eager=False, broker=f"redis://127.0.0.1:{free.getsockname()[1]}/0")
            assert faults(processes) == {"broker"}
            assert "workers" not in found(processes)

    def test_a_failover_list(self, shop: Callable[..., Processes], redis_url: str) -> None:
        """Of several URLs the one that answers is named as such, those that do not as well; where none does, all."""
        with socket.socket() as free, socket.socket() as other:
            dead = []
            for closed in (free, other):
                closed.bind(("127.0.0.1", 0))
                dead.append(f"127.0.0.1:{closed.getsockname()[1]}")
            live = redis_url.removeprefix("redis://")
            processes = shop(MemoryStore(), broker=f"redis://{dead[0]}/0;redis://{live}")
            finding = found(processes)["broker"]
            assert finding.ok
            answers, fails = finding.text.split(" answers, ")
            assert (live.partition("/")[0] in answers, dead[0] in fails, dead[0] in answers) == (True, True, False)
            finding = found(shop(MemoryStore(), broker=f"redis://{dead[0]}/0;redis://{dead[1]}/0"))["broker"]
            assert not finding.ok
            assert all(url in finding.text for url in dead)

    def test_no_worker_on_the_queue(self, programs: Programs) -> None:
        """A queue that no worker consumes is named, with none about and with one on another queue."""
        assert programs.queue in programs.until("workers", ok=False).text
        with programs.worker("-Q", f"{programs.queue}_other"):
            deadline = time.monotonic() + 60
            while "No worker answers" in (finding := programs.findings()["workers"]).text:
                assert time.monotonic() < deadline
            assert not finding.ok
            assert programs.queue in finding.text

    def test_no_sweep(self, shop: Callable[..., Processes]) -> None:
        """A run that is open and never swept is a fault after some intervals, until a sweep passes."""
        clock = MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
        processes = shop(MemoryStore(clock=clock), eager=False)
        processes["key-gc"].register_work("a")
        processes["key-gc"].run_now()
        clock.advance(timedelta(seconds=30))
        assert found(processes, clock=clock, patience=None)["sweep"].ok
        clock.advance(timedelta(minutes=3))
        finding = found(processes, clock=clock, patience=None)["sweep"]
        assert not finding.ok
        assert "key-gc" in finding.text
        processes.sweep()
        assert found(processes, clock=clock, patience=None)["sweep"].ok


def test_settings(shop: Callable[..., Processes]) -> None:
    """A setting that does not exist is the first finding, and the only one."""
    processes = shop(MemoryStore(), process_sweep_intervall=3)
    (finding,) = examine(processes)
    assert (finding.check, finding.ok) == ("settings", False)
    assert "process_sweep_interval" in finding.text


def test_the_document(shop: Callable[..., Processes]) -> None:
    """The document is plain JSON: one word for all, and each finding."""
    findings = (Finding("store", True, "It answers."), Finding("broker", False, "It is gone.", "Start it."))
    assert json.loads(json.dumps(document(findings))) == {
        "ok": False,
        "findings": [
            {"check": "store", "ok": True, "text": "It answers.", "cure": ""},
            {"check": "broker", "ok": False, "text": "It is gone.", "cure": "Start it."},
        ],
    }
    assert document(findings[:1])["ok"] is True
