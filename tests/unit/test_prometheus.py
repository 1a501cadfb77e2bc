"""The metrics: what a scrape says, what events add, and that dashboard and alerts name nothing else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from celery_process import Processes, Tolerance, Work
from celery_process.contrib.prometheus import EventCounters, ProcessCollector
from celery_process.protocol.model import ItemCounts
from celery_process.protocol.states import Event, SlotEnd
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def shop(*, eager: bool = True, clock: MovableClock | None = None) -> Processes:
    """Return an app with two processes; items of the first whose name begins with `bad` fail."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = eager
    processes = Processes(app, backend=MemoryStore(clock=clock) if clock else MemoryStore())

    @processes.process("key-gc", schedule=timedelta(hours=1), tolerance=Tolerance(10, 3))
    def gc(work: Work) -> None:
        if work.name.startswith("bad"):
            raise ValueError("broken")

    processes.process("idle", schedule=None)(lambda work: None)
    return processes


class Scrape(dict[tuple[str, str], float]):
    """The samples of a registry, by name and labels as Prometheus writes them, with the text itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self.text = generate_latest(registry).decode()
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                self[sample.name, labels] = sample.value

    def named(self, name: str) -> dict[str, float]:
        return {labels: value for (found, labels), value in self.items() if found == name}


def scraped(processes: Processes) -> Scrape:
    registry = CollectorRegistry()
    registry.register(ProcessCollector(processes))
    return Scrape(registry)


def test_a_closed_run() -> None:
    """After a run its state, items by outcome, errors and duration are there, and the totals have grown by them."""
    processes = shop()
    processes["key-gc"].register_works(dict.fromkeys(["a", "b", "bad"]))
    run = processes["key-gc"].run_now()
    seen = scraped(processes)
    assert seen["celery_process_up", ""] == 1
    states = seen.named("celery_process_run_state")
    assert [labels for labels, value in states.items() if value] == ["process=key-gc,state=completed"]
    assert seen["celery_process_run_items", "outcome=completed,process=key-gc"] == 2
    assert seen["celery_process_run_items", "outcome=incomplete,process=key-gc"] == 1
    assert seen["celery_process_run_errors", "process=key-gc"] == 1
    assert run.finished_at is not None
    took = (run.finished_at - run.started_at).total_seconds()
    assert seen["celery_process_run_duration_seconds", "process=key-gc"] == pytest.approx(took)
    assert seen["celery_process_runs_total", "process=key-gc,state=completed"] == 1
    assert seen["celery_process_items_total", "outcome=worked,process=key-gc"] == 3
    assert seen["celery_process_errors_total", "process=key-gc"] == 1
    assert seen["celery_process_run_seconds_total", "process=key-gc"] == pytest.approx(took)


def test_an_aborted_run_and_a_pause() -> None:
    """An aborted run is counted as such, for good; a paused process says so."""
    processes = shop()
    processes["key-gc"].register_works(dict.fromkeys([f"bad{n}" for n in range(9)]))
    processes["key-gc"].run_now()
    processes["key-gc"].unregister_works([f"bad{n}" for n in range(9)])
    processes["key-gc"].pause("lunch")
    seen = scraped(processes)
    assert seen["celery_process_runs_total", "process=key-gc,state=aborted"] == 1
    assert seen["celery_process_run_state", "process=key-gc,state=aborted"] == 1
    assert seen["celery_process_items_total", "outcome=aborted,process=key-gc"] == 6
    assert seen.named("celery_process_paused") == {"process=idle": 0, "process=key-gc": 1}


def test_the_lag() -> None:
    """A slot that does not come is overdue from its instant on; one that is not due yet is not."""
    clock = MovableClock(NOON)
    processes = shop(clock=clock)
    assert scraped(processes).named("celery_process_schedule_lag_seconds") == {}
    processes["key-gc"].run_now()
    clock.advance(timedelta(minutes=59))
    assert scraped(processes).named("celery_process_schedule_lag_seconds") == {"process=key-gc": 0}
    clock.advance(timedelta(minutes=11))
    assert scraped(processes).named("celery_process_schedule_lag_seconds") == {"process=key-gc": 600}


def test_an_open_run_and_its_sweep() -> None:
    """An open run has its pending items, its time so far, and when a sweep last looked at it."""
    clock = MovableClock(NOON)
    processes = shop(eager=False, clock=clock)
    processes["key-gc"].register_works(dict.fromkeys("abc"))
    processes["key-gc"].run_now()
    clock.advance(timedelta(seconds=30))
    processes.sweep()
    seen = scraped(processes)
    assert seen["celery_process_run_items", "outcome=pending,process=key-gc"] == 3
    assert seen["celery_process_run_duration_seconds", "process=key-gc"] == 30
    assert seen["celery_process_last_sweep_timestamp_seconds", "process=key-gc"] == clock().timestamp()


def test_a_store_that_is_away() -> None:
    """A scrape that does not reach the store answers, and says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        app = Celery("away", set_as_current=False)
        processes = Processes(app, backend=f"redis://127.0.0.1:{free.getsockname()[1]}/0")
        processes.process("key-gc", schedule=60)(lambda work: None)
        assert scraped(processes) == {("celery_process_up", ""): 0}


def test_labels_are_bounded() -> None:
    """However many items there are, a scrape has the same number of samples, and none has the name of an item."""
    processes, counts = shop(), []
    for number in (3, 300):
        processes["key-gc"].register_works(dict.fromkeys(f"item-{n}" for n in range(number)))
        processes["key-gc"].run_now()
        seen = scraped(processes)
        counts.append(len(seen))
        assert "item-" not in seen.text
    assert counts[0] == counts[1]
    outcomes = {labels.split(",")[0] for labels in seen.named("celery_process_run_items")}
    assert outcomes == {f"outcome={name}" for name in ItemCounts.__dataclass_fields__}


