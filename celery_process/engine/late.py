"""Triggers present slots that are late: the broker lost their trigger, the store was out of reach, or a pause ended later.

Beat triggers first; the sweep triggers what is late, and so does the end of a pause. The store refuses doubles.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from celery_process.engine.dispatch import Dispatch
from celery_process.exceptions import ProcessError
from celery_process.protocol.model import NewestSlot
from celery_process.protocol.states import SlotEnd
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency
from celery_process.schedule.slots import Occurrences
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

GRACE = timedelta(seconds=15)
"""How long a slot is left to beat, which sends its trigger again after ten seconds; at least one interval of sweeps."""
VALID = timedelta(hours=1)
"""How long a trigger is valid, unless the next slot begins before."""


class LateSlots:
    """Late slots, as sweeps trigger them. `in_force` returns the schedule of a process, from its name and the stored one."""

    def __init__(self, in_force: Callable[[str, str | None], Frequency | None]) -> None:
        self._in_force = lru_cache(maxsize=10_000)(in_force)
        self._began = time.monotonic()

    def trigger_late(self, dispatches: Mapping[str, Dispatch], *, swept: Mapping[str, datetime | None]) -> tuple[str, ...]:
        """Trigger the present slots that are late; return their processes.

        `swept`: processes that this sweep took already, each with when the sweep before took it.

        Of many sweeps one triggers a slot; the longer it is late, the longer it takes until the next one does so again.
        """
        if not dispatches:
            return ()
        first = next(iter(dispatches.values()))
        store, interval = first.store, first.config.sweep_interval
        newest = store.newest_slots(dispatches)
        if not newest:
            return ()
        stored, now = store.schedules(), store.now()
        late: dict[str, tuple[Frequency, timedelta]] = {}
        for name, found in newest.items():
            dispatch, current = dispatches[name], self._known(name, stored.get(name))
            lateness = overdue(dispatch, current, found, now) if current is not None else None
            if (
                current is not None
                and lateness is not None
                and self._is_awake(dispatch)
                and lateness >= max(GRACE, interval)
            ):
                late[name] = current, lateness
        others = [name for name in late if name not in swept]
        turns = {**swept, **(store.take_turns(others, interval=interval) if others else {})}
        taken = [name for name in late if name in turns]
        for name in taken:
            current, lateness = late[name]
            if _is_retry_due(lateness, max(GRACE, interval), turns[name], now):
                trigger_late(dispatches[name], current, now, lateness)
        return tuple(taken)

    def _known(self, name: str, stored: str | None) -> Frequency | None:
        """Return the schedule in force; None if it cannot be read, which holds up no other process."""
        try:
            return self._in_force(name, stored)
        except ProcessError as error:
            extra = log_fields("schedule_unreadable", process_name=name)
            log_failure(logger, "The late slots of %s are left out", name, error=error, extra=extra)
            return None

    def _is_awake(self, dispatch: Dispatch) -> bool:
        return timedelta(seconds=time.monotonic() - self._began) >= dispatch.definition.initial_wait


def trigger_resumed(dispatch: Dispatch) -> None:
    """Trigger the present slot of a process whose pause ended, if it is late."""
    found = dispatch.store.newest_slots([dispatch.name]).get(dispatch.name)
    current = dispatch.port.current() if found is not None and found.scheduled else None
    if found is None or current is None:
        return
    now = dispatch.store.now()
    lateness = overdue(dispatch, current, found, now)
    if lateness is not None:
        trigger_late(dispatch, current, now, lateness)


def overdue(dispatch: Dispatch, current: Frequency, found: NewestSlot, now: datetime) -> timedelta | None:
    """Return how long the present slot has been due and free; None if it is not, or the process has no schedule."""
    if found.paused or not found.scheduled:
        return None
    waits = found.end is SlotEnd.PAUSED
    if not waits and _following(current.occurrences, found.slot) > now:
        return None
    slot = current.occurrences.latest(now)
    if slot < found.slot or (slot == found.slot and not waits):
        return None
    lateness = now - slot - slots.jitter_of(dispatch.name, slot, dispatch.definition.jitter)
    return lateness if lateness >= timedelta(0) else None


def trigger_late(dispatch: Dispatch, current: Frequency, now: datetime, lateness: timedelta) -> None:
    """Publish a trigger for the present slot of a process."""
    extra = log_fields("slot_late", process_name=dispatch.name)
    logger.warning("The present slot of %s is %s late; it is triggered now.", dispatch.name, lateness, extra=extra)
    dispatch.port.publish_trigger(min(VALID, current.occurrences.following(now) - now))


def _is_retry_due(lateness: timedelta, grace: timedelta, last: datetime | None, now: datetime) -> bool:
    """Whether a sweep triggers a slot: the first one after the grace does, later ones after a quarter of its lateness.

    `last`: when the sweep before this one took the process.
    """
    before = lateness - (now - last) if last is not None and last <= now else timedelta(0)

    def step(late: timedelta) -> int:
        return math.floor(math.log(late / grace, 1.25))

    return before < grace or step(lateness) != step(before)


@lru_cache(maxsize=10_000)
def _following(occurrences: Occurrences, slot: datetime) -> datetime:
    return occurrences.following(slot)
