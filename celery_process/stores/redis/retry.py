"""Which failures pass by themselves, and how often a call is tried.

A repeat is safe since every operation can be repeated: ids come from the caller and totals are absolute.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from redis import exceptions

from celery_process.exceptions import StoreUnavailable

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds; each wait is a random part of a span that doubles ("full jitter"), so that racers do not meet again."""

FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
_PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.ReadOnlyError,
    exceptions.RedisClusterException,
    OSError,
)
_REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_PASSING_CODES = frozenset({"BUSY", "LOADING", "MASTERDOWN", "UNBLOCKED"})
_CODE = re.compile(r"[A-Z]{2,20}\b")

Result = TypeVar("Result")


def code_of(error: BaseException) -> str:
    """Return the word that a server's error begins with, or an empty text."""
    found = _CODE.match(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return found.group() if found else ""


def passes(error: Exception) -> bool:
    """Whether a failure may be gone at the next try."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, _PASSING) or code_of(error) in _PASSING_CODES


def retried(once: Callable[[], Result], *, operation: str, url: str) -> Result:
    """Return what `once` returns, after at most `TRIES` tries; then raise `StoreUnavailable`."""
    attempt = 1
    while True:
        try:
            return once()
        except FAILURES as error:
            if attempt == TRIES or not passes(error):
                raise _unavailable(error, attempt, operation=operation, url=url) from error
        time.sleep(random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))))  # noqa: S311 - guards nothing
        attempt += 1


def _unavailable(error: Exception, tries: int, *, operation: str, url: str) -> StoreUnavailable:
    # Only the kind and code: the text of an error can quote keys and values.
    code = code_of(error)
    kind = type(error).__name__ + (f" {code}" if code else "")
    return StoreUnavailable(
        f"The store {url} did not answer {operation!r} ({kind}, {tries} of {TRIES} tries); see the error before this one, "
        "and check that the server is up, reachable and not overloaded.",
        operation=operation,
    )
