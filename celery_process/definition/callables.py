"""Whether a function does its work when it is called, judged where it is defined and by what it returned.

A coroutine function or a generator function runs nothing until somebody awaits or iterates what it returns, and nobody does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from types import GeneratorType, MethodType
from typing import Any

from celery_process.exceptions import InvalidType

_CACHED = type(functools.lru_cache(lambda: None))
_DEEPEST = 100
"""Layers of partials and callable objects that are looked through."""
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

    It is looked for behind partials, bound methods, caches, static methods, and the `__call__` of an object.
    """
    if not callable(value):
        raise InvalidType(f"{argument} is a function, not {value!r:.80}; decorate one.", argument=argument, value=value)
    if isinstance(value, type):  # an object of it is true, whatever its `__call__` would answer
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
    # `__wrapped__` is not followed: a plain function that runs a coroutine function to its end often has one there.
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
    """Return the error of a function that returned its work instead of doing it, or None; such a coroutine is closed."""
    for is_one, kind in _RETURNED:
        if is_one(returned):
            with suppress(Exception):  # what was begun of a generator may raise at its end
                getattr(returned, "close", lambda: None)()
            return InvalidType(
                f"{argument} returned {kind}, which nobody runs; await or iterate it there, say with asyncio.run().",
                argument=argument,
                value=type(returned).__name__,
            )
    return None