def test_events_count_what_only_workers_know() -> None:
    """Real events, through a broker, raise the counters; those of another app and broken ones do not."""
    processes, registry = shop(eager=False), CollectorRegistry()
    counters = EventCounters(processes, registry)
    first = Scrape(registry)
    assert set(first.named("celery_process_refused_writes_total").values()) == {0}
    counters.start()
    emit = processes["key-gc"].dispatch.port.emit
    deadline = time.monotonic() + 30
    while not Scrape(registry)["celery_process_lost_items_total", "process=key-gc"]:  # until the receiver listens
        emit(Event.WORK_LOST, work="a", run_id="1-a")
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with processes.app.events.default_dispatcher() as others:
        others.send("process-ownership-lost", process="another app's")
        others.send("process-ownership-lost", process=["key-gc"])
        others.send("process-run-repaired", process="key-gc", expired="many")
        others.send("process-slot-skipped", process="key-gc", end="for fun")
    emit(Event.OWNERSHIP_LOST, work="a", run_id="1-a", attempt=1)
    emit(Event.RUN_REPAIRED, run_id="1-a", expired=2, published=5)
    emit(Event.SLOT_SKIPPED, slot=NOON, end=SlotEnd.OVERLAPPED)
    while not (seen := Scrape(registry))["celery_process_slots_skipped_total", "end=overlapped,process=key-gc"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert seen.named("celery_process_refused_writes_total") == {"process=idle": 0, "process=key-gc": 1}
    assert seen["celery_process_sweep_repairs_total", "kind=expired,process=key-gc"] == 2
    assert seen["celery_process_sweep_repairs_total", "kind=published,process=key-gc"] == 5
    assert first.keys() == seen.keys()


def test_a_sweep_that_repairs_says_so() -> None:
    """What a sweep publishes again is told as an event with its number."""
    clock = MovableClock(NOON)
    processes, told = shop(eager=False, clock=clock), []
    from celery_process import signals

    def heard(sender: object, **payload: object) -> None:
        told.append((payload["expired"], payload["published"]))

    signals.run_repaired.connect(heard)
    processes["key-gc"].register_works(dict.fromkeys("abc"))
    processes["key-gc"].run_now()
    clock.advance(timedelta(minutes=5))
    processes.sweep()
    signals.run_repaired.disconnect(heard)
    assert told == [(0, 3)]


@pytest.fixture(scope="module")
def present() -> dict[str, set[str]]:
    """Give each metric of a whole scrape with its labels."""
    processes, registry = shop(), CollectorRegistry()
    registry.register(ProcessCollector(processes))
    EventCounters(processes, registry)
    processes["key-gc"].register_works(dict.fromkeys("ab"))
    processes["key-gc"].run_now()
    processes.sweep(force=True)
    found: dict[str, set[str]] = {}
    for name, labels in Scrape(registry):
        found.setdefault(name, set()).update(pair.split("=")[0] for pair in labels.split(",") if pair)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


class TestWhatIsWrittenAboutThem:
    """The dashboard, the alert rules and the guide name metrics that are there, with labels that they have."""

    def check(self, expression: str, present: dict[str, set[str]]) -> set[str]:
        used = set(re.findall(r"\bcelery_process_\w+", expression))
        assert used, expression
        assert used <= set(present), expression
        for name, selector in re.findall(r"\b(celery_process_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)=~?\"", selector)) <= present[name], expression
        return used

    def test_dashboard(self, present: dict[str, set[str]]) -> None:
        """Each expression of the dashboard is about metrics that a scrape has; each metric is on it."""
        board = json.loads((ROOT / "docs" / "grafana" / "celery_process.json").read_text())
        used = [self.check(target["expr"], present) for panel in board["panels"] for target in panel["targets"]]
        assert set().union(*used) == set(present)
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                self.check(variable["definition"], present)

    def test_alerts(self, present: dict[str, set[str]]) -> None:
        """Each alert is about metrics that a scrape has, and has a summary."""
        rules = (ROOT / "docs" / "prometheus" / "alerts.yml").read_text()
        alerts = rules.split("- alert: ")[1:]
        for alert in alerts:
            self.check(alert.split("expr:", 1)[1].split("labels:", 1)[0], present)
            assert "summary:" in alert
        assert len(alerts) == len({alert.split("\n")[0] for alert in alerts}) > 5

    def test_guide(self, present: dict[str, set[str]]) -> None:
        """The guide's table of metrics has each of them, and no other."""
        guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
        assert set(re.findall(r"^\| `(celery_process_\w+)", guide, re.MULTILINE)) == set(present)


def test_the_exporter(tmp_path: Path) -> None:
    """`process metrics` serves a scrape over HTTP, of the store and of events, until it is told to end."""
    (tmp_path / "exported.py").write_text(
        "from celery import Celery\nfrom celery_process import Processes\n"
        "app = Celery('shop', broker='memory://')\n"
        "processes = Processes(app, backend='sqlite:///process.db')\n"
        "processes.process('key-gc', schedule=60)(print)\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "celery", "-A", "exported", "process", "metrics", "--port", str(port)]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert str(port) in running.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        assert "celery_process_up 1.0" in text
        assert 'celery_process_refused_writes_total{process="key-gc"} 0.0' in text
    finally:
        running.terminate()
        running.communicate(timeout=30)


def test_a_collector_that_nobody_serves_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Under PROMETHEUS_MULTIPROC_DIR the default registry is not served, which is a warning unless another is meant."""
    processes = shop()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    ProcessCollector(processes, own_registry=True)
    assert caplog.records == []
    ProcessCollector(processes)
    assert [record.action for record in caplog.records] == ["collector_unserved"]  # type: ignore[attr-defined]
