"""Emits events: as a signal in this process, and as a Celery event for monitors.

The end of an item is no Celery event of ours, as Celery's own task events have it.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from celery import Celery

from celery_process.process import Process
from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import Event
from celery_process.signals import BY_EVENT
from celery_process.tasks.background import background
from celery_process.tasks.transport import reaching_broker
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)


def emit(app: Celery, process: Process, event: Event, payload: dict[str, Any]) -> None:
    """Send the signal of an event, and the Celery event, such as `process-run-finished`.

    Never raises, and does not wait for the broker longer than a moment.
    """
    BY_EVENT[event].send(sender=process, **payload)
    if event is Event.WORK_FINISHED or app.conf.task_always_eager:
        return
    # In a worker's task, under the worker's name; Flower keeps a counter for each name in an event.
    task = app.current_worker_task
    hostname = task.request.hostname if task else None
    if not background.do(lambda: _publish(app, process.name, event, hostname, _fields(payload))):
        _unsent(process.name, event, TimeoutError("earlier events still wait for the broker"))


def _publish(app: Celery, process: str, event: Event, hostname: str | None, fields: dict[str, Any]) -> None:
    try:
        with reaching_broker(app), app.events.default_dispatcher(hostname=hostname) as dispatcher:
            dispatcher.send(f"process-{event.value.replace('_', '-')}", process=process, **fields)
    except Exception as error:  # noqa: BLE001 - logged: a monitor that misses this event gets the next
        _unsent(process, event, error)


def _unsent(process: str, event: Event, error: Exception) -> None:
    extra = log_fields("event_unsent", process_name=process)
    log_failure(logger, "The event %s could not be sent", event.value, error=error, extra=extra)


def _fields(payload: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in payload.items():
        if isinstance(value, RunStatus):
            fields["run"] = value.id
            fields.update(slot=value.slot.isoformat(), state=value.state.value, total_errors=value.total_errors)
            fields["counts"] = asdict(value.counts)
        elif isinstance(value, datetime):
            fields[name] = value.isoformat()
        else:
            fields[name] = value
    return fields
