"""The heartbeat under the virtual clock: batches beat while a handler sleeps, as the real thread would let them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from celery_process.engine.batch import Batch
from celery_process.exceptions import StoreUnavailable
from celery_process.testing.simulation.virtual_time import Actor, present


class VirtualHeartbeat:
    """Stands for `Heartbeat`."""

    @contextmanager
    def holding(self, batch: Batch) -> Iterator[None]:
        """Let `batch` beat inside the block, whenever a handler of it sleeps."""
        actor = present()
        actor.held.append(batch)
        try:
            yield
        finally:
            if batch in actor.held:
                actor.held.remove(batch)


def sleep(seconds: float) -> None:
    """Let a handler take virtual time, with the heartbeats that fall into it."""
    actor = present()
    time, end = actor.time, actor.time.now + seconds
    while True:
        due = min((batch.due_at for batch in actor.held), default=math.inf)
        if due > end:
            break
        time.sleep(max(due - time.now, 0))
        _beat(actor)
    time.sleep(max(end - time.now, 0))


def _beat(actor: Actor) -> None:
    for batch in [batch for batch in actor.held if batch.due_at <= actor.time.now]:
        try:
            alive = batch.beat()
        except StoreUnavailable:
            alive = True
        if not alive and batch in actor.held:
            actor.held.remove(batch)
