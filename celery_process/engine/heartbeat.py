"""The heartbeat of an operating-system process: renews the leases of all batches that it works on.

It also reports outcomes that wait in a batch while its present item takes long; see `Batch.beat`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from celery_process.engine.batch import Batch
from celery_process.forks import renew_in_children
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

IDLE = 60.0
"""Seconds without a batch after which the thread ends."""


class Leases(Protocol):
    """Renews the leases of claimed items: a `Heartbeat`, or a substitute under another clock."""

    def holding(self, batch: Batch) -> AbstractContextManager[None]:
        """Let `batch` beat when it is due, until the context ends."""


class Heartbeat:
    """Calls `beat` of batches when it is due. While a store delays one beat, another thread serves the other batches."""

    def __init__(self) -> None:
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Begin with no batch and no thread, in a forked child, which works on none of its parent's."""
        self._lock = threading.Lock()
        self._changed, self._spare = threading.Condition(self._lock), threading.Condition(self._lock)
        self._batches: set[Batch] = set()
        self._beating: set[Batch] = set()
        self._leading = self._promoted = False
        self._spares = 0
        self._wakes_at = math.inf

    @contextmanager
    def holding(self, batch: Batch) -> Iterator[None]:
        """Let `batch` beat inside the block."""
        with self._lock:
            self._batches.add(batch)
            self._ensure_leader()
            if batch.wake_at < self._wakes_at:  # else short items would wake the thread again and again for nothing
                self._changed.notify()
        try:
            yield
        finally:
            with self._lock:
                self._batches.discard(batch)

    def _ensure_leader(self) -> None:
        """Ensure that exactly one thread waits for the next batch that is due. Called under the lock."""
        if self._leading:
            return
        if self._spares:
            self._promoted = True
            self._spare.notify()
        else:
            threading.Thread(target=self._run, name="celery-process-heartbeat", daemon=True).start()
        self._leading = True

    def _run(self) -> None:
        while True:
            with self._lock:
                batch = self._next_due()
                if batch is None:
                    self._leading = False
                    return
                self._beating.add(batch)
                self._leading = False
                if self._batches - self._beating:
                    self._ensure_leader()
            alive = self._beat(batch)
            with self._lock:
                self._beating.discard(batch)
                if not alive:
                    self._batches.discard(batch)
                del batch
                if not self._stays():
                    return

    def _next_due(self) -> Batch | None:
        """Wait for a batch that is due, and return it; None after `IDLE` seconds without a batch."""
        while True:
            due = self._due_batch_or_time()
            if due is None:
                self._wait_until(time.monotonic() + IDLE)
                due = self._due_batch_or_time()
            if due is None or isinstance(due, Batch):
                return due
            self._wait_until(due)

    def _due_batch_or_time(self) -> Batch | float | None:
        """Return a batch that is due, or when to look again; None without a batch.

        A method of its own, since the frame of the one that waits would keep ended batches, and their app, alive.
        """
        free = self._batches - self._beating
        if not free:
            return None
        first = min(free, key=lambda batch: batch.due_at)
        return first if first.due_at <= time.monotonic() else min(batch.wake_at for batch in free)

    def _stays(self) -> bool:
        """Become the thread that waits, or a spare one until it is needed; false after `IDLE` seconds."""
        if not self._leading:
            self._leading = True
            return True
        self._changed.notify()  # the batch that has just beaten will be due again
        self._spares += 1
        self._spare.wait_for(lambda: self._promoted, IDLE)
        self._spares -= 1
        promoted, self._promoted = self._promoted, False
        return promoted

    def _wait_until(self, instant: float) -> None:
        self._wakes_at = instant
        self._changed.wait(timeout=max(instant - time.monotonic(), 0))
        self._wakes_at = -math.inf  # awake: a batch added now is seen before the next wait

    def _beat(self, batch: Batch) -> bool:
        extra = log_fields("heartbeat", process_name=batch.process_name, run_id=batch.run_id)
        try:
            return batch.beat()
        except Exception as error:  # noqa: BLE001 - logged; the other batches of the thread go on
            log_failure(logger, "The leases of run %s could not be renewed", batch.run_id, error=error, extra=extra)
            return True
