"""Add to OpenTelemetry's standard Celery instrumentation what it cannot know of processes.

That instrumentation puts an item's task into the trace of the task that published it: the scheduling task, or the item
whose end opened the next page. This module adds attributes that find a run's spans (process, run, slot, work, outcome),
and a link to the scheduling task for items that another item's task or a sweep published.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from celery.signals import before_task_publish, task_prerun
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.trace import Span, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from celery_process import signals
from celery_process.app import Processes
from celery_process.process import Process
from celery_process.tasks.factory import task_names

HEADER = "cp_origin"
"""The header of a message that carries the context of the scheduling task, as a W3C traceparent."""
REMEMBERED = 1_000
"""How many runs' origins this operating-system process remembers; a sweep links to a remembered origin."""

_propagator = TraceContextTextMapPropagator()


def instrument(processes: Processes, **options: Any) -> Tracing:
    """Trace the processes of an app, and its Celery tasks by `CeleryInstrumentor`, which receives the options.

    Call it where you set up tracing: with the prefork pool on Celery's signal `worker_process_init`, since exporters do
    not survive a fork. Return a `Tracing`, whose `uninstrument()` ends it.
    """
    instrumentor = CeleryInstrumentor()  # type: ignore[no-untyped-call]
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(**options)
    return Tracing(processes)


class Tracing:
    """The receivers of one registry; made by `instrument`."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self._origins: OrderedDict[str, str] = OrderedDict()
        # Connected after the instrumentation's own receivers, so the current span is already the task's.
        task_prerun.connect(self._begun, weak=False)
        before_task_publish.connect(self._publishing, weak=False)
        signals.run_started.connect(self._run_started, weak=False)
        signals.work_finished.connect(self._work_finished, weak=False)
        signals.run_repaired.connect(self._repaired, weak=False)

    def uninstrument(self) -> None:
        """Disconnect the receivers; the standard instrumentation stays."""
        task_prerun.disconnect(self._begun)
        before_task_publish.disconnect(self._publishing)
        signals.run_started.disconnect(self._run_started)
        signals.work_finished.disconnect(self._work_finished)
        signals.run_repaired.disconnect(self._repaired)

    def _is_item(self, task: str, process: object) -> bool:
        return isinstance(process, str) and process in self.processes and task in task_names(process).values()

    def _publishing(self, sender: Any = None, headers: Any = None, body: Any = None, **_: Any) -> None:
        kwargs = body[1] if isinstance(body, tuple | list) and len(body) > 1 else {}
        if headers is None or not self._is_item(str(sender), kwargs.get("process")):
            return
        origin = self._origins.get(kwargs.get("run", "")) or _context_of(get_current_span())
        if origin:
            headers[HEADER] = origin

    def _begun(self, task: Any = None, kwargs: Any = None, **_: Any) -> None:
        kwargs, span = kwargs or {}, get_current_span()
        if not self._is_item(task.name, kwargs.get("process")):
            return
        run, works = str(kwargs.get("run", "")), kwargs.get("works")
        span.set_attribute("celery_process.process", kwargs["process"])
        span.set_attribute("celery_process.run", run)
        if works is None:
            span.set_attribute("celery_process.work", str(kwargs.get("work", "")))
        else:
            span.set_attribute("celery_process.works", len(works))
        origin = task.request.get(HEADER)
        if isinstance(origin, str):
            self._remember(run, origin)
            _link(span, origin)

    def _run_started(self, sender: Process, run: Any, **_: Any) -> None:
        if sender.name not in self.processes or self.processes[sender.name] is not sender:
            return
        span = get_current_span()
        span.set_attribute("celery_process.process", run.process)
        span.set_attribute("celery_process.run", run.id)
        span.set_attribute("celery_process.slot", run.slot.isoformat())
        self._remember(run.id, _context_of(span))

    def _work_finished(self, work: str, outcome: Any, errors: int, slot: Any, **_: Any) -> None:
        span = get_current_span()
        span.set_attribute("celery_process.slot", slot.isoformat())
        attributes = {"celery_process.work": work, "celery_process.outcome": outcome.value, "celery_process.errors": errors}
        span.add_event("work_finished", attributes)

    def _repaired(self, sender: Process, run_id: str, expired: int, published: int, **_: Any) -> None:
        attributes = {"celery_process.process": sender.name, "celery_process.run": run_id}
        get_current_span().add_event("run_repaired", {**attributes, "expired": expired, "published": published})

    def _remember(self, run: str, origin: str) -> None:
        if origin:
            self._origins[run] = origin
            self._origins.move_to_end(run)
            while len(self._origins) > REMEMBERED:
                self._origins.popitem(last=False)


def _context_of(span: Span) -> str:
    """Return the context of a span as a traceparent; empty where there is no span."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _link(span: Span, origin: str) -> None:
    context = get_current_span(_propagator.extract({"traceparent": origin})).get_span_context()
    parent = getattr(span, "parent", None)
    if context.is_valid and (parent is None or parent.span_id != context.span_id):
        span.add_link(context)
