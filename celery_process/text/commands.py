"""The commands in messages, with the name of the user's own app, so that they can be pasted."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from weakref import WeakKeyDictionary

from celery import Celery

from celery_process.text.printable import printable

PLACEHOLDER = "celery -A proj"
"""The app's name in a command while no app is known."""


def with_app_name(text: str, app: Celery) -> str:
    """Return a text whose commands can be pasted: with the app's name as `-A` takes it, if that can be found.

    Under `commands_begin_with` commands begin with what that names.
    """
    text = text.replace(f"{PLACEHOLDER} process", _prefix.get() or f"{PLACEHOLDER} process")
    name = name_of(app) if PLACEHOLDER in text else None
    return text if name is None else text.replace(PLACEHOLDER, f"celery -A {name}")


def command(app: Celery, verb: str, *words: str) -> str:
    """Return the command line of a verb of `process`, its words quoted for a shell; the app's name is searched once."""
    if app not in _app_names:
        _app_names[app] = name_of(app)
    end = ["--"] if any(word.startswith("-") for word in words) else []  # else click reads such a name as an option
    quoted = (printable(shlex.quote(word)) for word in words)
    begin = _prefix.get() or (f"celery -A {_app_names[app]} process" if _app_names[app] else f"{PLACEHOLDER} process")
    return " ".join([begin, verb, *end, *quoted])


_app_names: WeakKeyDictionary[Celery, str | None] = WeakKeyDictionary()


_prefix: ContextVar[str] = ContextVar("begun", default="")


@contextmanager
def commands_begin_with(command: str) -> Iterator[None]:
    """Begin the commands in messages with `command` instead of `celery -A … process`, inside the block."""
    token = _prefix.set(command)
    try:
        yield
    finally:
        _prefix.reset(token)


def name_of(app: Celery) -> str | None:
    """Return what `-A` takes for an app: its module, `shop` for `shop.celery`, or `module:attribute`."""
    found = []
    for module, loaded in tuple(sys.modules.items()):
        if not isinstance(loaded, ModuleType) or module.partition(".")[0] in ("__main__", "celery", "celery_process"):
            continue
        for attribute, value in tuple(vars(loaded).items()):
            if value is app:
                found.append(module.removesuffix(".celery") if attribute in _DEFAULT_ATTRIBUTES else f"{module}:{attribute}")
    return min(
        found,
        key=lambda name: (":" in name, name.partition(".")[0] != app.main, name.count("."), len(name), name),
        default=None,
    )


_DEFAULT_ATTRIBUTES = ("app", "celery")
"""Attributes of a module in which `-A module` finds an app by itself."""
