"""The first part of the store contract: what callers write."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from celery_process.protocol import flow, register, restore
from celery_process.protocol import settings as settings_
from celery_process.protocol.model import (
    StoredProcess,
    WorkInfo,
)
from celery_process.protocol.unit import Unit
from celery_process.stores.atomic import Atomic


class Definitions(Atomic):
    """What callers write: registrations, overrides, the pause. No run ever writes these, but for a clean cleanup's drop.

    With `using`, a transaction of the caller's that the store can join, the write is part of it: never committed,
    closed or retried here. A store that cannot join it raises `CannotJoin`.
    """

    def register(self, process: str, works: Mapping[str, str], *, using: Any = None) -> tuple[str, ...]:
        """Put items (name → params) on the active list; return the names that changed (B8: same and active, nothing)."""
        return self.atomically("register", process, lambda unit: register.register(unit, works), using=using)

    def unregister(self, process: str, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:
        """Put names, known or not, on the cleanup list; return those that changed (B9: cleanup and dropped, nothing)."""
        return self.atomically("unregister", process, lambda unit: register.unregister(unit, names), using=using)

    def update_settings(
        self,
        process: str,
        *,
        settings: str | None,
        schedule: str | None,
        by: str = "",
        expected_version: int | None = None,
        using: Any = None,
    ) -> int:
        """Replace the overrides and return the new version; None keeps what is stored (B4).

        The same values keep the version and change `changed_at` alone, so a repeat is answered as the first call was.
        A new version begins the history, in the same operation. Raises `SettingsChanged` where the version is not the
        expected one.
        """
        changed = {"settings": settings, "schedule": schedule}

        def step(unit: Unit) -> int:
            return settings_.update_settings(unit, **changed, by=by, expected_version=expected_version)

        return self.atomically("update_settings", process, step, using=using)

    def pause(self, process: str, *, note: str, by: str) -> None:
        """Begin no slot, page or claim any more. A repeat replaces the note."""
        self._do("pause", process, partial(flow.pause, note=note, by=by))

    def resume(self, process: str) -> None:
        """End the pause, if there is one."""
        self._do("resume", process, flow.resume)

    def update_limits(
        self, process: str, *, max_in_flight: int | None, rate_limit: str | None, by: str, reset: bool = False
    ) -> None:
        """Store limits; None keeps what is stored, `reset` forgets it before. They bind from the next page on.

        No caller is awaited any more, so that the next one to ask is answered LATER, by the new limits.
        """
        change = partial(flow.update_limits, max_in_flight=max_in_flight, rate_limit=rate_limit, by=by, reset=reset)
        self._do("update_limits", process, change)

    def restore(self, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool = False) -> None:
        """Write what the reads of another store returned: overrides, limits, aggregate, last slot, epoch, and items.

        Items keep their lists, times and versions. Epoch, last slot and versions never decrease, a pause and limits are
        set and never removed, and an item with a newer version here stays, unless `force` replaces it. The history here
        stays; overrides of a higher version add one entry. A repeat changes nothing. Raises `RunOpen` before it writes
        anything.
        """
        self._do("restore", process, partial(restore.restore, stored=stored, works=works, force=force))
