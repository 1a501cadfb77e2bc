"""`shared_process`: processes of reusable apps, defined before it is known which Celery app will run them.

It keeps a list of its own that every registry adopts, since Celery's hook behind `shared_task` is private.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol
from weakref import WeakSet

from celery import Celery, current_app

from celery_process.definition.callables import check_callable
from celery_process.definition.options import Handler, define
from celery_process.engine.worker import handlers_of
from celery_process.exceptions import ConfigurationError, InvalidValue, ProcessNotFound
from celery_process.process import Process


class Registry(Protocol):
    """The part of `Processes` that this module uses."""

    def define_shared(self, pending: SharedProcess) -> None: ...  # noqa: D102
    def __getitem__(self, name: str) -> Process: ...
    @property
    def app(self) -> Celery: ...  # noqa: D102


class SharedProcess:
    """A process of a reusable app; every registry, made before or after, has it as `processes[name]`.

    All other attributes are those of `process`: `register_work`, `run_now`, `state` and so on.
    """

    def __init__(self, name: str, options: dict[str, Any], target: Any) -> None:
        self.name, self.options, self.target = name, options, target
        self.decorations: list[Callable[[Process], object]] = []

    def __call__(self, work: Any) -> object:
        """Call the handler for active work."""
        return handlers_of(self.target)["handler"](work)

    @property
    def process(self) -> Process:
        """The process of the app that has it; of several apps, that of the current one.

        Raises `ProcessNotFound` before any app has a `Processes`, `ConfigurationError` if it is not clear which app.
        """
        registries = list(_registries)
        if not registries:
            raise ProcessNotFound(
                f"{self.name!r} belongs to no Celery app yet; make a Processes(app) beside the app, and import that module "
                "before this is used.",
                process=self.name,
                known=(),
            )
        # In other threads than the one that made the app, Celery's current app may be a default app of its own.
        chosen = registries if len(registries) == 1 else [registry for registry in registries if registry.app == current_app]
        if not chosen:
            apps = ", ".join(sorted(repr(registry.app.main) for registry in registries))
            raise ConfigurationError(
                f"{len(registries)} apps have {self.name!r} ({apps}), and none of them is the current app of this thread; "
                f"use processes[{self.name!r}] of the app that you mean, or call set_current() of that app.",
                setting="app",
                value=apps,
            )
        return chosen[0][self.name]

    def __getattr__(self, name: str) -> Any:
        # Copying and pickling look for hooks on an object whose attributes are not set yet.
        if name.startswith("_") or not (hasattr(Process, name) or name == "definition"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.process, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: the module that shares it is imported where it is unpickled."""
        return _find_shared, (self.target.__module__, self.name)

    def __repr__(self) -> str:
        return f"<SharedProcess {self.name}>"

    def cleanup(self, handler: Handler | None = None, /, **options: Any) -> Any:
        """Decorate the handler for cleanup, as `Process.cleanup`."""

        def decorate(function: Handler) -> Handler:
            check_callable(function, argument="cleanup")
            self._decorate(lambda process: process.cleanup(**options)(function))
            return function

        return decorate if handler is None else decorate(handler)

    def wait(self, condition: Callable[[], object]) -> Callable[[], object]:
        """Decorate the condition asked at each trigger, as `Process.wait`."""
        check_callable(condition, argument="wait")
        self._decorate(lambda process: process.wait(condition))
        return condition

    def _decorate(self, decorate: Callable[[Process], object]) -> None:
        self.decorations.append(decorate)
        for registry in list(_registries):
            decorate(registry[self.name])


_registries: WeakSet[Registry] = WeakSet()
_pending: list[SharedProcess] = []


def _find_shared(module: str, name: str) -> SharedProcess:
    import_module(module)
    for shared in _pending:
        if shared.name == name:
            return shared
    raise ProcessNotFound(f"{module} shares no process {name!r:.80} here; deploy the same code.", process=name, known=())


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
        define(name, handlers_of(target)["handler"], options)  # so that a mistake is raised where it was made
        shared = SharedProcess(name, options, target)
        for registry in list(_registries):
            registry.define_shared(shared)
        _pending.append(shared)
        return shared

    return decorate
