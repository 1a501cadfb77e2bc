"""Calls with a timeout, one by one or together, whatever the driver below does."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from celery_process.exceptions import StoreUnavailable

Result = TypeVar("Result")

ONE_RETRY: Mapping[str, Any] = {
    "retry": True,
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
}
"""Options of publishing: one retry, for a connection that broke while it was idle, whatever policy the project has, which
may retry for ever. If the broker is away, the sweep publishes later. Without `retry` older kombu connects for ever.
"""

_hanging: dict[str, threading.Thread] = {}


def within(seconds: float, call: Callable[[], Result], *, operation: str, whom: str = "store") -> Result:
    """Return what `call` returns, or raise what it raises; after `seconds`, raise `StoreUnavailable`.

    The call then goes on in its thread. As long as it does, further calls of that operation are refused at once, so that
    one thread alone waits for a store that hangs.
    """
    earlier = _hanging.get(operation)
    if earlier is not None and earlier.is_alive():  # a forked child has none of its parent's threads
        raise StoreUnavailable(
            f"The {whom} has not answered an earlier {operation!r} yet; see whether it hangs.", operation=operation
        )
    if seconds <= 0:
        raise StoreUnavailable(
            f"The time is used up before {operation!r}; the next sweep does the rest.", operation=operation
        )
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.extend((True, call()))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.extend((False, error))

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name=f"celery_process.{operation}", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        _hanging[operation] = thread
        raise StoreUnavailable(
            f"The {whom} did not answer {operation!r} within {seconds:g} s; check that it is up and reachable.",
            operation=operation,
        )
    returned, value = answer
    if not returned:
        raise value
    result: Result = value
    return result


class Budget:
    """Seconds for several calls together: each has those that are left as its timeout.

    `answer`: the timeout of the first call, which shows whether the store is there.
    """

    def __init__(self, seconds: float, *, answer: float) -> None:
        self._seconds, self._answer = seconds, answer
        self._ends = time.monotonic() + seconds

    @property
    def is_short(self) -> bool:
        """Whether less than a quarter is left, too little to begin something that may take long."""
        return self._ends - time.monotonic() < self._seconds / 4

    def within(self, call: Callable[[], Result], *, operation: str, whom: str = "store") -> Result:
        """Return what `call` returns, as `within` does."""
        result = within(min(self._answer, self._ends - time.monotonic()), call, operation=operation, whom=whom)
        self._answer = self._seconds
        return result

    def of(self, whole: Result) -> Result:
        """Return an object with the methods of `whole`, each with the budget as its timeout."""
        return cast("Result", _Budgeted(whole, self))


class _Budgeted:
    def __init__(self, whole: object, budget: Budget) -> None:
        self._whole, self._budget = whole, budget

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if not callable(found):
            return found
        return lambda *args, **options: self._budget.within(partial(found, *args, **options), operation=name)
