"""A process that has an open run in the store and is not in this app's code: removed from it, or another app's.

Without its definition nobody here can work its items or sweep it; what is left to do is to look at it, and to end its run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta

from celery_process.protocol.limits import Limits
from celery_process.protocol.model import ProcessState, RunStatus
from celery_process.protocol.states import StopReason, WorkList
from celery_process.stores.base import Store
from celery_process.values import decode

_YEAR = timedelta(days=365)
"""A lease as long as any, since its own is not known: nothing is cut."""
_NO_CAP = 2**31
"""Attempts that no item has: what a dead holder has is cancelled, not lost."""


@dataclass(frozen=True, slots=True)
class RemovedProcess:
    """A process that the store alone knows; `Processes.removed()` returns them while their run is open."""

    name: str
    store: Store

    def state(self) -> ProcessState:
        """Return what is stored of the process, without the code's defaults."""
        stored = self.store.process(self.name)
        return ProcessState(
            name=self.name,
            schedule_frequency=None,
            settings=decode(stored.overrides.settings or "{}"),
            settings_version=stored.overrides.version,
            paused=stored.paused,
            run=stored.run,
            aggregate_stats=stored.aggregate_stats,
            limits=stored.limits or Limits(),
            defined=False,
        )

    def work_counts(self) -> Mapping[WorkList, int]:
        """Return how many items each list has; not constant time on every store."""
        return self.store.work_counts(self.name)

    def cancel_run(self) -> RunStatus | None:
        """Stop the open run, if there is one, and cancel what is claimed under leases that ran out. Return the run.

        It is still open while a lease lasts: a worker that has the code may be at work, and closes it. If none does, the
        same call ends it once the leases ran out. Nobody here receives its events.
        """
        run = self.store.process(self.name, live=False).run
        if run is None or not run.state.is_open:
            return None
        if self.store.stop_run(self.name, run.id, StopReason.CANCELLED) is None:
            self.store.sweep_run(
                self.name, run.id, lease=_YEAR, redispatch_after=_YEAR, grace=_YEAR, max_attempts=_NO_CAP, limit=1
            )
        self.store.ack_finish(self.name, run.id)
        return self.store.run(self.name, run.id)


def removed(store: Store, defined: Container[str]) -> tuple[RemovedProcess, ...]:
    """Return the processes that have an open run in the store and are not among those defined."""
    return tuple(RemovedProcess(name, store) for name in store.running() if name not in defined)
