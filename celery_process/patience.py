"""Calls that are waited for no longer than some seconds, whatever the driver below does."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from celery_process.exceptions import StoreUnavailable

Result = TypeVar("Result")

_left: dict[str, threading.Thread] = {}


def within(seconds: float, call: Callable[[], Result], *, operation: str) -> Result:
    """Return what `call` returns, or raise what it raises; after `seconds`, `StoreUnavailable`.

    The call is then left behind in its thread. While one of an operation is, the next is refused at once, so that a store
    that hangs is asked by one thread alone.
    """
    left = _left.get(operation)
    if left is not None and left.is_alive():  # a forked child has none of its parent's threads
        raise StoreUnavailable(
            f"The store has not answered an earlier {operation!r} yet; see whether it hangs.", operation=operation
        )
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
            f"The store did not answer {operation!r} within {seconds:g} s; check that it is up and reachable.",
            operation=operation,
        )
    returned, value = answer
    if not returned:
        raise value
    result: Result = value
    return result
