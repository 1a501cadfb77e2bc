"""Whether the Celery worker that this is part of shuts down, seen in its pool children as well; and what ends one.

The main process alone hears of it; children that were forked share one byte with it. A spawned child does not, and ends
the message that it has, as Celery's tasks do.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

from celery import bootsteps
from celery.exceptions import WorkerShutdown, WorkerTerminate

_byte = mmap.mmap(-1, 1)


class ShutdownNote(bootsteps.StartStopStep):
    """Notes when a worker begins to stop, for whatever reason."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:  # noqa: ARG002
        """Note that the worker runs."""
        _byte[0] = 0

    def close(self, parent: Any) -> None:  # noqa: ARG002
        """Note that the worker stops; it waits for its children after that."""
        _byte[0] = 1


def shutting_down() -> bool:
    """Whether to begin nothing more."""
    return _byte[0] == 1


def ends_worker(error: BaseException) -> bool:
    """Whether an exception out of a handler is how Celery ends a worker, or a pool one of its children.

    A child of the prefork pool ends itself at a signal by `sys.exit(signal - 256)`, a green one is ended by GreenletExit.
    """
    if isinstance(error, WorkerShutdown | WorkerTerminate):
        return True
    if isinstance(error, SystemExit):
        return isinstance(error.code, int) and -256 < error.code < -192
    killed = getattr(sys.modules.get("greenlet"), "GreenletExit", None)
    return killed is not None and isinstance(error, killed)
