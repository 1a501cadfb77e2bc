"""What a forked process makes anew: locks, which a thread of its parent may hold and nobody here would ever release.

A check of the process id comes too late, since it has to be made under a lock.
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
    """What holds locks or threads."""

    def after_fork(self) -> None:
        """Begin anew in a forked child, before any of its code runs."""


_all: WeakSet[Forked] = WeakSet()


def renew_in_children(owner: Forked) -> None:
    """Have `owner.after_fork()` called in each process that is forked from this one."""
    _all.add(owner)


def _renew() -> None:
    for owner in list(_all):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_renew)


def end_child(user: str, extra: LogFields) -> None:
    """End this forked process, which came back from the user's code that forked it; with the code of a SystemExit.

    It is a copy of a worker, with its broker's sockets and its claims: whatever it did next would be done twice.
    """
    error = sys.exc_info()[1]
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        text = "A process that %s forked came back from it and is ended here; end it there."
        logger.critical(text, user, exc_info=error, extra=extra)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
