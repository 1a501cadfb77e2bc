"""How often an operation is tried and for how long, and which error is raised in the end.

A store defines what each failure of its driver means. A retry is safe since every operation can be repeated: ids come
from the caller and totals are absolute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from celery_process.exceptions import AccessDenied, CorruptData, RefusedValue, StoreError, StoreUnavailable
from celery_process.protocol.states import illegal

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds; each wait is a random part of a span that doubles ("full jitter"), so that racers do not collide again."""
PATIENCE = 8.0
"""Seconds; no try begins later than that after the first one: a lease of 30 s outlives an operation that fails."""
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 5, 8
"""Seconds that a driver waits for a connection, and for an answer. An option of the URL wins."""

Result = TypeVar("Result")


class Failure(Enum):
    """What a failure of a driver means: whether it is an outage, and the error and the advice if it is not."""

    PASSES = "an outage that may be over at the next try"
    OUTAGE = "an outage that lasts: a full disk, no memory"
    DENIED = "the account may not"
    VALUE = "a value does not fit"
    CORRUPT = "what is stored is not what was written"
    SCHEMA = "a table or a column is missing"
    ILLEGAL = "a state may not follow another"
    UNKNOWN = "anything else that the server refused"


_OUTAGES = (Failure.PASSES, Failure.OUTAGE)
_ERRORS: dict[Failure, tuple[type[StoreError], str]] = {
    Failure.DENIED: (
        AccessDenied,
        "check in process_backend the user and password, that the database exists, and that the account may use it",
    ),
    Failure.VALUE: (RefusedValue, "a value is too large, too long or of characters that the database lacks: change it"),
    Failure.CORRUPT: (
        CorruptData,
        "something else wrote under the store's names: choose another prefix for them, or restore the data from a copy",
    ),
    Failure.UNKNOWN: (StoreError, "check that its version and settings are supported, and report it otherwise"),
}


@dataclass(frozen=True)
class Driver:
    """How the errors of a driver are read.

    `caught`: those that are its own. `code`: the server's code of the error, without its text, which can quote
    keys and values.
    """

    caught: tuple[type[Exception], ...]
    failure: Callable[[Exception], Failure]
    code: Callable[[Exception], str]
    mismatch: Callable[[str, str], StoreError] | None = None
    """Makes the error of `Failure.SCHEMA` from what happened, and the operation."""
    transition: Callable[[Exception], tuple[str, str, str]] | None = None
    """Returns, for `Failure.ILLEGAL`, the entity, its state, and the state that was refused."""


def retried(once: Callable[[], Result], driver: Driver, *, operation: str, url: str, process: str = "") -> Result:
    """Return what `once` returns, after at most `TRIES` tries; then raise the `StoreError` that fits."""
    attempt, began = 1, time.monotonic()
    while True:
        try:
            return once()
        except driver.caught as error:
            failure = driver.failure(error)
            ended = attempt == TRIES or time.monotonic() - began >= PATIENCE
            if ended or failure is not Failure.PASSES:
                raise store_error(error, driver, operation=operation, url=url, process=process, tries=attempt) from error
        span = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))
        time.sleep(random.uniform(0, span))  # noqa: S311 - spreads load, guards nothing
        attempt += 1


def store_error(
    error: Exception, driver: Driver, *, operation: str, url: str, process: str = "", tries: int = 1
) -> StoreError:
    """Return the error that callers of a store get for a failure of its driver."""
    kind, failure = driver.code(error), driver.failure(error)
    if failure in _OUTAGES:
        return StoreUnavailable(
            f"The store {url} did not answer {operation!r} ({kind}, {tries} of {TRIES} tries); see the error before this "
            "one, and check that the server is up, reachable and not overloaded.",
            operation=operation,
        )
    if failure is Failure.SCHEMA and driver.mismatch is not None:
        return driver.mismatch(kind, operation)
    about = {"process": process} if process else {}
    if failure is Failure.ILLEGAL and driver.transition is not None:
        return illegal(*driver.transition(error), operation=operation, **about)
    made, advice = _ERRORS[failure if failure in _ERRORS else Failure.UNKNOWN]
    of = f" of {process!r}" if process else ""
    return made(
        f"The store {url} refused {operation!r}{of} ({kind}); see the error before this one: {advice}.",
        operation=operation,
        **about,
    )
