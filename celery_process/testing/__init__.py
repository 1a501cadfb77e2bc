"""What tests of users need: a clock to move by hand, the invariants of a process, and `simulation` for handlers.

`check_invariants` looks at a process through the public reads, so a test can call it after anything it does.
"""

from __future__ import annotations

from celery_process.testing.clock import MovableClock
from celery_process.testing.invariants import Invariants, check_invariants

__all__ = ["Invariants", "MovableClock", "check_invariants"]
