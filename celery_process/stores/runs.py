"""The second part of the store contract: the life of a run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from celery_process.protocol import begin, purge, read, stop
from celery_process.protocol.model import (
    Retention,
    RunClaim,
    RunSpec,
    RunStatus,
    SlotRef,
    SweepTarget,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import Again, SlotEnd, StopReason
from celery_process.stores.atomic import Atomic


class Runs(Atomic):
    """The life of a run as a whole."""

    def claim_run(self, process: str, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
        """Start the run of a slot, if the slot is due and free and no run is open; at most one caller is answered CLAIMED.

        A repeat with the same uuid is answered ALREADY with that run. The slot's entry in the ledger becomes "ran", and
        the slots before it that no trigger claimed become one entry "missed".
        """
        return self._do("claim_run", process, partial(begin.claim_run, uuid=uuid, slot=slot, spec=spec, again=again, by=by))

    def redrive(self, process: str, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
        """Start a new generation of a closed run's slot over its items that did not complete and are still registered.

        An item completed if a run of the chain walked past it (`rules.walked`) and keeps no row of it, or a completed one.
        Raises `RunNotFound`, and `RunPurged` where its items are no longer kept.
        """
        return self._do("redrive", process, partial(begin.redrive, run=run, uuid=uuid, spec=spec, by=by))

    def skip_slot(self, process: str, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
        """Record in the ledger why a slot did not run, unless it has an entry; return whether one was written.

        With `slot.after` the entry is also for all slots later than that which the ledger does not have.
        """
        return self._do("skip_slot", process, partial(begin.skip_slot, slot=slot, end=end, by=by))

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:
        """Stop an open run: nothing new starts, what is pending is cancelled; return the run if this call closed it.

        The cursor stays, so that a redrive knows what was never enlisted; a run that is not ACTIVE enlists nothing.
        With SUPERSEDED the claimed items are cancelled as well and their holders are answered Conflict, so that the run
        is closed when the call returns. The first reason is kept.
        """
        return self._do("stop_run", process, stop.stop_run, run, reason)

    def repairs(self, process: str, run: str) -> Repairs:
        """Return what sweeps did to a run, open or closed, and no caller acknowledged; none of a run that is not kept."""
        return self._do("repairs", process, read.repairs, run)

    def ack_repairs(self, process: str, run: str, number: int) -> None:
        """Acknowledge the emitted repairs of this number; does nothing after a later sweep, whose number is another."""
        self._do("ack_repairs", process, stop.ack_repairs, run, number)

    def ack_finish(self, process: str, run: str) -> bool:
        """Note that the end of a closed run was emitted; return whether this was the first time."""
        return self._do("ack_finish", process, stop.ack_finish, run)

    @abstractmethod
    def begin_sweep(self, processes: Sequence[str], *, interval: timedelta, grace: timedelta) -> tuple[SweepTarget, ...]:
        """Return those of `processes` that need a look and had none for `interval`; each goes to one caller only.

        A closed run is a reason to look once its end has not been emitted for `grace`.
        """

    @abstractmethod
    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:
        """Claim the sweep of those known of `processes` that had none for `interval`; this caller alone has it.

        Return each with the time of its last sweep, which says something only while it is not in the future.
        """

    def purge(self, process: str, *, retention: Retention, limit: int) -> int:
        """Delete up to about `limit` rows past their retention; return how many. Less than `limit`: no more are."""
        marked = self._do("purge", process, purge.mark, retention)
        return purge.delete(lambda step: self._do("purge", process, step), marked, retention, limit)
