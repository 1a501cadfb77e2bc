"""The seam below the protocol: how a store runs a step over the rows of a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from celery_process.protocol.unit import Unit

Answer = TypeVar("Answer")
More = ParamSpec("More")


class Atomic(ABC):
    """What a store implements for the operations that are steps of the protocol; the steps themselves are in `protocol`."""

    @abstractmethod
    def atomically(self, operation: str, process: str, step: Callable[[Unit], Answer], *, using: Any = None) -> Answer:
        """Run a step over the rows of a process in one atomic unit, and return its answer; errors name `operation`.

        A unit that lost a race runs the step again, over the rows as they are then. With `using`, a transaction of the
        caller's, the unit is part of it; a store that cannot join it raises `CannotJoin`.
        """

    def _do(
        self,
        operation: str,
        process: str,
        step: Callable[Concatenate[Unit, More], Answer],
        *args: More.args,
        **more: More.kwargs,
    ) -> Answer:
        return self.atomically(operation, process, lambda unit: step(unit, *args, **more))
