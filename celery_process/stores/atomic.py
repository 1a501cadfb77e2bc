"""The seam below the protocol: how a store runs a step over the rows of a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from celery_process.protocol.rows import Rows

Answer = TypeVar("Answer")


class Atomic(ABC):
    """What a store implements for the operations that are steps of the protocol; the steps themselves are in `protocol`."""

    @abstractmethod
    def atomically(self, operation: str, process: str, step: Callable[[Rows], Answer]) -> Answer:
        """Run a step over the rows of a process in one atomic unit, and return its answer; errors name `operation`.

        A unit that lost a race runs the step again, over the rows as they are then.
        """
