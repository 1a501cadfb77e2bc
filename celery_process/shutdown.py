"""Whether the Celery worker that this is part of shuts down, seen in its pool children as well.

The signal reaches the main process only; children that were forked share one byte with it. A spawned child does not, and
ends the message that it has, as Celery's tasks do.
"""

from __future__ import annotations

import mmap
from typing import Any

from celery.signals import worker_init, worker_shutting_down

_byte = mmap.mmap(-1, 1)


@worker_shutting_down.connect(weak=False)
def _on_shutting_down(**_: Any) -> None:
    _byte[0] = 1


@worker_init.connect(weak=False)
def _on_init(**_: Any) -> None:
    _byte[0] = 0


def shutting_down() -> bool:
    """Whether to begin nothing more."""
    return _byte[0] == 1
