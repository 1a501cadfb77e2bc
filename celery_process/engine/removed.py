"""A process with an open run in the store that this app's code does not define: removed from it, or of another app.

Without its definition this app can neither work its items nor sweep it, only read it and end its run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta

from celery_process.jsontext import decode
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import ProcessState, RunStatus
from celery_process.protocol.states import StopReason, WorkList
from celery_process.stores.base import Store

_YEAR = timedelta(days=365)
"""A lease longer than any, so that no lease is cut: the process's own is not known."""
_NO_CAP = 2**31
"""More attempts than any item has, so that the items of a dead holder are cancelled, not lost."""


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
        """Stop the open run, if there is one, and cancel its claimed items whose leases ran out. Return the run.

        It stays open while a lease lasts: a worker that has the code may still work, and closes the run. If none does, the
        same call ends it when the leases ran out. Its events are not emitted here.
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
