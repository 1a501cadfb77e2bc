"""Whether the Celery worker that this is part of shuts down, seen in its pool children as well.

The main process alone hears of it; children that were forked share one byte with it. A spawned child does not, and ends
the message that it has, as Celery's tasks do.
"""

from __future__ import annotations

import mmap
from typing import Any

from celery import bootsteps

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
