"""How messages of a process are published, and `CeleryPort`, by which the engine publishes them.

Items are published with the keyword arguments `process=`, `work=` (or `works=`) and `run=`, which Flower can search; no
result, no trail, no shadow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from celery import Celery, Task

from celery_process.definition.options import Definition
from celery_process.engine.heartbeat import Heartbeat
from celery_process.engine.patience import ONE_RETRY
from celery_process.engine.port import Port
from celery_process.engine.runner import Runner
from celery_process.process import Process
from celery_process.protocol.states import Event, WorkList
from celery_process.schedule.frequency import Frequency
from celery_process.tasks.background import background
from celery_process.tasks.events import emit
from celery_process.tasks.outcomes import searchable_kwargs
from celery_process.tasks.registry import ProcessTasks
from celery_process.tasks.shutdown import ends_worker, shutting_down
from celery_process.tasks.transport import reaching_broker
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

SCHEMA = 1
"""Version of the message's keyword arguments, in the header `cp_schema`; a worker refuses a newer one."""
LATE_SLOT = "cp_late_slot"
"""The header of a trigger that the sweep, or the end of a pause, publishes for a slot without one."""
PUBLISH_OPTIONS = ("queue", "exchange", "routing_key", "priority", "delivery_mode", "compression")
"""Options that belong to publishing: Celery 5.7 deprecates them as attributes of a task."""

_heartbeat = Heartbeat()


class CeleryPort(Port):
    """The port of a process in a Celery app, with the runner of its items in this operating-system process."""

    def __init__(self, app: Celery, process: Process, tasks: ProcessTasks) -> None:
        self.process = process
        self._app, self._tasks = app, tasks
        self._runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        """The runner over the process's present dispatching."""
        dispatch = self.process.dispatch
        if self._runner is None or self._runner.dispatch is not dispatch:
            self._runner = Runner(dispatch, _heartbeat)
        return self._runner

    @property
    def inline(self) -> bool:
        """Whether Celery runs tasks where they are sent, as it is set now."""
        return bool(self._app.conf.task_always_eager)

    def current(self) -> Frequency | None:
        """Return the schedule in force."""
        return self.process.current()

    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        """Publish items through one producer, in messages of the runner's batch size; in eager mode, run them here.

        Raises as `reaching_broker`.
        """
        definition, size = self.process.definition, 1 if single else self.runner.batch_size
        task = self._tasks[definition.name]["work" if on is WorkList.ACTIVE else "cleanup"]
        batches = [names[start : start + size] for start in range(0, len(names), size)]
        arguments = [
            {
                "process": definition.name,
                "run": run_id,
                **({"work": batch[0]} if len(batch) == 1 else {"works": list(batch)}),
            }
            for batch in batches
        ]
        if self.inline:
            for kwargs in arguments:
                task.apply(kwargs=kwargs, throw=False)
            return
        options = {"headers": {"cp_schema": SCHEMA}, "add_to_parent": False, **ONE_RETRY, **publishing(definition)}
        present = self._app.current_worker_task
        root = (present.request.root_id or present.request.id) if present else None
        with reaching_broker(self._app), self._app.producer_or_acquire() as producer, batched(producer):
            for kwargs in arguments:
                # All items under one root: the task that began the run, else the first of these messages.
                options.update(root_id=root, parent_id=root)
                sent = task.apply_async(kwargs=kwargs, kwargsrepr=searchable_kwargs(kwargs), producer=producer, **options)
                root = root or sent.id

    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        """Publish the scheduling task once more, for the next page of a run; if that fails, the sweep opens the page."""
        definition = self.process.definition
        try:
            publish_later(self._schedule, definition, due_in, {}, run=run_id, token=token)
        except Exception as error:  # noqa: BLE001 - logged, and the sweep opens it
            extra = log_fields("comeback_unpublished", process_name=definition.name, run_id=run_id)
            log_failure(
                logger,
                "The message for the next page of %s could not be published; the sweep opens the page",
                definition.name,
                error=error,
                extra=extra,
            )

    def publish_trigger(self, valid: timedelta) -> None:
        """Publish the scheduling task for a slot that is late, valid for a time; if that fails, a later sweep does it.

        A caller waits a moment at most, whatever the broker does.
        """
        definition, schedule = self.process.definition, self._schedule
        background.do(lambda: _publish_trigger(definition, schedule, valid))

    def emit(self, event: Event, **payload: Any) -> None:
        """Emit an event as a signal and to Celery's monitors."""
        emit(self._app, self.process, event, payload)

    def stopping(self) -> bool:
        """Whether the Celery worker that asks shuts down."""
        return shutting_down(self._app)

    def ends_worker(self, error: BaseException) -> bool:
        """Whether Celery ends a worker, or a pool one of its children, by this exception."""
        return ends_worker(error)

    @property
    def _schedule(self) -> Task:
        return self._tasks[self.process.name]["schedule"]


def _publish_trigger(definition: Definition, schedule: Task, valid: timedelta) -> None:
    options = {**publishing(definition), "headers": {LATE_SLOT: True}, "expires": valid.total_seconds()}
    try:
        with reaching_broker(schedule.app):
            schedule.apply_async(add_to_parent=False, **ONE_RETRY, **options)
    except Exception as error:  # noqa: BLE001 - logged, and a later sweep does
        extra = log_fields("slot_unpublished", process_name=definition.name)
        log_failure(
            logger,
            "The late slot of %s could not be triggered; a later sweep does it",
            definition.name,
            error=error,
            extra=extra,
        )


def publish_later(schedule: Task, definition: Definition, due_in: timedelta, more: Mapping[str, Any], **kwargs: Any) -> None:
    """Publish a message after a delay, with `more` options; raises as `reaching_broker`."""
    seconds = due_in.total_seconds()
    # The expiry of items is not for the scheduling task, which would expire before it is due.
    options = {"add_to_parent": False, "expires": None, **ONE_RETRY, **more, **publishing(definition)}
    with reaching_broker(schedule.app):
        try:
            schedule.apply_async(kwargs=kwargs, countdown=seconds, **options)
        except ValueError:  # with quorum queues Celery delays by whole seconds, at least one
            schedule.apply_async(kwargs=kwargs, countdown=max(1, math.ceil(seconds)), **options)


def publishing(definition: Definition) -> dict[str, Any]:
    """Return the options with which messages of a process are published."""
    return {key: definition.task_options[key] for key in PUBLISH_OPTIONS if key in definition.task_options}


def batched(producer: Any) -> AbstractContextManager[object]:
    """Return a context that sends many messages in one round trip, if the transport can (kombu 5.7, Redis)."""
    batch = getattr(producer, "batch", None)
    return batch() if batch is not None else nullcontext()
