"""How events leave the library: as a signal here, and, of runs, as a Celery event for monitors.

The events of items are Celery's own task events; what is sent here is what those cannot say.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime
from typing import Any

from celery import Celery

from celery_process.model import RunStatus
from celery_process.process import Process
from celery_process.signals import BY_EVENT
from celery_process.states import Event

logger = logging.getLogger(__name__)


def emit(app: Celery, process: Process, event: Event, payload: dict[str, Any]) -> None:
    """Send the signal of an event, and the event itself as `process-run-finished` and the like. Never raises."""
    BY_EVENT[event].send(sender=process, **payload)
    if event is Event.WORK_FINISHED or app.conf.task_always_eager:
        return
    try:
        # In a worker's task, under the worker's name; Flower keeps a counter for each name that it hears.
        task = app.current_worker_task
        with app.events.default_dispatcher(hostname=task.request.hostname if task else None) as dispatcher:
            dispatcher.send(f"process-{event.value.replace('_', '-')}", process=process.name, **_fields(payload))
    except Exception as error:  # noqa: BLE001 - whatever the transport raises: a monitor that misses this sees the next
        logger.warning(
            "The event %s could not be sent: %s",
            event.value,
            error,
            extra={"action": "event_unsent", "process_name": process.name},
        )


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
