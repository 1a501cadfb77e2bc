"""Which failures pass by themselves, and how often a transaction is tried.

A repeat is safe since every operation can be repeated: ids come from the caller and totals are absolute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from celery_process.exceptions import StoreUnavailable

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds; each wait is a random part of a span that doubles ("full jitter"), so that racers do not meet again."""

_SQLSTATES = frozenset({"40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03"})
# Deadlock, lock wait, row changed; too many connections, shutdown, connection killed or lost.
_MYSQL = frozenset({1213, 1205, 1020, 1040, 1053, 1927, 2003, 2006, 2013, 4031})
_SQLITE = frozenset({5, 6})  # SQLITE_BUSY, SQLITE_LOCKED; extended codes keep the primary one in their low byte
_RACED_DDL = frozenset({"42P07", "42710"})  # duplicate table, duplicate object: somebody created it a moment ago

Result = TypeVar("Result")


class Late(Exception):
    """A compare-and-set met another state than the one that was read: read again, decide again."""


def passes(error: Exception) -> bool:
    """Whether a failure may be gone at the next try. One of uniqueness is: somebody was first, so decide again."""
    if isinstance(error, Late | sa.exc.TimeoutError | sa.exc.IntegrityError):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    sqlite_code = getattr(error.orig, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _SQLITE
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate in _SQLSTATES or sqlstate in _RACED_DDL or sqlstate.startswith("08")
    code = _number(error.orig)
    if code is not None:
        return code in _MYSQL
    # Without any code the server was not reached.
    return isinstance(error, sa.exc.OperationalError)


def _number(error: BaseException | None) -> int | None:
    """Return the number that MySQL's drivers give first."""
    number = error.args[0] if error is not None and error.args else None
    return number if isinstance(number, int) else None


def retried(once: Callable[[], Result], *, operation: str, url: str) -> Result:
    """Return what `once` returns, after at most `TRIES` tries; then raise `StoreUnavailable`."""
    attempt = 1
    while True:
        try:
            return once()
        except (Late, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if attempt == TRIES or not passes(error):
                raise _unavailable(error, attempt, operation=operation, url=url) from error
        span = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
        time.sleep(random.uniform(0, span))  # noqa: S311 - spreads load, guards nothing
        attempt += 1


def _unavailable(error: Exception, tries: int, *, operation: str, url: str) -> StoreUnavailable:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    # Only the kind and code: the text of a database error can quote keys and values.
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or _number(cause)
    kind = type(cause).__name__ + (f" {code}" if code else "")
    return StoreUnavailable(
        f"The store {url} did not answer {operation!r} ({kind}, {tries} of {TRIES} tries); see the error before this one, "
        "and check that the server is up, reachable and not overloaded.",
        operation=operation,
    )
