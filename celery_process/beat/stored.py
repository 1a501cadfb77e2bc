"""The stored schedules, and which slots the ledger has, for beat. A thread beside beat's loop reads them.

If the store hangs, only that thread waits: beat goes on with what was read last, or with the code's schedules.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from celery import Celery

from celery_process.config import store_of
from celery_process.stores.base import Store
from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

REFRESH = 1.0
"""Seconds between two reads, each for all processes of an app."""
FIRST_READ = 2.0
"""Seconds that beat waits for the first read."""
CHECK_AFTER = 10.0
"""Seconds after which a slot whose trigger beat sent should be in the ledger."""


@dataclass(slots=True)
class Awaited:
    """A slot that should get into the ledger. `sent`: this beat sent its trigger, so it counts even as a process's first."""

    slot: datetime
    since: float
    sent: bool
    missing: bool = False


class StoredSchedules:
    """The schedules and slots read from an app's store. Nothing is read before `begin`."""

    def __init__(self, app: Celery) -> None:
        self.begun = time.monotonic()
        self._app = weakref.ref(app)
        self._texts: Mapping[str, str] = {}
        self._awaited: dict[str, Awaited] = {}
        self._confirmed: dict[str, datetime] = {}
        self._failing = ""
        self._store: Store | None = None
        self._read = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start to read, if that was not done yet; wait a moment for the first answer."""
        if self._thread is None or not self._thread.is_alive():  # a forked child has none of its parent's threads
            self._thread = threading.Thread(target=self._run, name="celery_process.schedules", daemon=True)
            self._thread.start()
            self._read.wait(FIRST_READ)

    def text(self, process: str) -> str | None:
        """Return the stored schedule of a process as it was read last."""
        return self._texts.get(process)

    def expect(self, process: str, slot: datetime, *, sent: bool) -> None:
        """Check from `CHECK_AFTER` seconds on whether the ledger has a slot, until it has."""
        if self._confirmed.get(process) == slot:
            return
        awaited = self._awaited.get(process)
        if awaited is None or awaited.slot != slot:
            self._awaited[process] = Awaited(slot, time.monotonic(), sent)
        elif sent:
            awaited.sent = True

    def is_missing(self, process: str, slot: datetime) -> bool:
        """Whether the last read did not find a slot in the ledger; False if the store was out of reach."""
        awaited = self._awaited.get(process)
        return awaited is not None and awaited.slot == slot and awaited.missing

    def read(self, store: Store) -> None:
        """Read once. A failure is tried again in the next round; if the store is another one, what was read is forgotten."""
        if store is not self._store:
            self._store, self._texts = store, {}
            self._awaited.clear()
            self._confirmed.clear()
        try:
            self._texts = store.schedules()
            self._check_awaited(store)
        except Exception as error:  # noqa: BLE001 - beat goes on with what it has, whatever the driver raises
            for awaited in list(self._awaited.values()):
                awaited.missing = False
            if str(error) != self._failing:
                logger.warning("The schedules could not be read: %s", error, extra=log_fields("schedules_unread"))
            self._failing = str(error)
        else:
            self._failing = ""

    def _check_awaited(self, store: Store) -> None:
        now = time.monotonic()
        checked = {name: awaited for name, awaited in list(self._awaited.items()) if now - awaited.since >= CHECK_AFTER}
        newest = store.newest_slots(checked) if checked else {}
        for name, awaited in checked.items():
            found = newest.get(name)
            in_ledger = found is not None and found.slot >= awaited.slot
            # A process that the schedule never ran begins with beat's first firing, not with the start of beat.
            awaited.missing = not in_ledger and (awaited.sent or (found is not None and found.scheduled))
            if not awaited.missing:
                self._confirmed[name] = awaited.slot
                if self._awaited.get(name) is awaited:
                    del self._awaited[name]

    def _run(self) -> None:
        pause = threading.Event()
        while (app := self._app()) is not None:
            try:
                self.read(store_of(app))
            except Exception as error:  # noqa: BLE001 - settings that make no sense, which worker and doctor report
                logger.warning("The schedules are not read: %s", error, extra=log_fields("schedules_unread"))
                return
            finally:
                self._read.set()
            del app
            pause.wait(REFRESH)


_by_app: WeakKeyDictionary[Celery, StoredSchedules] = WeakKeyDictionary()


def stored_schedules(app: Celery) -> StoredSchedules:
    """Return the one `StoredSchedules` of an app in this interpreter."""
    known = _by_app.get(app)
    if known is None:
        known = _by_app[app] = StoredSchedules(app)
    return known
