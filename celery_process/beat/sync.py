"""Keeps the rows of a scheduler and the store in agreement: a round every `REFRESH` seconds, in a thread beside beat.

A round is one query for all rows and one read of the store for each process. After a round that took long the pause until
the next is longer too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import click
from kombu.utils.imports import symbol_by_name

from celery_process.beat.merge import Agreed, Follows, Side, pause_follows, schedule_follows
from celery_process.beat.rows import Row, Rows, ScheduledProcess
from celery_process.beat.stored import REFRESH
from celery_process.exceptions import SettingsChanged
from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

_ADAPTERS = {
    "django_celery_beat.schedulers": "celery_process.beat.django:DjangoRows",
    "redbeat.schedulers": "celery_process.beat.redbeat:RedBeatRows",
    "sqlalchemy_celery_beat.schedulers": "celery_process.beat.sqlalchemy:SqlAlchemyRows",
}
"""The adapter of a scheduler, by the module that defines it."""
_ALIASES = {
    "django": "django_celery_beat.schedulers:DatabaseScheduler",
    "redbeat": "redbeat.schedulers:RedBeatScheduler",
}


def keeps_rows(app: Any) -> bool:
    """Whether the scheduler named to this program keeps its schedule in rows; decided by its name, without an import.

    A name on the command line (`-S`) wins over `beat_scheduler`.
    """
    context = click.get_current_context(silent=True)
    scheduler = (context.params.get("scheduler") if context is not None else None) or app.conf.beat_scheduler
    if not isinstance(scheduler, str):
        return adapter_module(scheduler) in _ADAPTERS
    module = _ALIASES.get(scheduler, scheduler).replace(":", ".").rpartition(".")[0]
    # Both packages offer their scheduler under shorter names too, such as `redbeat.RedBeatScheduler`.
    return module in _ADAPTERS or module.partition(".")[0] in {known.partition(".")[0] for known in _ADAPTERS}


def adapter_module(scheduler_class: type) -> str:
    """Return the module of a scheduler's class, or of a base of it, that has an adapter, or ""."""
    return next((base.__module__ for base in scheduler_class.__mro__ if base.__module__ in _ADAPTERS), "")


def rows_of(scheduler: Any) -> Rows | None:
    """Return the adapter of a live scheduler, or None if it keeps no rows."""
    module = adapter_module(type(scheduler))
    return symbol_by_name(_ADAPTERS[module])(scheduler) if module else None  # type: ignore[no-untyped-call]


FIRST_ROUND = 30.0
"""Seconds that beat waits for the first round: django-celery-beat may read rows made later only after five minutes."""
_REST = 4
"""The pause after a round, in times of its length: so a round uses at most a fifth of one connection."""


class RowSync:
    """Keeps the rows of some processes and the store in agreement, until it is stopped or the interpreter ends."""

    def __init__(self, rows: Rows, scheduled: Sequence[ScheduledProcess]) -> None:
        self._rows, self._scheduled = rows, scheduled
        self._failing: dict[str, str] = {}
        self._begun, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="celery_process.beat", daemon=True)

    def start(self) -> None:
        """Start a thread for the rounds; wait for the first one, so that beat begins with rows that agree with the store."""
        self._thread.start()
        self._begun.wait(FIRST_ROUND)
        self._rows.align({one.task: one.schedule for one in self._scheduled})

    def stop(self) -> None:
        """Begin no further round; return when the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        self.sync()  # imports a driver, so its time is not that of the rounds that follow
        self._begun.set()
        rest = REFRESH
        while not self._stopped.wait(rest):
            began = time.monotonic()
            self.sync()
            rest = max(REFRESH, _REST * (time.monotonic() - began))

    def sync(self) -> None:
        """Do one round over all rows; a failure is tried again in the next round."""
        try:
            with self._rows.round():
                found = self._rows.find([scheduled.task for scheduled in self._scheduled])
                for scheduled in self._scheduled:
                    self._attempt(scheduled, found.get(scheduled.task))
        except Exception as error:  # noqa: BLE001 - beat must go on, whatever the driver raises
            self._failed("The rows of beat", error)
        else:
            self._failing.pop("The rows of beat", None)

    def _attempt(self, scheduled: ScheduledProcess, found: Any) -> None:
        what = f"The periodic task of {scheduled.process.name}"
        try:
            self._sync_row(scheduled, found)
        except SettingsChanged:
            pass  # the store changed meanwhile; the next round sees both
        except Exception as error:  # noqa: BLE001 - one row must not keep the others from being scheduled
            self._failed(what, error)
        else:
            self._failing.pop(what, None)

    def _failed(self, what: str, error: Exception) -> None:
        """Log a failure once it repeats; a single one may come from two beats that write to one database."""
        first, logged = what not in self._failing, self._failing.get(what)
        self._failing[what] = "" if first else str(error)
        if not first and logged != str(error):
            logger.warning("%s could not be scheduled: %s", what, error, extra=log_fields("row_unfollowed"))

    def _sync_row(self, scheduled: ScheduledProcess, found: Any) -> None:
        process, row = scheduled.process, None if found is None else self._rows.read(scheduled, found)
        stored = process.store.process(process.name, live=False)
        current = process.in_force(stored.overrides)
        if row is None:
            if process.default_frequency() is not None and current is not None:
                self._rows.create(scheduled, current, enabled=stored.paused is None)
            return
        of_row = Side(row.schedule.text, not row.enabled, row.changed_at)
        text = "" if current is None else current.text
        of_store = Side(
            text,
            stored.paused is not None,
            stored.overrides.changed_at,
            schedule_from_row=stored.overrides.by == self._rows.by,
            pause_from_row=stored.paused is not None and stored.paused.by == self._rows.by,
        )
        schedule = schedule_follows(of_row, of_store, row.agreed)
        pause = Follows.NEITHER if row.ends else pause_follows(of_row, of_store, row.agreed)
        if schedule is Follows.STORE:
            process.store.update_settings(
                process.name,
                settings=None,
                schedule=row.schedule.text,
                by=self._rows.by,
                expected_version=stored.overrides.version,
            )
            text = row.schedule.text
        if pause is Follows.STORE:
            self._pause(scheduled, row)
        paused = of_store.paused if pause is Follows.ROW else of_row.paused
        to_row = current if schedule is Follows.ROW else None
        in_row = row.schedule if to_row is None else self._rows.as_stored(to_row)
        agreed = Agreed(in_row.text, text, paused)
        if to_row is not None or pause is Follows.ROW or agreed != row.agreed:
            self._rows.write(
                scheduled, row, schedule=to_row, enabled=not paused if pause is Follows.ROW else None, agreed=agreed
            )

    def _pause(self, scheduled: ScheduledProcess, row: Row) -> None:
        if row.enabled:
            scheduled.process.resume()
        else:
            scheduled.process.pause("its periodic task is disabled", by=self._rows.by)
