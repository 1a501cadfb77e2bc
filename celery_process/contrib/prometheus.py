"""Metrics for Prometheus; no metric or label holds the name of a work item.

`ProcessCollector` reads the store at each scrape, so that every exporter reports the same, whatever workers were forked
or killed. `EventCounters` counts what only workers know from the Celery events that they emit, from zero since its start.
`celery -A proj process metrics` serves both.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from celery_process.app import Processes
from celery_process.exceptions import ProcessError
from celery_process.monitor.beat_slots import due_slot, newest_slot
from celery_process.process import Process
from celery_process.protocol.model import ItemCounts, StoredProcess
from celery_process.protocol.states import RunState, SlotEnd
from celery_process.text.commands import command
from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

OUTCOMES = tuple(field.name for field in fields(ItemCounts))
CLOSED = tuple(state for state in RunState if not state.is_open)
WORKED = {"worked": "workItems", "cleaned": "workItemsCleaned", "dirty": "workItemsDirty", "aborted": "workItemsAborted"}
"""The outcomes of items over all runs, by the name of the stat in the aggregate."""
RECONNECT = 5.0
"""Seconds after which a failed connection to the broker is retried."""


class ProcessCollector(Collector):
    """Collect metrics from the store: two reads a process and scrape, whose cost does not grow with the number of items.

    Register it with any registry: `REGISTRY.register(ProcessCollector(processes))`. A scrape while the store is out of
    reach returns `celery_process_up 0` and nothing else. Under PROMETHEUS_MULTIPROC_DIR the global registry is not served;
    pass `own_registry` if you register with another one.
    """

    def __init__(self, processes: Processes, *, own_registry: bool = False) -> None:
        self.processes = processes
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ and not own_registry:
            logger.warning(
                "PROMETHEUS_MULTIPROC_DIR is set, so what is registered with REGISTRY is not served; register this with the "
                "registry that has the MultiProcessCollector, and pass own_registry=True, or run: %s",
                command(processes.app, "metrics"),
                extra=log_fields("collector_unserved"),
            )

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not need the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read the store and yield the metrics."""
        up = GaugeMetricFamily("celery_process_up", "Whether the store answered this scrape.")
        try:
            now = self.processes.store.now()
            read = [(process, process.store.process(process.name)) for process in self.processes]
            found = [(process, stored, _lag(process, stored, now)) for process, stored in read]
        except ProcessError as error:
            logger.warning("The store could not be scraped: %s", error, extra=log_fields("scrape_failed"))
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _present(found, now)
        yield from _totals(stored for _, stored, _ in found)


Found = tuple[Process, StoredProcess, timedelta | None]


def _lag(process: Process, stored: StoredProcess, now: datetime) -> timedelta | None:
    """Return how long the next slot is overdue; zero where it is not; None without a schedule or an entry in the ledger."""
    due = due_slot(process.in_force(stored.overrides), newest_slot(process), stored.overrides.changed_at)
    return None if due is None else max(now - due, timedelta(0))


def _present(found: list[Found], now: datetime) -> Iterator[Metric]:
    def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"celery_process_{name}", help_text, labels=("process", *labels))

    state = gauge("run_state", "1 for the state of the open or last run, 0 for the others.", "state")
    items = gauge("run_items", "Items of the open or last run, by what became of them.", "outcome")
    errors = gauge("run_errors", "Errors of the open or last run.")
    duration = gauge("run_duration_seconds", "How long the last run took, or the open one has taken.")
    paused = gauge("paused", "1 while the process is paused.")
    lag = gauge("schedule_lag_seconds", "How long the slot is overdue that should have come by now.")
    swept = gauge("last_sweep_timestamp_seconds", "When a sweep last repaired the process; none does without an open run.")
    for process, stored, behind in found:
        name, run = process.name, stored.run
        paused.add_metric([name], stored.paused is not None)
        if behind is not None:
            lag.add_metric([name], behind.total_seconds())
        if stored.swept_at is not None:
            swept.add_metric([name], stored.swept_at.timestamp())
        for each in RunState:
            state.add_metric([name, each.value.lower()], run is not None and run.state is each)
        if run is None:
            continue
        for outcome in OUTCOMES:
            items.add_metric([name, outcome], getattr(run.counts, outcome))
        errors.add_metric([name], run.total_errors)
        duration.add_metric([name], ((run.finished_at or now) - run.started_at).total_seconds())
    yield from (state, items, errors, duration, paused, lag, swept)


