"""What a forked process makes anew: locks, which a thread of its parent may hold and nobody here would ever release.

A check of the process id comes too late, since it has to be made under a lock.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


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
