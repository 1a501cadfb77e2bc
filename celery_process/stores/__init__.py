"""Stores are reached by URL; the scheme names an entry point of the group `celery_process.stores`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from celery_process.exceptions import ConfigurationError, MissingDriver
from celery_process.stores.base import Store
from celery_process.text.masking import scheme_only

GROUP = "celery_process.stores"
"""Entry points of this group are called with the URL and the options `table_prefix` and `key_prefix`."""


def open_store(url: str, **options: Any) -> Store:
    """Return the store at `url`. Nothing connects yet.

    Raises `ConfigurationError` for an unknown scheme and `MissingDriver`, with the pip command, for a missing package.
    """
    scheme, separator, _ = url.partition("://")
    shown = scheme_only(url)
    # `postgresql+psycopg` may be an entry point of its own; else its dialect `postgresql` is one.
    names = (scheme, scheme.partition("+")[0])
    points = {point.name: point for point in entry_points(group=GROUP)}
    point = next((points[name] for name in names if separator and name in points), None)
    if point is None:
        raise ConfigurationError(
            f"process_backend {shown!r} has no store; known schemes are {', '.join(sorted(points))}: correct the URL, as in "
            "'sqlite:///process.db'.",
            setting="process_backend",
            value=shown,
        )
    try:
        factory = point.load()
    except ModuleNotFoundError as error:
        extra = point.extras[0] if point.extras else str(error.name)
        command = f"pip install 'celery-process[{extra}]'"
        raise MissingDriver(
            f"process_backend {shown!r} needs the package {error.name!r}; run {command} first.",
            url=shown,
            package=error.name,
            command=command,
        ) from error
    store = factory(url, **options)
    if not isinstance(store, Store):
        raise ConfigurationError(f"{point.value} made a {type(store).__name__}; it has to make a celery_process.Store.")
    return store
