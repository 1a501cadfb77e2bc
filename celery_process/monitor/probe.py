"""Answer probes with the findings about apps: one caller at a time examines, and memory keeps the answer for a moment.

No shared cache is used: it could be down, or return another project's answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary, ref

from celery_process import forks
from celery_process.app import Processes
from celery_process.config import store_settings
from celery_process.monitor.health import Finding, document, examine

PATIENCE = 0.5
"""Seconds that workers have to answer: a probe usually gives up after a second."""
FRESH = 5.0
"""Seconds for which an answer is repeated; at least four times as long as it took."""
STALE = 60.0
"""Seconds for which the last answer is still returned while another caller examines."""
WAIT = 0.8
"""Seconds for which a caller waits for another caller's examination."""


class Probe:
    """Answer probes; one thread at a time calls `examine`, which returns the findings."""

    def __init__(self, examine: Callable[[], Iterable[Finding]], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._examine, self._monotonic = examine, monotonic
        self._last: dict[str, Any] | None = None
        self._answered_at = self._took = 0.0
        self.after_fork()
        forks.renew_in_children(self)

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()

    def answer(self) -> dict[str, Any]:
        """Return `ok` and the findings: fresh ones, or the last ones while another caller examines."""
        known = self._last
        if known is not None and self._age() <= max(FRESH, 4 * self._took):
            return known
        serves = known is not None and self._age() <= STALE
        lock = self._lock
        if not lock.acquire(blocking=not serves, timeout=-1 if serves else WAIT):
            return known if known is not None and serves else _under_way()
        try:
            if self._last is known:  # else the caller that held the lock has just examined
                began = self._monotonic()
                found = document(self._examine())
                self._answered_at = self._monotonic()
                self._took, self._last = self._answered_at - began, found
            assert self._last is not None
            return self._last
        finally:
            lock.release()

    def _age(self) -> float:
        return self._monotonic() - self._answered_at


_probes: WeakKeyDictionary[Processes, tuple[tuple[Any, ...], Probe]] = WeakKeyDictionary()


def probe_of(processes: Processes) -> Probe:
    """Return the one probe of an app's processes in this program; a new one where the settings name another store."""
    known = ref(processes)  # a strong reference from the probe would keep its own key in `_probes` alive

    def findings() -> tuple[Finding, ...]:
        processes_ = known()
        return () if processes_ is None else examine(processes_, patience=PATIENCE)

    now, found = store_settings(processes.app), _probes.get(processes)
    if found is None or found[0] != now:
        found = _probes[processes] = (now, Probe(findings))
    return found[1]


def _under_way() -> dict[str, Any]:
    text = f"The first examination is under way and has taken longer than {WAIT:g} s."
    return document([Finding("examination", False, text, "Ask again in a moment.")])
