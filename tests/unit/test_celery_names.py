"""Every name that the library takes from Celery and its libraries, with what it is for."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import celery_process

FOLDER = Path(celery_process.__file__).parent
PACKAGES = ("celery", "kombu", "billiard", "amqp", "vine")
NAMES = {
    "celery.Celery": "the app that a registry is added to",
    "celery.Task": "the type of the tasks that a process owns",
    "celery.current_app": "which of several apps a shared process is used for",
    "celery.bootsteps": "the steps that publish the sweep from each worker, and that hear of its shutdown",
    "celery.exceptions.Ignore": "ends a task that did nothing, whose event says so",
    "celery.exceptions.WorkerShutdown": "ends a worker, wherever it is raised; no error of a handler",
    "celery.exceptions.WorkerTerminate": "ends a worker at once, wherever it is raised; no error of a handler",
    "celery.schedules.crontab": "a schedule that a process may have",
    "celery.schedules.schedule": "a schedule that a process may have, and the base of the one that follows the store",
    "celery.schedules.solar": "a schedule that a process may have",
    "celery.signals.beat_init": "the moment at which beat gets entries that its configuration lacks",
    "celery.signals.before_task_publish": "where tracing gives a message the context of its run's scheduling task",
    "celery.signals.task_received": "where a worker sees that its sweeps arrive",
    "celery.signals.task_prerun": "where tracing says of an item's span what it is about",
    "kombu.exceptions.OperationalError": "what publishing raises for what its transport raised",
    "celery.utils.dispatch.Signal": "the kind of signal that Celery's users know",
}
"""Names of Celery's public API: documented, and in `__all__` where the module has one."""
BEYOND = {
    "celery.schedules.BaseSchedule": "the documented base of all schedules, for the type checker; not in `__all__`",
    "celery.schedules.schedstate": "what is_due() is documented to return; not in `__all__`",
    "celery.bin.base.CLIContext": "what that decorator and Celery's own commands read the app from; no `__all__` there",
    "celery.signals.import_modules": "a moment at which `-S` is read and beat is not set up yet; not in `__all__`",
    "celery.bin.base.handle_preload_options": "the documented decorator of commands that others add; no `__all__` there",
    "kombu.utils.imports.symbol_by_name": "in kombu's reference; found by name when beat unpickles, it falls back to a default",
}
"""Names that are not in an `__all__`, each with the reason for which it is taken all the same."""


def imported() -> dict[str, set[str]]:
    """Return the names imported from the packages, each with the files that do."""
    found: dict[str, set[str]] = {}
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                if name.split(".")[0] in PACKAGES:
                    found.setdefault(name, set()).add(str(path.relative_to(FOLDER)))
    return found


def test_each_name_is_accounted_for() -> None:
    """What is imported is what the two tables list, no more and no less."""
    assert set(imported()) == set(NAMES) | set(BEYOND)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_names_are_public(name: str) -> None:
    """A name of the first table is exported by its module, or is a module itself."""
    module, _, attribute = name.rpartition(".")
    exported = getattr(import_module(module), "__all__", (attribute,))
    assert attribute in exported or import_module(name)


@pytest.mark.parametrize("name", sorted(BEYOND))
def test_other_names_have_a_reason_and_no_underscore(name: str) -> None:
    """A name of the second table is there, is not marked as private, and has its reason."""
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(module), attribute)
    assert not any(part.startswith("_") for part in name.split("."))
    assert BEYOND[name]


def test_only_shared_processes_ask_for_the_current_app() -> None:
    """Which app it is for is always said, but for a shared process that several apps have."""
    asked = re.compile(r"celery[\w.]* import [^\n]*current_app|celery[\w.]*\.current_app|_get_current_object")
    users = [path.name for path in FOLDER.rglob("*.py") if asked.search(path.read_text(encoding="utf-8"))]
    assert users == ["shared.py"]


def test_the_protocol_imports_nothing_of_celery() -> None:
    """Stores and runner know nothing of Celery: what publishes and tells is given to them."""
    users = {file for name, files in imported().items() if name.startswith("celery") for file in files}
    assert users == {
        "app.py",
        "beat/entries.py",
        "beat/entry.py",
        "beat/stored.py",
        "config.py",
        "monitor/health.py",
        "schedule/frequency.py",
        "shared.py",
        "signals.py",
        "tasks/deployment.py",
        "tasks/events.py",
        "tasks/factory.py",
        "tasks/registry.py",
        "tasks/publish.py",
        "tasks/required.py",
        "tasks/shutdown.py",
        "tasks/starting.py",
        "tasks/sweep_timer.py",
        "tasks/transport.py",
        "text/commands.py",
    } | {
        "cli/base.py",
        "contrib/django/management/commands/celery_process.py",
        "contrib/opentelemetry.py",
    }
