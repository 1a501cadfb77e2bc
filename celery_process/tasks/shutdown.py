"""Whether this Celery worker shuts down, known to its pool children as well, and which exceptions end a worker.

Celery notifies the main process only; forked children share one byte with it. A spawned child does not, and ends its
message first, as any Celery task does.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery, bootsteps
from celery.exceptions import WorkerShutdown, WorkerTerminate

_bytes: WeakKeyDictionary[Celery, mmap.mmap] = WeakKeyDictionary()


class ShutdownNote(bootsteps.StartStopStep):
    """Sets the byte when a worker begins to stop, for whatever reason."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        _bytes.setdefault(parent.app, mmap.mmap(-1, 1))  # before the pool forks
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Note that the worker runs."""
        _bytes[parent.app][0] = 0

    def close(self, parent: Any) -> None:
        """Note that the worker stops; it waits for its children after that."""
        _bytes[parent.app][0] = 1


def shutting_down(app: Celery) -> bool:
    """Whether to begin no further item: in a task of a worker of this app that stops, not in an eager one."""
    task, byte = app.current_worker_task, _bytes.get(app)
    return task is not None and not task.request.is_eager and byte is not None and byte[0] == 1


def ends_worker(error: BaseException) -> bool:
    """Whether Celery ends a worker, or a pool one of its children, by this exception from a handler.

    A child of the prefork pool ends itself at a signal by `sys.exit(signal - 256)`, a green one is ended by GreenletExit.
    """
    if isinstance(error, WorkerShutdown | WorkerTerminate):
        return True
    if isinstance(error, SystemExit):
        return isinstance(error.code, int) and -256 < error.code < -192
    killed = getattr(sys.modules.get("greenlet"), "GreenletExit", None)
    return killed is not None and isinstance(error, killed)
