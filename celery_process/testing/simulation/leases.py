"""The heartbeat under the virtual clock: leases are renewed while a handler sleeps, as the real thread would."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from celery_process.exceptions import StoreUnavailable
from celery_process.testing.simulation.baton import Actor, Baton, present
from celery_process.work import Work


class VirtualLease:
    """An item whose lease is renewed."""

    def __init__(self, baton: Baton, work: Work, every: float, time_limit: timedelta | None) -> None:
        self.baton, self.work, self.every, self.time_limit = baton, work, every, time_limit
        self.next_at = baton.now + every
        self.limit_at = math.inf

    def started(self) -> None:
        """Begin to count the time limit."""
        if self.time_limit is not None:
            self.limit_at = self.baton.now + self.time_limit.total_seconds()

    def beat(self) -> bool:
        """Renew the lease; return whether there is anything left to renew."""
        self.next_at = self.baton.now + self.every
        try:
            return self.baton.now < self.limit_at and self.work.beat()
        except StoreUnavailable:
            return True


class VirtualHeartbeat:
    """Stands for `Heartbeat`."""

    def __init__(self, baton: Baton) -> None:
        self.baton = baton

    @contextmanager
    def holding(self, work: Work, lease: timedelta, time_limit: timedelta | None) -> Iterator[VirtualLease]:
        """Renew the lease of `work` inside the block, whenever its handler sleeps."""
        held, actor = VirtualLease(self.baton, work, lease.total_seconds() / 3, time_limit), present()
        actor.held.append(held)
        try:
            yield held
        finally:
            if held in actor.held:
                actor.held.remove(held)


def sleep(seconds: float) -> None:
    """Let a handler take virtual time, with the heartbeats that fall into it."""
    actor = present()
    baton, end = actor.baton, actor.baton.now + seconds
    while True:
        due = min((held.next_at for held in actor.held), default=math.inf)
        if due > end:
            break
        baton.sleep(max(due - baton.now, 0))
        _beat(actor)
    baton.sleep(max(end - baton.now, 0))


def _beat(actor: Actor) -> None:
    for held in [held for held in actor.held if held.next_at <= actor.baton.now]:
        if not held.beat() and held in actor.held:
            actor.held.remove(held)
