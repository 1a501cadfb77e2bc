"""Spans of a real worker: what the standard instrumentation gives, and what `contrib.opentelemetry` adds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.signals import before_task_publish
from opentelemetry.sdk.trace import TracerProvider

from celery_process import Processes
from celery_process.contrib.opentelemetry import HEADER, instrument
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

MODULE = """
import os
from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from celery_process import Processes
from celery_process.contrib.opentelemetry import instrument

app = Celery("traced")
app.conf.update({settings}, process_page_size=2, process_sweep_interval=600)  # what a sweep publishes is in its trace
processes = Processes(app, backend="sqlite:///process.db")

@processes.process("key-gc", schedule=3600, max_in_flight=2)
def gc(work):
    if work.name == "bad":
        raise ValueError("broken")

@worker_process_init.connect
def trace_it(**_):
    def line(span):
        return span.to_json(indent=None) + os.linesep
    provider = TracerProvider()
    out = open(f"spans-{os.getpid()}.jsonl", "a", buffering=1)
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out, formatter=line)))
    trace.set_tracer_provider(provider)
    if os.environ["TRACING"] == "ours":
        instrument(processes)
    else:
        CeleryInstrumentor().instrument()
"""


def spans_of_a_run(folder: Path, broker: str, tracing: str) -> list[dict[str, Any]]:
    """Run five items, two a page, on a real prefork worker; return the spans that its children exported."""
    settings = {"broker_url": broker, "task_default_queue": f"q{uuid4().hex[:10]}"}
    (folder / "traced.py").write_text(MODULE.replace("{settings}", repr(settings)))
    env = {**os.environ, "TRACING": tracing, "PYTHONPATH": str(folder)}
    celery = [sys.executable, "-m", "celery", "-A", "traced"]
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen([*celery, "worker", "-c", "2", "-l", "INFO"], cwd=folder, env=env, stdout=log, stderr=log)
    app = Celery("traced", set_as_current=False)
    app.conf.update(settings, process_page_size=2)
    processes = Processes(app, backend=f"sqlite:///{folder}/process.db")
    process = processes.process("key-gc", schedule=3600, max_in_flight=2)(lambda work: None)
    try:
        process.register_works(dict.fromkeys(["a", "b", "bad", "c", "d"]))
        app.send_task("key-gc.schedule")
        deadline = time.monotonic() + 90
        while (run := process.state().run) is None or run.state.is_open:
            assert time.monotonic() < deadline, (folder / "worker.log").read_text()
            time.sleep(0.2)
    finally:
        worker.terminate()
        worker.wait(60)
        processes.store.close()
        with app.connection_for_write() as connection:
            connection.default_channel.queue_delete(settings["task_default_queue"])
    found = [json.loads(line) for file in folder.glob("spans-*.jsonl") for line in file.read_text().splitlines()]
    return [span for span in found if span["name"].startswith("run/key-gc")]


@pytest.mark.parametrize("tracing", ["standard", "ours"])
def test_a_run_is_one_trace(tmp_path: Path, redis_url: str, tracing: str) -> None:
    """The items of every page are in the trace of the scheduling task; ours say which they are, and link to it."""
    spans = spans_of_a_run(tmp_path, redis_url, tracing)
    (schedule,) = [span for span in spans if span["name"] == "run/key-gc.schedule"]
    items = [span for span in spans if span["name"] == "run/key-gc.work"]
    assert len(items) == 5
    assert {span["context"]["trace_id"] for span in items} == {schedule["context"]["trace_id"]}
    assert len([span for span in items if span["status"]["status_code"] == "ERROR"]) == 1
    if tracing == "standard":
        assert not [name for span in spans for name in span["attributes"] if name.startswith("celery_process.")]
        return
    run, slot = schedule["attributes"]["celery_process.run"], schedule["attributes"]["celery_process.slot"]
    for span in items:
        attributes = span["attributes"]
        assert attributes["celery_process.process"] == "key-gc"
        assert (attributes["celery_process.run"], attributes["celery_process.slot"]) == (run, slot)
        assert [link["context"]["span_id"] for link in span["links"]] == [schedule["context"]["span_id"]]
    outcomes = {
        span["attributes"]["celery_process.work"]: event["attributes"]["celery_process.outcome"]
        for span in items
        for event in span["events"]
        if event["name"] == "work_finished"
    }
    assert outcomes == {"a": "COMPLETED", "b": "COMPLETED", "bad": "INCOMPLETE", "c": "COMPLETED", "d": "COMPLETED"}


def test_what_a_sweep_publishes_leads_to_the_scheduling_task() -> None:
    """Items that a sweep publishes again carry the context in which their run began, not only the sweep's."""
    clock = MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
    app = Celery("swept", broker="memory://", set_as_current=False)
    processes = Processes(app, backend=MemoryStore(clock=clock))
    process = processes.process("key-gc", schedule=3600)(lambda work: None)
    tracer, sent = TracerProvider().get_tracer("test"), []

    def note(headers: dict[str, Any], **_: Any) -> None:
        sent.append(headers.get(HEADER, ""))

    tracing = instrument(processes)
    before_task_publish.connect(note, sender="key-gc.work")
    try:
        process.register_work("a")
        with tracer.start_as_current_span("scheduling") as began:
            process.run_now()
        clock.advance(timedelta(minutes=5))
        with tracer.start_as_current_span("sweeping") as swept:
            processes.sweep()
    finally:
        before_task_publish.disconnect(note, sender="key-gc.work")
        tracing.uninstrument()
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().uninstrument()
    origin = f"{began.get_span_context().span_id:016x}"
    assert [header.split("-")[2] for header in sent] == [origin, origin]
    assert [event.name for event in swept.events] == ["run_repaired"]
