"""The settings of the library: the `process_*` keys of `app.conf`, read and validated once.

`process_backend` has "backend" in its name so that Celery's reports mask its password.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary, ref

from celery import Celery

from celery_process.exceptions import ConfigurationError, MissingBackend, UnknownSetting, short_repr
from celery_process.forks import renew_in_children
from celery_process.protocol.model import Retention
from celery_process.schedule.frequency import seconds
from celery_process.stores import open_store
from celery_process.stores.base import Store
from celery_process.text.commands import with_app_name


@dataclass(frozen=True, slots=True)
class Config:
    """The `process_*` settings, with their defaults."""

    sweep_interval: timedelta = timedelta(seconds=10)
    redispatch_after: timedelta = timedelta(seconds=60)
    max_attempts: int = 3
    page_size: int = 500
    retention: Retention = Retention()
    table_prefix: str = "cp_"
    key_prefix: str = "cp:"
    deployment: str = ""
    flower_hosts: tuple[str, ...] = ()


_NAMES = ("backend", *(field.name for field in fields(Config)))


class _Opened:
    """The first store of an app and the one in use, each with the settings that name it; () before the first use.

    The first one is kept while another is in use, else `memory://` would be empty when a test's override ends.
    """

    def __init__(self, store: Store, store_settings: tuple[Any, ...] = ()) -> None:
        self.first = self.store = store
        self.first_settings = self.store_settings = store_settings
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Make a lock that no thread of the parent holds."""
        self.lock = threading.Lock()

    def reopen(self, app: Celery, now: tuple[Any, ...]) -> None:
        """Open the store that the settings name now, unless it is in use, and close the one before."""
        with self.lock:
            if not self.store_settings:
                self.store_settings = self.first_settings = (self.first.url, *now[1:])
            if self.store_settings == now:
                return
            previous = self.store
            self.store = self.first if now == self.first_settings else _open(app)
            self.store_settings = now
        previous.close()


_stores: WeakKeyDictionary[Celery, _Opened] = WeakKeyDictionary()


def read_config(app: Celery) -> Config:
    """Return the app's settings; raises `UnknownSetting` with the nearest known name, or `ConfigurationError`."""
    prefix = f"{app.namespace}_PROCESS_".upper() if app.namespace else "process_"
    for key in app.conf:
        name = str(key).removeprefix(prefix).removeprefix("process_").lower()
        if str(key).startswith((prefix, "process_")) and name not in _NAMES:
            nearest = next(iter(difflib.get_close_matches(name, _NAMES, n=1, cutoff=0)))
            nearest = str(key)[: -len(name)] + (nearest if str(key)[-1].islower() else nearest.upper())
            raise UnknownSetting(
                f"There is no setting {key!r}; correct it, the nearest one is {nearest!r}.",
                setting=str(key),
                nearest=nearest,
            )
    values = {name: value for name in _NAMES[1:] if (value := app.conf.get(f"process_{name}")) is not None}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("sweep_interval", "redispatch_after"):
            checked[name] = seconds(value, argument=f"process_{name}", above_zero=True)
        elif name == "retention":
            checked[name] = _retention(value)
        elif name in ("max_attempts", "page_size"):
            checked[name] = _count(value, f"process_{name}", 60_000 if name == "max_attempts" else 500)
        elif name == "flower_hosts":
            checked[name] = _hosts(value)
        else:
            checked[name] = _prefix(value, f"process_{name}")
    return Config(**checked)


def _count(value: object, setting: str, most: int, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(
            f"{setting} is an int from {least} to {most}, not {short_repr(value)}.", setting=setting, value=value
        )
    return value


def _prefix(value: object, setting: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 31 or not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"{setting} is a str of 1 to 31 printable ASCII characters, not {short_repr(value)}.",
            setting=setting,
            value=value,
        )
    return value


def _hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ConfigurationError(
            f"process_flower_hosts is a list of host names, such as ['flower.example.org'], not {short_repr(value)}.",
            setting="process_flower_hosts",
            value=value,
        )
    return tuple(value)


def _retention(value: object) -> Retention:
    known = {field.name for field in fields(Retention)}
    least = 1
    if isinstance(value, Retention):  # its figures may be 0, which keeps nothing
        value, least = {name: getattr(value, name) for name in known}, 0
    if not isinstance(value, Mapping) or not set(value) <= known:
        raise ConfigurationError(
            f"process_retention is a dict of {', '.join(sorted(known))}, not {short_repr(value, 120)}.",
            setting="process_retention",
            value=value,
        )
    checked: dict[str, Any] = {
        name: seconds(item, argument="process_retention['dropped_for']")
        if name == "dropped_for"
        else _count(item, f"process_retention[{name!r}]", 1_000_000, least=least)
        for name, item in value.items()
    }
    return Retention(**checked)


def store_settings(app: Celery) -> tuple[Any, ...]:
    """Return the settings that name an app's store now: a few look-ups, cheap enough for each use of the store."""
    return tuple(app.conf.get(f"process_{name}") for name in ("backend", "table_prefix", "key_prefix"))


def store_of(app: Celery) -> Store:
    """Return the store that `process_backend` names now; the same one to every part of the app.

    It is opened at the first call, and again if the settings name another store. It is made from `app.conf` alone, the one
    part of the app that a spawned pool child has.
    """
    now, opened = store_settings(app), _stores.get(app)
    if opened is None:
        opened = _stores.setdefault(app, _Opened(_open(app), now))
    if opened.store_settings != now:
        opened.reopen(app, now)
    return opened.store


def _open(app: Celery) -> Store:
    config, url = read_config(app), app.conf.get("process_backend")
    if not url:
        raise MissingBackend(
            "No process_backend is configured; set app.conf.process_backend to the URL of a store, such as "
            "'sqlite:///process.db' or 'postgresql+psycopg://user@host/name'.",
            setting="process_backend",
            value=None,
        )
    if not isinstance(url, str):
        raise ConfigurationError(
            f"process_backend is the URL of a store, not a {type(url).__name__}.", setting="process_backend", value=None
        )
    store, known = open_store(url, table_prefix=config.table_prefix, key_prefix=config.key_prefix), ref(app)
    store.pasted = lambda text: with_app_name(text, there) if (there := known()) is not None else text
    return store


def use_store(app: Celery, store: Store) -> None:
    """Make an open store the app's store: for tests and embeddings with a clock of their own."""
    app.conf.process_backend = store.url
    _stores[app] = _Opened(store)
