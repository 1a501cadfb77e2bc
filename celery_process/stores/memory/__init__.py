"""The memory store: the contract in its most readable form, for tests, eager mode and as the reference of the others.

One lock makes each operation atomic. Its data end with the interpreter, so a worker of several processes refuses it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from celery_process.exceptions import CannotJoin, ConfigurationError
from celery_process.forks import renew_in_children
from celery_process.protocol.unit import Unit, perform
from celery_process.stores.atomic import Answer
from celery_process.stores.memory.rows import Kept, MemoryRows
from celery_process.stores.one_by_one import OneByOne
from celery_process.stores.warning import StoreWarning
from celery_process.text.masking import scheme_only


def utc_now() -> datetime:
    """Return this host's clock."""
    return datetime.now(UTC)


class MemoryStore(OneByOne):
    """`memory://`. `clock` gives the store's time; tests move it by hand."""

    shared = False
    url = "memory://"

    def __init__(self, url: str = "memory://", *, clock: Callable[[], datetime] = utc_now, **_: Any) -> None:
        if url != "memory://":
            raise ConfigurationError(
                "The memory store is 'memory://' and takes nothing more; write that, or the URL of another store.",
                setting="process_backend",
                value=scheme_only(url),
            )
        self._clock = clock
        self.kept: dict[str, Kept] = {}
        self._deployment = ""
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Make the lock anew; what the parent had is a copy now."""
        self._lock = threading.RLock()

    def atomically(  # noqa: D102
        self,
        operation: str,  # noqa: ARG002
        process: str,
        step: Callable[[Unit], Answer],
        *,
        using: Any = None,
    ) -> Answer:
        if using is not None:
            raise CannotJoin(
                "memory:// has no transactions to join; leave out using=, and call after your commit (an on-commit hook).",
                using=using,
            )
        with self._lock:
            known = self.kept.get(process)
            kept = Kept() if known is None else known
            answer = perform(MemoryRows(process, kept, self.now()), step)
            if known is None and kept != Kept():
                self.kept[process] = kept
            return answer

    def processes(self) -> Collection[str]:  # noqa: D102
        return tuple(self.kept)

    def now(self) -> datetime:  # noqa: D102
        return self._clock()

    def check(self) -> tuple[StoreWarning, ...]:  # noqa: D102
        text = "memory:// keeps nothing when this interpreter ends."
        return (StoreWarning(text, "Name a store by URL in process_backend."),)

    def deployment(self, own: str = "", *, adopt: bool = False) -> str:  # noqa: D102
        with self._lock:
            if adopt or not self._deployment:
                self._deployment = own or self._deployment
            return self._deployment

    def migrate(self) -> tuple[str, ...]:  # noqa: D102
        return ()

    def close(self) -> None:
        """Nothing is open."""
