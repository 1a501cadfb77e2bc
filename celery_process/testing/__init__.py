"""What the author of a store needs to show that it keeps the contract: `pip install 'celery-process[testing]'`.

A test module of two statements runs the whole suite on a store:

    from celery_process.testing.conformance import *  # noqa: F403

    @pytest.fixture
    def store(clock):
        return MyStore(clock=clock)

`clock` is a `MovableClock` that the suite moves by hand; nothing in it sleeps. Each test uses process names of its own, so
`store` may also give stores that share one database. The races call one store from several threads at once. To leave
classes out, or to add to them, import them by name and subclass; the fixtures `clock`, `process` and `drive` come along.

`check_invariants` looks at a process through the public reads, so a store's own tests can call it after anything they do.
"""

from __future__ import annotations

import pytest

from celery_process.testing.clock import MovableClock
from celery_process.testing.invariants import Invariants, check_invariants

# The suite is imported, not collected, so pytest would not rewrite its asserts by itself.
pytest.register_assert_rewrite("celery_process.testing.conformance")

__all__ = ["Invariants", "MovableClock", "check_invariants"]
