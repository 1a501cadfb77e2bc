"""The schedule of a process in beat: it follows the store, and fires at the slots.

It fires just after each slot begins, however long beat needs for other entries, so that no slot is lost to drift. It
fires again while the ledger does not have the slot; the store refuses doubles. A thread beside beat's loop reads the
store (`stored`). Beat's own file can still be read after this package was removed.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from celery.schedules import crontab, schedstate, schedule
from kombu.utils.imports import symbol_by_name

from celery_process.beat.stored import StoredSchedules, stored_schedules
from celery_process.definition.options import Definition
from celery_process.exceptions import ProcessError
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency, from_text, zone_of
from celery_process.schedule.slots import Calendar
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

AGAIN = timedelta(seconds=10)
"""After this long a slot that is not in the ledger is due again, or after a quarter of the time since it began."""
STEP = 2.0
"""Seconds: a clock that jumped by more than this was set."""


_OPTIONS = ("process", "default", "minimum", "initial_wait", "jitter")


def _again(since: timedelta) -> timedelta:
    """Return how long after one firing the next is due, for a slot that is not in the ledger."""
    return max(AGAIN, since / 4)


def _offset(now: datetime) -> float:
    return now.timestamp() - time.monotonic()


class _SoftReference:
    """Pickles as a reference that becomes Celery's own `schedule` if this package is not installed any more.

    Beat unpickles its file when it starts, and does not start if it cannot import a class.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return symbol_by_name, ("celery_process.beat.entry:ProcessSchedule", None, None, None, ".", schedule)


class ProcessSchedule(schedule):
    """The schedule of the entry `<name>.schedule` in beat.

    `default` is the code's schedule as `Frequency.text`; `minimum`, `initial_wait` and `jitter` are seconds.

    Beat sorts its entries by their last answers of `is_due`, and asks all of them again when one does not equal itself as
    it was. So a schedule equals nothing while its answer would differ from the last one: the stored schedule changed, a
    slot is missing in the ledger, or the clock was set. An answer is never earlier than needed: before 5.7 beat looks at no
    other entry while the first in that order is not due.
    """

    process = ""
    default = '{"interval": 60.0}'
    minimum = 1.0
    initial_wait = 0.0
    jitter = 0.0

    def __init__(self, run_every: Any = None, relative: bool = False, nowfun: Any = None, app: Any = None, **_: Any) -> None:  # noqa: FBT001, FBT002
        self._text = ""
        self._current: Frequency | None = None
        self._last_answer: tuple[str, datetime, bool, float] | None = None
        self._fallback_every = timedelta(seconds=60) if run_every is None else timedelta(seconds=run_every.total_seconds())
        super().__init__(self._fallback_every, relative, nowfun, app)

    @classmethod
    def of(cls, definition: Definition, default: Frequency) -> ProcessSchedule:
        """Return the schedule of a process, which is `default` while none is stored."""
        entry = cls(slots.period(default.occurrences, datetime.now(UTC)))
        entry.process, entry.default = definition.name, default.text
        entry.minimum, entry.jitter = definition.min_schedule_frequency.total_seconds(), definition.jitter.total_seconds()
        entry.initial_wait = definition.initial_wait.total_seconds()
        return entry

    def current(self) -> Frequency:
        """Return the schedule in force; the last known one while the store is out of reach."""
        stored = stored_schedules(self.app)
        stored.begin()
        text = self._stored_text(stored)
        if self._current is None or text != self._text:
            self._current, self._text = self._readable(text), text
            self.__class__ = ProcessCrontab if isinstance(self._current.value, crontab) else ProcessSchedule
        return self._current

    def _readable(self, text: str) -> Frequency:
        """Return the schedule in a stored text; if that cannot be read, the last one, or the code's: beat goes on."""
        minimum, zone = timedelta(seconds=self.minimum), zone_of(self.app)
        try:
            return from_text(text, minimum=minimum, zone=zone)
        except ProcessError as error:
            extra = log_fields("schedule_unreadable", process_name=self.process)
            log_failure(logger, "The stored schedule of %s is left out", self.process, error=error, extra=extra)
        return self._current or from_text(self.default, minimum=minimum, zone=zone)

    @property
    def run_every(self) -> timedelta:
        """The present period, for code that prints schedules."""
        known = self._current
        return self._fallback_every if known is None else slots.period(known.occurrences, datetime.now(UTC))

    @run_every.setter
    def run_every(self, value: Any) -> None:
        """Ignore the value that the base class assigns: the store decides."""

    def _stored_text(self, stored: StoredSchedules) -> str:
        text = stored.text(self.process)
        return self.default if text is None else text

    def is_due(self, last_run_at: datetime) -> Any:
        """Return whether to send a trigger, given the last firing, and the seconds after which to ask again.

        A last firing in the future counts as none: the clock was ahead then.
        """
        occurrences, stored = self.current().occurrences, stored_schedules(self.app)
        now, last = self._utc(self.now()), self._utc(last_run_at)
        slot = occurrences.latest(now)
        missing = stored.is_missing(self.process, slot)
        self._last_answer = (self._text, slot, missing, _offset(now))
        wait = stored.begun + self.initial_wait - time.monotonic()
        if wait > 0:
            return schedstate(False, wait)
        begins = slot + slots.jitter_of(self.process, slot, timedelta(seconds=self.jitter))
        if now < begins:
            return schedstate(False, (begins - now).total_seconds())
        after = max((occurrences.following(now) - now).total_seconds(), 0.001)
        due = last < begins or (last - now).total_seconds() > STEP
        if missing:
            due = due or now - last >= _again(last - slot)
            rest = _again(now - slot) if due else _again(last - slot) - (now - last)
            after = min(after, rest.total_seconds())
        stored.expect(self.process, slot, sent=due)
        return schedstate(due, after)

    def _utc(self, instant: datetime) -> datetime:
        aware: datetime = self.maybe_make_aware(instant)
        return aware.astimezone(UTC)

    @property
    def _changed(self) -> bool:
        """Whether the last answer does not hold any more."""
        if self._last_answer is None:
            return False
        text, slot, missing, offset = self._last_answer
        stored = stored_schedules(self.app)
        return (
            self._stored_text(stored) != text
            or (stored.is_missing(self.process, slot) and not missing)
            or abs(_offset(self._utc(self.now())) - offset) > STEP
        )

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Return the time to the slot after `last_run_at`."""
        return self.current().occurrences.following(self._utc(last_run_at)) - self._utc(self.now())

    def __eq__(self, other: object) -> bool:
        # By the options, not by the present period: beat compares its entries at every step.
        if isinstance(other, ProcessSchedule):
            same = all(getattr(self, name) == getattr(other, name) for name in _OPTIONS)
            return same and not (self._changed or other._changed)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<process {self.process}: {self.default}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        state = {name: getattr(self, name) for name in _OPTIONS}
        return operator.call, (_SoftReference(), self._fallback_every, self.relative), state


class ProcessCrontab(ProcessSchedule, crontab):
    """The class of a `ProcessSchedule` while the schedule in force is a crontab; never instantiated or pickled.

    Monitors such as Sentry's crons look at the class of a schedule, and read the fields of a crontab.
    """

    @property
    def tz(self) -> tzinfo:
        """The time zone of the crontab in force."""
        occurrences = self.current().occurrences
        return occurrences.zone if isinstance(occurrences, Calendar) else super().tz

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self._current is None:
            raise AttributeError(name)
        return getattr(self._current.value, name)
