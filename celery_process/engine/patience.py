"""Calls that are waited for no longer than some seconds, one by one or together, whatever the driver below does."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from celery_process.exceptions import StoreUnavailable

Result = TypeVar("Result")

ONCE_MORE: Mapping[str, Any] = {
    "retry": True,
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
}
"""How messages are published: over a connection that broke while it idled once more, whatever policy the project has, which
may try for ever. What a broker that is away does not take is the sweep's. Without `retry` older kombu connects for ever.
"""

_left: dict[str, threading.Thread] = {}


def within(seconds: float, call: Callable[[], Result], *, operation: str, whom: str = "store") -> Result:
    """Return what `call` returns, or raise what it raises; after `seconds`, `StoreUnavailable`.

    The call is then left behind in its thread. While one of an operation is, the next is refused at once, so that a store
    that hangs is asked by one thread alone.
    """
    left = _left.get(operation)
    if left is not None and left.is_alive():  # a forked child has none of its parent's threads
        raise StoreUnavailable(
            f"The {whom} has not answered an earlier {operation!r} yet; see whether it hangs.", operation=operation
        )
    if seconds <= 0:
        raise StoreUnavailable(f"No time is left for {operation!r}; what it was to do is done later.", operation=operation)
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.extend((True, call()))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.extend((False, error))

    context = contextvars.copy_context()
    asking = threading.Thread(target=context.run, args=(ask,), name=f"celery_process.{operation}", daemon=True)
    asking.start()
    asking.join(seconds)
    if not answer:
        _left[operation] = asking
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
    """Seconds that a piece of work takes altogether: each call is waited for as long as some are left.

    `answer`: seconds for the first call alone, after which nobody is there.
    """

    def __init__(self, seconds: float, *, answer: float) -> None:
        self._seconds, self._answer = seconds, answer
        self._ends = time.monotonic() + seconds

    @property
    def is_short(self) -> bool:
        """Whether less than a quarter is left, in which nothing more should be begun that may take long."""
        return self._ends - time.monotonic() < self._seconds / 4

    def within(self, call: Callable[[], Result], *, operation: str, whom: str = "store") -> Result:
        """Return what `call` returns, as `within` does."""
        result = within(min(self._answer, self._ends - time.monotonic()), call, operation=operation, whom=whom)
        self._answer = self._seconds
        return result

    def of(self, whole: Result) -> Result:
        """Return an object whose methods are those of `whole`, waited for within the budget."""
        return cast("Result", _Hurried(whole, self))


class _Hurried:
    def __init__(self, whole: object, budget: Budget) -> None:
        self._whole, self._budget = whole, budget

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if not callable(found):
            return found
        return lambda *args, **options: self._budget.within(partial(found, *args, **options), operation=name)
