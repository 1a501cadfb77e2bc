"""Raises `CorruptData`, with the process and the operation, for stored data that cannot be read."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from celery_process.exceptions import CorruptData, ProcessError
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.keys import RunKey
from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

About = TypeVar("About", bound=str | RunKey)
Given = ParamSpec("Given")
Result = TypeVar("Result")
Operation = Callable[Concatenate[Client, About, Given], Result]

_MALFORMED = (ValueError, LookupError, TypeError, ArithmeticError)
"""Python's errors for too few lines, no number, JSON that is broken or of another shape, or an unknown word."""


def readable(operation: Operation[About, Given, Result]) -> Operation[About, Given, Result]:
    """Have an operation raise `CorruptData` where it cannot read what is stored: its arguments are known to be good."""

    @functools.wraps(operation)
    def done(client: Client, about: About, /, *args: Given.args, **more: Given.kwargs) -> Result:
        process = about.process if isinstance(about, RunKey) else about
        with reading(client, operation.__name__, process):
            return operation(client, about, *args, **more)

    return done


def read_each(
    client: Client,
    operation: str,
    name: str,
    calls: Sequence[tuple[str, tuple[Any, ...]]],
    read: Callable[[str, Any], Result],
) -> dict[str, Result]:
    """Return what `read` makes of a script's answers, by process, without the processes that have none.

    A process whose data are corrupt is left out too, and logged, so that it delays no other.
    """
    found: dict[str, Result] = {}
    for (process, _), answer in zip(calls, client.call_all(operation, name, calls, corrupt=True), strict=True):
        try:
            if isinstance(answer, CorruptData):
                raise answer
            if answer:
                with reading(client, operation, process):
                    found[process] = read(process, answer)
        except CorruptData as error:
            logger.error("%s", error, extra=log_fields("corrupt_data", process_name=process))  # noqa: TRY400
    return found


@contextlib.contextmanager
def reading(client: Client, operation: str, process: str) -> Iterator[None]:
    """Raise `CorruptData` where the block cannot read what it has of a process."""
    try:
        yield
    except (*_MALFORMED, CorruptData) as error:
        if isinstance(error, ProcessError) and (not isinstance(error, CorruptData) or "operation" in error.facts):
            raise
        raise CorruptData(
            f"The store {client.address.shown} cannot read what it has of {process!r} in {operation!r} "
            f"({type(error).__name__}); see the error before this one: something else wrote under the store's names: choose "
            "another prefix for them, or restore the data from a copy.",
            operation=operation,
            process=process,
        ) from error
