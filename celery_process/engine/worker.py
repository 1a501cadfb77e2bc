"""`Worker`, the original's interface as an optional base class: a process written as one class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery_process.definition.callables import check_callable
from celery_process.engine.work import Work
from celery_process.exceptions import InvalidType, short_repr


class Worker:
    """Subclass and decorate it: `process_active_work` is required, the other methods are optional."""

    def process_active_work(self, work: Work) -> object:
        """Do the work of one active item."""
        raise NotImplementedError(f"{type(self).__name__} has no process_active_work(self, work); write it.")

    def cleanup_work(self, work: Work) -> object:
        """Clean up after one item that was unregistered."""

    def wait(self) -> object:
        """Return, at each trigger before the claim, whether the slot may run; false declines the trigger."""
        return True


def handlers_of(target: Any) -> dict[str, Callable[..., object]]:
    """Return the handlers of a function, a class with the methods of `Worker`, or an instance of one.

    Raises `InvalidType` for a class whose constructor needs arguments, and for what `check_callable` refuses.
    """
    if isinstance(target, type):
        try:
            target = target()
        except TypeError as error:
            raise InvalidType(
                f"{target.__name__} cannot be made without arguments ({error}); decorate an instance of it.",
                argument="handler",
                value=target,
            ) from error
    active = getattr(target, "process_active_work", None)
    if active is None:
        if not callable(target):
            raise InvalidType(
                f"A process is a function of one work, or a Worker with process_active_work, not {short_repr(target)}.",
                argument="handler",
                value=target,
            )
        active = target
    found = {"handler": active}
    if active is not target:
        for key, method in (("cleanup", "cleanup_work"), ("wait", "wait")):
            if hasattr(target, method):
                found[key] = getattr(target, method)
    for key, function in found.items():
        check_callable(function, argument=key)
    return found
