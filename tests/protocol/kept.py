"""A store that tests, or examples, share, each with a clock of its own: its statements are built once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock


class Kept:
    """A store, and the clock of the test that has it."""

    def __init__(self, make_store: Callable[[Callable[[], datetime]], SqlStore]) -> None:
        self.clock = MovableClock()
        self.store = make_store(lambda: self.clock())
        self.close = self.store.close
        self.store.close = lambda: None  # type: ignore[method-assign] # an example closes its store; this one stays open

    def with_clock(self, clock: MovableClock) -> SqlStore:
        """Return the store, with this clock from now on."""
        self.clock = clock
        return self.store
