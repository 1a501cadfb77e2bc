"""The processes of all Celery apps of a project. Where two have the same name, that of the first app counts everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from celery_process.app import Processes, registries
from celery_process.process import Process


@dataclass(frozen=True, slots=True)
class Shelf:
    """The processes of an app, without those whose names an earlier app uses."""

    app: str
    registry: Processes
    processes: tuple[Process, ...]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [process.name for process in self.processes]


def shelves() -> list[Shelf]:
    """Return the apps of the project that have processes."""
    found: list[Shelf] = []
    for registry in registries():
        taken = {name for shelf in found for name in shelf.names}
        own = tuple(process for process in registry if process.name not in taken)
        found.append(Shelf(registry.app.main or "an app without a name", registry, own))
    return found


def processes() -> dict[str, Process]:
    """Return the processes of all apps by name."""
    return {process.name: process for shelf in shelves() for process in shelf.processes}
