"""The Celery side of the sweep: its task, and the timer in every worker that publishes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery, Task, bootsteps
from celery.signals import task_received

from celery_process.config import read_config, store_of
from celery_process.engine.patience import ONE_RETRY, Budget, within
from celery_process.exceptions import ConfigurationError, StoreError, StoreUnavailable
from celery_process.stores.base import Store
from celery_process.tasks.background import background
from celery_process.tasks.deployment import other_deployment
from celery_process.tasks.registry import OWN_TASK
from celery_process.tasks.transport import reaching_broker
from celery_process.text.commands import with_app_name
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

SWEEP_TASK = "celery_process.sweep"
STARTS_WITHIN = 5.0
"""Seconds that a worker waits at its start for the store; after that it starts with a warning."""
LEAST = 5.0
"""Seconds that a sweep may take if its interval is shorter."""
SENT = {"serializer": "json"}
"""Options of a published sweep: `send_task` would take the serializer of the project's own tasks."""
LONGEST_WAIT, LONGEST_EXPIRY = 6, 64
"""Intervals: how long a timer waits for a sweep to arrive before it publishes the next, and how long one is valid."""


def sweep_budget(interval: timedelta) -> Budget:
    """Return how long a sweep may take, its interval but at least `LEAST`, and how long the store's first answer."""
    every = interval.total_seconds()
    return Budget(max(every, LEAST), answer=min(every, max(1.0, every / 4)))


def make_sweep_task(app: Celery, sweep: Callable[..., object], *, bound: Callable[[], object]) -> Task:
    """Register the sweep of the app. It gives up early if the store does not answer, for a pool child waits for it.

    `bound` is called when Celery binds the task again, which it does when the app is finalized.
    """
    binds = 0

    def on_bound(cls: type[Task], to: Celery) -> None:
        nonlocal binds
        app.Task.on_bound.__func__(cls, to)  # of the project's own class
        if to is not app:  # the copy of the app in a spawned pool child, which binds the tasks of the imported app
            return
        binds += 1
        if binds > 1:  # the first is its registration, when not all tasks are known yet
            bound()

    options = {"ignore_result": True, "trail": False, "autoretry_for": (), OWN_TASK: True}

    @app.task(name=SWEEP_TASK, shared=False, on_bound=classmethod(on_bound), **options)
    def sweep_task() -> None:
        try:
            sweep(within=read_config(app).sweep_interval)
        except StoreError as error:
            log_failure(logger, "The sweep failed; the next one repeats it", error=error, extra=log_fields("sweep_failed"))

    return sweep_task


@dataclass(slots=True)
class Flow:
    """When to publish the next sweep, and how long it is valid; an interval is 1.

    One sweep of a worker is in the queue at a time. If a sweep arrived since, of any worker, the next one follows after an
    interval and is valid for one. If none arrived, nobody consumes the queue or it is long: then the next one waits longer
    and is valid longer each time, so that few pile up and one is still valid when its turn comes.
    """

    rounds: int = 0
    sent_at: float | None = None
    arrived: bool = False

    def due(self, now: float) -> bool:
        """Whether to publish one."""
        return self.sent_at is None or self.arrived or now - self.sent_at >= min(2**self.rounds, LONGEST_WAIT) - 0.5

    def sent(self, now: float) -> int:
        """Record that one is published; return for how long it is valid."""
        if self.sent_at is not None:
            self.rounds = max(self.rounds - 1, 0) if self.arrived else self.rounds + 1
        self.sent_at, self.arrived = now, False
        return self.valid

    @property
    def valid(self) -> int:
        """For how long one that is published now is valid."""
        return int(min(2 ** min(self.rounds, 16), LONGEST_EXPIRY))


class SweepTimer(bootsteps.StartStopStep):
    """Publishes the sweep from every worker, so that runs end without any beat; the store admits one per interval.

    It also refuses, before the first message, a store that this worker cannot use.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self.entry: Any = None
        self.flow = Flow()
        self.warned = self.publishing = False
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Check the store and begin to publish."""
        store = store_of(parent.app)
        if not store.shared and parent.pool is not None and getattr(parent.pool, "uses_semaphore", False):
            raise ConfigurationError(
                f"{store.url} is seen by one operating-system process, and this worker has several; name a shared store in "
                "process_backend, or start the worker with --pool=threads or solo.",
                setting="process_backend",
                value=store.url,
            )
        try:
            for warning in within(STARTS_WITHIN, lambda: _check(parent.app, store), operation="check"):
                logger.warning("%s", warning, extra=log_fields("store_warning"))
        except StoreUnavailable as error:  # it may be back before the first item; other errors end the worker
            logger.error("%s", error, extra=log_fields("store_unavailable"))  # noqa: TRY400 - the message says it all
        self._queue(parent)
        interval = read_config(parent.app).sweep_interval.total_seconds()
        task_received.connect(self._received, weak=False, dispatch_uid=self._uid)
        self.entry = parent.timer.call_repeatedly(interval, self._publish, (parent, interval))

    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Stop publishing."""
        task_received.disconnect(dispatch_uid=self._uid)
        if self.entry is not None:
            self.entry.cancel()
            self.entry = None

    @property
    def _uid(self) -> str:
        return f"celery_process.engine.sweep.{id(self)}"

    def _received(self, request: Any = None, **_: Any) -> None:
        if request is not None and request.name == SWEEP_TASK:
            self.flow.arrived = True

    def _queue(self, parent: Any) -> str | None:
        """Return the queue that sweeps of this worker go to: where they are routed, else the first that it consumes."""
        consumed = [queue.name for queue in parent.task_consumer.queues if queue.exchange.type != "fanout"]
        routed = parent.app.amqp.router.route({}, SWEEP_TASK).get("queue")
        name = getattr(routed, "name", routed)
        if name in consumed:
            return str(name)
        if consumed:
            return str(consumed[0])
        if not self.warned:
            self.warned = True
            logger.warning(
                "This worker publishes no sweeps, since it consumes no queue for them; start one on the queue %r.",
                name,
                extra=log_fields("sweep_unpublished"),
            )
        return None

    def _publish(self, parent: Any, interval: float) -> None:
        """Publish a sweep if one is due, in a thread: the worker's loop, which calls this, must not wait for the broker."""
        now = time.monotonic() / interval
        if self.publishing or not self.flow.due(now) or (queue := self._queue(parent)) is None:
            return
        self.publishing = True
        expires = self.flow.sent(now) * interval
        if not background.do(partial(self._send, parent.app, queue, expires), wait=0):
            self.publishing = False

    def _send(self, app: Celery, queue: str, expires: float) -> None:
        try:
            with reaching_broker(app):
                app.send_task(SWEEP_TASK, queue=queue, expires=expires, ignore_result=True, **SENT, **ONE_RETRY)
        except Exception as error:  # noqa: BLE001 - logged; the next interval tries again
            log_failure(logger, "The sweep could not be published", error=error, extra=log_fields("sweep_unpublished"))
        finally:
            self.publishing = False


def _check(app: Celery, store: Store) -> tuple[str, ...]:
    try:
        other = (*store.check(), other_deployment(app, store, claim=True))
        return tuple(with_app_name(str(warning), app) for warning in other if warning is not None)
    finally:
        store.close()
