"""Check that a function does its work when it is called: at its definition, and by the value that it returned.

A coroutine function or a generator function runs nothing until somebody awaits or iterates its result, and nobody does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from types import GeneratorType, MethodType
from typing import Any

from celery_process.exceptions import InvalidType, short_repr

_CACHED = type(functools.lru_cache(lambda: None))
_DEEPEST = 100
"""How many layers of partials and callable objects the check unwraps."""
_FUNCTIONS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (inspect.iscoroutinefunction, "a coroutine function"),
    (inspect.isasyncgenfunction, "an async generator function"),
    (inspect.isgeneratorfunction, "a generator function"),
)
_RETURNED: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda value: isinstance(value, GeneratorType), "a generator"),
    (inspect.isasyncgen, "an async generator"),
    (inspect.isawaitable, "an awaitable"),
    (lambda value: isinstance(value, map | filter), "an iterator"),
)


def check_callable(value: object, *, argument: str) -> None:
    """Raise `InvalidType` for what is no function, and for a function that would run nothing when it is called.

    Partials, bound methods, caches, static methods and the `__call__` of an object are unwrapped to the function behind.
    """
    if not callable(value):
        raise InvalidType(
            f"{argument} is a function, not {short_repr(value)}; decorate one.", argument=argument, value=value
        )
    if isinstance(value, type):  # a call of it makes an object, which is true whatever its `__call__` would return
        raise InvalidType(
            f"{argument} is a function, not the class {value.__name__}; decorate an instance of it.",
            argument=argument,
            value=value,
        )
    kind = _kind(value)
    if kind:
        raise InvalidType(
            f"{argument} is {kind}, and a call of it would run nothing; write a plain function, with asyncio.run() around "
            "what is to be awaited and a loop around what is to be iterated.",
            argument=argument,
            value=value,
        )


def _kind(value: Any) -> str:
    # `__wrapped__` is not followed: a plain function that runs a coroutine function to its end often wraps it.
    for _ in range(_DEEPEST):
        for is_one, kind in _FUNCTIONS:
            if is_one(value):
                return kind
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType | staticmethod):
            value = value.__func__
        elif isinstance(value, _CACHED):
            value = value.__wrapped__
        elif inspect.isroutine(value):
            return ""
        else:
            value = type(value).__call__
    return ""


def not_run(returned: object, *, argument: str) -> InvalidType | None:
    """Return the error for a function that returned its work instead of doing it, or None; close such a coroutine."""
    for is_one, kind in _RETURNED:
        if is_one(returned):
            with suppress(Exception):  # a generator that has begun may raise when it is closed
                getattr(returned, "close", lambda: None)()
            return InvalidType(
                f"{argument} returned {kind}, which nobody runs; await or iterate it there, say with asyncio.run().",
                argument=argument,
                value=type(returned).__name__,
            )
    return None