def _totals(found: Iterable[StoredProcess]) -> Iterator[Metric]:
    """Yield the aggregates, which grow only when a run closes."""

    def counter(name: str, help_text: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"celery_process_{name}", help_text, labels=("process", *labels))

    runs = counter("runs", "Closed runs, by how they ended.", "state")
    items = counter(
        "items", "Items of closed runs: worked, cleaned up, left dirty; aborted ones are among the others.", "outcome"
    )
    errors = counter("errors", "Errors of closed runs.")
    spent = counter("run_seconds", "Seconds that closed runs took.")
    for stored in found:
        totals = stored.aggregate_stats
        for state in CLOSED:
            runs.add_metric([stored.name, state.value.lower()], totals.get(f"state.{state.value.lower()}", 0))
        for outcome, stat in WORKED.items():
            items.add_metric([stored.name, outcome], totals.get(stat, 0))
        errors.add_metric([stored.name], totals.get("errors", 0))
        spent.add_metric([stored.name], totals.get("duration", 0))
    yield from (runs, items, errors, spent)


class EventCounters:
    """Count the Celery events of workers: refused stale writes, lost items, sweep repairs, skipped slots.

    Start one for an exporter, not one in each web process: each counts all events. Events emitted while none listens are
    not counted, and a broker without fanout delivers none.
    """

    def __init__(self, processes: Processes, registry: CollectorRegistry) -> None:
        self.processes = processes

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"celery_process_{name}", help_text, ("process", *labels), registry=registry)

        self._refused = counter("refused_writes", "Attempts whose writes were refused: another worker holds the item.")
        self._lost = counter("lost_items", "Items given up after their last attempt.")
        self._repairs = counter("sweep_repairs", "Repairs of sweeps: leases run out, items published again.", "kind")
        self._skipped = counter("slots_skipped", "Slots that did not run, by why.", "end")
        for process in processes:  # counters start at zero, so that the first event shows as a rise
            self._refused.labels(process.name)
            self._lost.labels(process.name)
            for kind in ("expired", "published"):
                self._repairs.labels(process.name, kind)
            for end in SlotEnd:
                if end is not SlotEnd.RAN:
                    self._skipped.labels(process.name, end.value)
        self.handlers: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "process-ownership-lost": self._guarded(lambda name, _: self._refused.labels(name).inc()),
            "process-work-lost": self._guarded(lambda name, _: self._lost.labels(name).inc()),
            "process-run-repaired": self._guarded(self._repaired),
            "process-slot-skipped": self._guarded(
                lambda name, event: self._skipped.labels(name, SlotEnd(event["end"]).value).inc()
            ),
        }
        """The handlers for an event receiver, by event type."""

    def _repaired(self, name: str, event: dict[str, Any]) -> None:
        for kind in ("expired", "published"):
            self._repairs.labels(name, kind).inc(max(int(event[kind]), 0))

    def _guarded(self, count: Callable[[str, dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        def handle(event: dict[str, Any]) -> None:
            name = event.get("process")
            if not isinstance(name, str) or name not in self.processes:
                return  # an event of another app on the same broker: this exporter has labels for its own app only
            try:
                count(name, event)
            except (KeyError, TypeError, ValueError) as error:
                logger.warning("An event could not be read: %s", repr(error), extra=log_fields("event_unread"))

        return handle

    def start(self) -> threading.Thread:
        """Listen in a daemon thread, which connects again after each failure of the broker."""
        thread = threading.Thread(target=self._listen, name="celery-process-events", daemon=True)
        thread.start()
        return thread

    def _listen(self) -> None:
        app = self.processes.app
        while True:
            try:
                with app.connection_for_read() as connection:
                    app.events.Receiver(connection, handlers=dict(self.handlers)).capture(
                        limit=None, timeout=None, wakeup=False
                    )
            except Exception as error:  # noqa: BLE001 - whatever the transport raises
                logger.warning("No events come in: %s; trying again.", error, extra=log_fields("events_lost"))
            time.sleep(RECONNECT)
