"""`shared_process`: processes of reusable apps, defined before anybody knows which Celery app will run them.

It keeps a list of its own that every registry adopts, since Celery's hook behind `shared_task` is private.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet

from celery_process.definition import Handler, define
from celery_process.exceptions import InvalidValue
from celery_process.process import Process
from celery_process.worker import handlers_of


class Registry(Protocol):
    """What this module needs of a `Processes`."""

    def define_shared(self, pending: SharedProcess) -> None: ...  # noqa: D102
    def __getitem__(self, name: str) -> Process: ...


class SharedProcess:
    """A process of a reusable app; every registry, made before or after, has it as `processes[name]`."""

    def __init__(self, name: str, options: dict[str, Any], target: Any) -> None:
        self.name, self.options, self.target = name, options, target
        self.decorations: list[Callable[[Process], object]] = []

    def __call__(self, work: Any) -> object:
        """Call the handler for active work."""
        return handlers_of(self.target)["handler"](work)

    def cleanup(self, handler: Handler | None = None, /, **options: Any) -> Any:
        """Decorate the handler for cleanup, as `Process.cleanup`."""

        def decorate(function: Handler) -> Handler:
            self._decorate(lambda process: process.cleanup(**options)(function))
            return function

        return decorate if handler is None else decorate(handler)

    def wait(self, condition: Callable[[], object]) -> Callable[[], object]:
        """Decorate the condition asked at each trigger, as `Process.wait`."""
        self._decorate(lambda process: process.wait(condition))
        return condition

    def _decorate(self, decorate: Callable[[Process], object]) -> None:
        self.decorations.append(decorate)
        for registry in list(_registries):
            decorate(registry[self.name])


_registries: WeakSet[Registry] = WeakSet()
_pending: list[SharedProcess] = []


def adopt_all(registry: Registry) -> None:
    """Define all shared processes in a registry, and those to come."""
    _registries.add(registry)
    for pending in _pending:
        registry.define_shared(pending)


def shared_process(name: str, **options: Any) -> Callable[[Any], SharedProcess]:
    """Define a process for every app, as `shared_task` does a task; takes the options of `Processes.process`."""
    if "schedule" not in options:
        raise InvalidValue("shared_process needs schedule=, which may be None; pass it.", argument="schedule", value=None)

    def decorate(target: Any) -> SharedProcess:
        define(name, handlers_of(target)["handler"], options)  # so that a mistake is told where it was made
        made = SharedProcess(name, options, target)
        for registry in list(_registries):
            registry.define_shared(made)
        _pending.append(made)
        return made

    return decorate
