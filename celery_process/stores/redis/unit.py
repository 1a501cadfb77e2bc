"""How one step of the protocol runs on Redis: again, whenever another caller wrote what it has read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from celery_process.exceptions import CannotJoin, StoreUnavailable
from celery_process.protocol.unit import Unit, perform
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import reading
from celery_process.stores.redis.moment import Moment, OvertakenError
from celery_process.stores.redis.rows import RedisRows

Answer = TypeVar("Answer")

TRIES = 200
"""Times that a step is run. Each time but the last another caller's write was first."""


def refuse_using(using: Any, shown: str) -> None:
    """Raise `CannotJoin` for a transaction: Redis cannot be part of one."""
    if using is not None:
        raise CannotJoin(
            f"{shown} cannot join a transaction of a database; leave out using=, and call after your commit: an on-commit "
            "hook, such as Django's transaction.on_commit or SQLAlchemy's after_commit event.",
            using=using,
        )


def atomically(client: Client, operation: str, process: str, step: Callable[[Unit], Answer], *, live: bool = True) -> Answer:
    """Run a step until what it read still stood at its end, and return its answer. `live`: reads are to show open pages."""
    for _ in range(TRIES):
        with suppress(OvertakenError), reading(client, operation, process):
            return perform(RedisRows(Moment(client, operation, process), live=live), step)
    raise StoreUnavailable(
        f"{operation!r} of {process!r} was overtaken {TRIES} times at {client.address.shown}; try it again.",
        operation=operation,
    )
