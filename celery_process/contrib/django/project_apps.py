"""The processes of all Celery apps of a project. Where two have the same name, that of the first app counts everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from celery_process.app import Processes, registries
from celery_process.process import Process


@dataclass(frozen=True, slots=True)
class ProjectApp:
    """The processes of an app, without those whose names an earlier app uses."""

    name: str
    registry: Processes
    processes: tuple[Process, ...]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [process.name for process in self.processes]


def project_apps() -> list[ProjectApp]:
    """Return the apps of the project that have processes."""
    found: list[ProjectApp] = []
    for registry in registries():
        taken = {name for app in found for name in app.names}
        own = tuple(process for process in registry if process.name not in taken)
        found.append(ProjectApp(registry.app.main or "an app without a name", registry, own))
    return found


def processes() -> dict[str, Process]:
    """Return the processes of all apps by name."""
    return {process.name: process for app in project_apps() for process in app.processes}
