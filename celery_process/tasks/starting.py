"""The check of a worker before it takes a message: it refuses to start if its work could not be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import bootsteps


def start_check(check: Callable[[], None]) -> type[bootsteps.StartStopStep]:
    """Return a step of a worker's start that calls `check`; an error from it ends the worker."""

    class StartCheck(bootsteps.StartStopStep):
        """Calls the check."""

        def start(self, parent: Any) -> None:  # noqa: ARG002
            """Check the app."""
            check()

    return StartCheck
