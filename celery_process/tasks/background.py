"""What a caller need not wait for, such as telling monitors: done in order in a thread, and waited for a moment at most."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
import time
from collections.abc import Callable

MOMENT = 0.25
"""Seconds for which a caller waits, so that in good times what it told is told before it goes on, or ends."""
MOST = 100
"""Calls that wait at most; where one hangs, further ones are dropped."""

_Call = tuple[Callable[[], object], contextvars.Context, threading.Event]


class Background:
    """A thread of its own for calls that raise nothing."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all: in a forked child, which has none of its parent's threads and maybe its locks."""
        self._lock = threading.Lock()
        self._calls: queue.Queue[_Call] = queue.Queue(MOST)
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def do(self, call: Callable[[], object], *, wait: float = MOMENT) -> bool:
        """Have a call done; return whether it will be. `wait` passes at most, and none while another call hangs."""
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
