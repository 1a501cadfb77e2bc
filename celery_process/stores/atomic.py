"""The seam below the protocol: how a store runs a step over the rows of a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from celery_process.protocol.rows import Rows

Answer = TypeVar("Answer")


class Atomic(ABC):
    """What a store has to bring for the operations that are steps of the protocol: they stand in `protocol`, once."""

    @abstractmethod
    def atomically(self, operation: str, process: str, step: Callable[[Rows], Answer]) -> Answer:
        """Return what a step answers over the rows of a process, in one atomic unit; `operation` is named in errors.

        A unit that lost a race is run again, with what the rows are then.
        """
