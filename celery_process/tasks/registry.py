"""Adds the tasks of processes to an app after all others, and refuses a name that another task has.

Of two tasks with one name Celery keeps the first if they are decorated and the last if they are registered, and warns of
neither before 5.7.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from celery import Celery, Task

from celery_process.exceptions import TaskNameTaken

Make = Callable[[], Mapping[str, Task]]

SPAWNED = "FORKED_BY_MULTIPROCESSING"
"""The variable that billiard sets in the environment of a spawned pool child; Celery looks at it too."""
OWN_TASK = "celery_process"
"""An attribute of the tasks that the library made for this app."""


class ProcessTasks:
    """The tasks that the library adds to an app, by process. `entries` raises for a name that `beat_schedule` has."""

    def __init__(self, app: Celery, *, entries: Callable[[], None]) -> None:
        self._app, self._entries = app, entries
        self._waiting: dict[str, Make] = {}
        self._tasks: dict[str, Mapping[str, Task]] = {}
        self._places: dict[str, str] = {}

    def connect(self) -> None:
        """Register the tasks when the app is finalized; Celery keeps no reference to this object."""
        self._app.on_after_finalize.connect(self._on_finalized, dispatch_uid=f"celery_process.{id(self)}")

    def _on_finalized(self, **_: Any) -> None:
        self.make()

    def reserve(self, names: Iterable[str], place: str) -> None:
        """Refuse other tasks with these names from now on; `place` is where ours are defined."""
        self._places.update(dict.fromkeys(names, place))

    def add(self, process: str, names: Iterable[str], place: str, make: Make) -> None:
        """Register the tasks of a process with `make`: now in a finalized app, else when all other tasks are known.

        Raises `TaskNameTaken` if the app has another task with one of these names; then no task is added.
        """
        names = tuple(names)
        self.reserve(names, place)
        if SPAWNED in os.environ:
            # The worker checked the names, and the child's copy of the app binds the tasks that are there by then.
            self._tasks[process] = make()
            return
        self._waiting[process] = make
        if self._app.finalized:
            try:
                self.make()
            except TaskNameTaken:
                del self._waiting[process]
                for name in names:
                    del self._places[name]
                raise

    def make(self) -> None:
        """Register the tasks that wait; raises `TaskNameTaken` for a name that the app has already."""
        self.check()
        for process, make in list(self._waiting.items()):
            self._tasks[process] = make()
            del self._waiting[process]

    def __getitem__(self, process: str) -> Mapping[str, Task]:
        if process not in self._tasks:
            self._app.finalize(auto=True)
            self.make()
        return self._tasks[process]

    def __iter__(self) -> Iterator[Task]:
        return iter([task for tasks in self._tasks.values() for task in tasks.values()])

    def check(self) -> None:
        """Raise `TaskNameTaken` if another task or an entry of beat has a name of ours; finalizes the app."""
        for name, place in self._places.items():
            known = self._app.tasks.get(name)
            if known is not None and not getattr(known, OWN_TASK, False):
                theirs = place_of(known)
                raise TaskNameTaken(
                    f"Two tasks are named {name!r}: one of {place}, and {theirs}; give that task another name.",
                    task=name,
                    ours=place,
                    theirs=theirs,
                )
        self._entries()


def place_of(thing: Any) -> str:
    """Return where a task or a handler is defined, as module.name."""
    found = getattr(thing, "__wrapped__", None) or type(thing) if isinstance(thing, Task) else thing
    found = found if hasattr(found, "__qualname__") else type(found)
    return f"{found.__module__}.{found.__qualname__}"
