"""The heartbeat: one thread an operating-system process, which renews the leases of all batches that it works on.

It also reports the outcomes that wait in a batch whose present item takes long. What a beat is, the batch says.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from celery_process.batch import Batch
from celery_process.exceptions import StoreUnavailable
from celery_process.forks import renew_in_children

logger = logging.getLogger(__name__)

IDLE = 60.0
"""Seconds without a batch after which the thread ends."""


class Leases(Protocol):
    """What renews the leases of items that are worked on: a `Heartbeat`, or what stands for it under another clock."""

    def holding(self, batch: Batch) -> AbstractContextManager[None]:
        """Let `batch` beat when it is due, until the context ends."""


class Heartbeat:
    """Lets batches beat. The thread starts with the first one and ends when it is idle."""

    def __init__(self) -> None:
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Begin with no batch and no thread: a forked child has those of its parent."""
        self._condition = threading.Condition()
        self._held: set[Batch] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    @contextmanager
    def holding(self, batch: Batch) -> Iterator[None]:
        """Let `batch` beat inside the block."""
        with self._condition:
            self._held.add(batch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="celery-process-heartbeat", daemon=True)
                self._thread.start()
            if batch.looked_at < self._wakes_at:  # else short items would wake the thread for nothing, again and again
                self._condition.notify()
        try:
            yield
        finally:
            with self._condition:
                self._held.discard(batch)

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._held:
                    self._wait_until(time.monotonic() + IDLE)
                if not self._held:
                    self._thread = None
                    return
                self._wait_until(min(batch.looked_at for batch in self._held))
                now = time.monotonic()
                due = [batch for batch in self._held if batch.due_at <= now]
            for batch in due:
                self._beat(batch)

    def _wait_until(self, instant: float) -> None:
        self._wakes_at = instant
        self._condition.wait(timeout=max(instant - time.monotonic(), 0))
        self._wakes_at = -math.inf  # awake: whoever comes now is seen before the next wait

    def _beat(self, batch: Batch) -> None:
        extra = {"action": "heartbeat", "run_id": batch.run_id}
        alive = True
        try:
            alive = batch.beat()
        except StoreUnavailable as error:
            logger.warning("The leases of run %s could not be renewed: %s", batch.run_id, error, extra=extra)
        except Exception:
            logger.exception("The heartbeat of run %s failed.", batch.run_id, extra=extra)
        if not alive:
            with self._condition:
                self._held.discard(batch)
