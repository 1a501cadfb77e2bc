"""What a worker looks at before it takes a message: it refuses to start where its work could not be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import bootsteps


def start_check(check: Callable[[], None]) -> type[bootsteps.StartStopStep]:
    """Return the step of a worker that calls `check`; what that raises ends the worker."""

    class StartCheck(bootsteps.StartStopStep):
        """Looks at the app."""

        def start(self, parent: Any) -> None:  # noqa: ARG002
            """Look."""
            check()

    return StartCheck
