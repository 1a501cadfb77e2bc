"""Renews locks in a forked process: a thread of its parent may hold them, and nobody in the child would release them.

A check of the process id would be too late, since it needs a lock.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from celery_process.text.logs import LogFields, logger_of

logger = logger_of(__name__)


class Forked(Protocol):
    """An object with locks or threads."""

    def after_fork(self) -> None:
        """Begin anew in a forked child, before any of its code runs."""


_all: WeakSet[Forked] = WeakSet()


def renew_in_children(owner: Forked) -> None:
    """Call `owner.after_fork()` in each process that is forked from this one."""
    _all.add(owner)


def _renew() -> None:
    for owner in list(_all):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_renew)


def end_child(user: str, extra: LogFields) -> None:
    """End this forked process, which returned from the user's code that forked it, with the code of a SystemExit.

    It is a copy of a worker, with its broker's sockets and its claims: it would do everything twice.
    """
    error = sys.exc_info()[1]
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        text = "A process that %s forked returned from it and is ended here; end it in that code."
        logger.critical(text, user, exc_info=error, extra=extra)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
