"""What the failures of Redis mean."""

from __future__ import annotations

import re

from redis import exceptions

from celery_process.stores.redis.records import STATES
from celery_process.stores.retry import Driver, Failure

FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.RedisClusterException, OSError)
_WRONG_SERVER = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
"""From a replica that was the primary, from a server that reads its file, from one that lost its primary or cluster."""
_MEANINGS = {
    **dict.fromkeys((*_WRONG_SERVER, "BUSY", "UNBLOCKED", "TRYAGAIN", "NOREPLICAS"), Failure.PASSES),
    **dict.fromkeys(("OOM", "MISCONF"), Failure.OUTAGE),
    **dict.fromkeys(("NOPERM", "NOAUTH", "WRONGPASS"), Failure.DENIED),
    "WRONGTYPE": Failure.CORRUPT,
}
# The driver takes the word off the text of the errors that it has a class for.
_WORDS = {
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "NOAUTH",
    "AuthenticationWrongNumberOfArgsError": "NOAUTH",
    "AuthorizationError": "NOPERM",
}
_WORD = re.compile(r"[A-Z]{2,20}\b")
_INNER = re.compile(r": -([A-Z]{2,20})\b")  # Redis 6.2 wraps a command's error into an error of its script
_MALFORMED = re.compile(
    r"user_script:\d+: (attempt to|bad argument|table index)|arguments must be strings or integers"
    r"|value is not (an integer|a valid float)|is not a(n integer| float)"
)
"""Errors of Lua, and of the commands that count, for a record that the scripts did not write."""
_TRANSITION = re.compile(r"illegal transition (item|run) (\w+)>(\w+)")
"""The error that `states.lua` raises."""


def code_of(error: BaseException) -> str:
    """Return the word that a server's error begins with, or an empty text."""
    word = _WORDS.get(type(error).__name__)
    if word or not isinstance(error, exceptions.ResponseError):
        return word or ""
    text = str(error)
    found, inner = _WORD.match(text), _INNER.search(text)
    return inner[1] if inner else found[0] if found else ""


def is_lost(error: BaseException) -> bool:
    """Whether a connection was lost, or leads to a server that is not the one to ask: as may the others of the client."""
    return isinstance(error, _LOST) or code_of(error) in _WRONG_SERVER


def _failure(error: Exception) -> Failure:
    if isinstance(error, exceptions.DataError):
        return Failure.VALUE
    meaning = _MEANINGS.get(code_of(error), Failure.PASSES if isinstance(error, _LOST) else Failure.UNKNOWN)
    if _TRANSITION.search(str(error)) is not None:
        return Failure.ILLEGAL
    malformed = meaning is Failure.UNKNOWN and _MALFORMED.search(str(error)) is not None
    return Failure.CORRUPT if malformed else meaning


def _code(error: Exception) -> str:
    word = code_of(error)
    return type(error).__name__ + (f" {word}" if word else "")


def _transition(error: Exception) -> tuple[str, str, str]:
    found = _TRANSITION.search(str(error))
    assert found is not None
    entity, was, to = found.groups()
    return (entity, was, to) if entity == "run" else (entity, STATES[was], STATES[to])


DRIVER = Driver(FAILURES, _failure, _code, transition=_transition)
"""How the errors of Redis are read."""
