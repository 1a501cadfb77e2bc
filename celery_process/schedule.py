"""The schedule that beat holds for a process: it follows the store, and is aligned with the slots.

It fires just after each slot begins, whatever the time beat needs for the rest, so that no slot is lost to drift. A
change of the stored schedule is seen within `REFRESH`. Beat's own file survives the removal of this package.
"""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery
from celery.schedules import schedstate, schedule
from kombu.utils.imports import symbol_by_name

from celery_process import slots
from celery_process.config import store_of
from celery_process.frequency import Frequency, from_text, zone_of

logger = logging.getLogger(__name__)

REFRESH = 1.0
"""Seconds for which a schedule that was read from the store is taken as the present one."""


_read: WeakKeyDictionary[Celery, tuple[float, Mapping[str, str]]] = WeakKeyDictionary()


def _stored_schedules(app: Celery) -> Mapping[str, str]:
    """Return the stored schedules of all processes: one read a `REFRESH`, however many processes beat has."""
    read_at, known = _read.get(app, (-REFRESH, {}))
    if time.monotonic() - read_at >= REFRESH:
        try:
            known = store_of(app).schedules()
        except Exception as error:  # noqa: BLE001 - beat must go on, whatever the driver raises; with what it knew
            logger.warning("The schedules could not be read: %s", error, extra={"action": "schedules_unread"})
        _read[app] = (time.monotonic(), known)
    return known


class _SoftReference:
    """Pickles as a reference that falls back to Celery's own `schedule` where this package is not installed any more.

    Beat unpickles its file when it starts, and a class that it cannot import stops it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return symbol_by_name, ("celery_process.schedule:ProcessSchedule", None, None, None, ".", schedule)


class ProcessSchedule(schedule):
    """The schedule of the entry `<name>.schedule` in beat.

    `default` is the code's schedule as `Frequency.text`; `minimum` and `initial_wait` are seconds.
    """

    process = ""
    default = '{"interval": 60.0}'
    minimum = 1.0
    initial_wait = 0.0

    def __init__(self, run_every: Any = None, relative: bool = False, nowfun: Any = None, app: Any = None, **_: Any) -> None:  # noqa: FBT001, FBT002
        self._text = ""
        self._current: Frequency | None = None
        self._born = time.monotonic()
        self._fallback_every = timedelta(seconds=60) if run_every is None else timedelta(seconds=run_every.total_seconds())
        super().__init__(self._fallback_every, relative, nowfun, app)

    @classmethod
    def of(cls, process: str, default: Frequency, *, minimum: timedelta, initial_wait: timedelta) -> ProcessSchedule:
        """Return the schedule of a process."""
        made = cls(slots.period(default.occurrences, datetime.now(UTC)))
        made.process, made.default = process, default.text
        made.minimum, made.initial_wait = minimum.total_seconds(), initial_wait.total_seconds()
        return made

    def current(self) -> Frequency:
        """Return the schedule in force; the last known one while the store is out of reach."""
        text = _stored_schedules(self.app).get(self.process, self.default)
        if self._current is None or text != self._text:
            self._current = from_text(text, minimum=timedelta(seconds=self.minimum), zone=zone_of(self.app))
            self._text = text
        return self._current

    @property
    def run_every(self) -> timedelta:
        """The present period, for those who print schedules."""
        known = self._current
        return self._fallback_every if known is None else slots.period(known.occurrences, datetime.now(UTC))

    @run_every.setter
    def run_every(self, value: Any) -> None:
        """Ignore what the base class assigns: the store decides."""

    def is_due(self, last_run_at: datetime) -> Any:
        """Return whether a slot began since `last_run_at`, and the seconds after which to ask again."""
        occurrences = self.current().occurrences
        now = self.maybe_make_aware(self.now()).astimezone(UTC)
        last = self.maybe_make_aware(last_run_at).astimezone(UTC)
        wait = self._born + self.initial_wait - time.monotonic()
        if wait > 0:
            return schedstate(False, min(wait, REFRESH))
        until_next = max((occurrences.following(now) - now).total_seconds(), 0.001)
        return schedstate(occurrences.latest(now) > last, min(until_next, REFRESH))

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Return the time to the slot after `last_run_at`."""
        now = self.maybe_make_aware(self.now()).astimezone(UTC)
        following = self.current().occurrences.following(self.maybe_make_aware(last_run_at).astimezone(UTC))
        remaining: timedelta = following - now
        return remaining

    def __eq__(self, other: object) -> bool:
        # By what was asked for, not by the present period: beat compares its entries at every step.
        if isinstance(other, ProcessSchedule):
            return (self.process, self.default) == (other.process, other.default)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<process {self.process}: {self.default}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        state = {name: getattr(self, name) for name in ("process", "default", "minimum", "initial_wait")}
        return operator.call, (_SoftReference(), self._fallback_every, self.relative), state
