"""Calls that nobody needs to wait for, such as events for monitors: a thread makes them in order."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
import time
from collections.abc import Callable

MOMENT = 0.25
"""Seconds that a caller waits at most, so that its call is usually done before it goes on or ends."""
MOST = 100
"""Calls in the queue at most; while one hangs, further ones are dropped."""

_Call = tuple[Callable[[], object], contextvars.Context, threading.Event]


class Background:
    """A queue of calls that raise nothing, and the thread that makes them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again empty, in a forked child: it has none of its parent's threads, and maybe its locks."""
        self._lock = threading.Lock()
        self._calls: queue.Queue[_Call] = queue.Queue(MOST)
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def do(self, call: Callable[[], object], *, wait: float = MOMENT) -> bool:
        """Enqueue a call; return whether it will be made. Waits up to `wait` seconds, unless another call hangs."""
        done = threading.Event()
        try:
            self._calls.put_nowait((call, contextvars.copy_context(), done))
        except queue.Full:
            return False
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="celery_process.background", daemon=True)
                self._thread.start()
        busy_since = self._busy_since
        if busy_since is None or time.monotonic() - busy_since < MOMENT:
            done.wait(wait)
        return True

    def _run(self) -> None:
        while True:
            call, context, done = self._calls.get()
            self._busy_since = time.monotonic()
            try:
                context.run(call)
            finally:
                self._busy_since = None
                done.set()


background = Background()
os.register_at_fork(after_in_child=background.reset)
