"""The heartbeat: one thread an operating-system process, which renews the leases of all items that it works on.

It stops renewing an item at the process's `time_limit`, whatever the pool, so that a hung handler loses its item.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Protocol

from celery_process.exceptions import StoreUnavailable
from celery_process.work import Work

logger = logging.getLogger(__name__)

IDLE = 60.0
"""Seconds without an item after which the thread ends."""


class Held(Protocol):
    """An item whose lease is renewed."""

    def started(self) -> None:
        """Begin to count the time limit."""


class Leases(Protocol):
    """What renews the leases of items that are worked on: a `Heartbeat`, or what stands for it under another clock."""

    def holding(self, work: Work, lease: timedelta, time_limit: timedelta | None) -> AbstractContextManager[Held]:
        """Renew the lease of `work` until the context ends."""


class _Held:
    """An item under the heartbeat. `limit_at` is set when its handler starts."""

    def __init__(self, work: Work, every: float, time_limit: timedelta | None) -> None:
        self.work, self.every, self.time_limit = work, every, time_limit
        self.next_at = time.monotonic() + every
        self.limit_at: float | None = None

    def started(self) -> None:
        """Begin to count the time limit."""
        if self.time_limit is not None:
            self.limit_at = time.monotonic() + self.time_limit.total_seconds()


class Heartbeat:
    """Renews leases every third of a lease. The thread starts with the first item and ends when it is idle."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: set[_Held] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf
        self._pid = 0

    @contextmanager
    def holding(self, work: Work, lease: timedelta, time_limit: timedelta | None) -> Iterator[_Held]:
        """Renew the lease of `work` inside the block; `started()` of what it yields begins the time limit."""
        held = _Held(work, lease.total_seconds() / 3, time_limit)
        with self._condition:
            if self._pid != os.getpid():  # a forked child has the set of its parent and no thread
                self._pid, self._held, self._thread = os.getpid(), set(), None
            self._held.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="celery-process-heartbeat", daemon=True)
                self._thread.start()
            if held.next_at < self._wakes_at:  # else short items would wake the thread for nothing, again and again
                self._condition.notify()
        try:
            yield held
        finally:
            with self._condition:
                self._held.discard(held)

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._held:
                    self._wait_until(time.monotonic() + IDLE)
                if not self._held:
                    self._thread = None
                    return
                self._wait_until(min(held.next_at for held in self._held))
                now = time.monotonic()
                due = [held for held in self._held if held.next_at <= now]
            for held in due:
                self._beat(held)

    def _wait_until(self, instant: float) -> None:
        self._wakes_at = instant
        self._condition.wait(timeout=max(instant - time.monotonic(), 0))
        self._wakes_at = -math.inf  # awake: whoever comes now is seen before the next wait

    def _beat(self, held: _Held) -> None:
        extra = {"action": "heartbeat", "work_name": held.work.name, "run_id": held.work.run.id}
        held.next_at = time.monotonic() + held.every
        alive = held.limit_at is None or time.monotonic() < held.limit_at
        if not alive:
            logger.warning("Item %s is over its time limit; its lease is not renewed any more.", held.work.name, extra=extra)
        try:
            alive = alive and held.work.beat()
        except StoreUnavailable as error:
            logger.warning("The lease of %s could not be renewed: %s", held.work.name, error, extra=extra)
        except Exception:
            logger.exception("The heartbeat of %s failed.", held.work.name, extra=extra)
        if not alive:
            with self._condition:
                self._held.discard(held)
