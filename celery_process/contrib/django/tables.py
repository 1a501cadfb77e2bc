"""The store's tables on a database of Django: the store's frozen DDL in Django's transaction, and emptying the tables.

So the tables have the store's indexes, collations and storage options, whether Django or the store made them. No model
manages them, so this module names them to Django where it flushes a database, or makes one without migrations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader

from celery_process.contrib.django.apps import CeleryProcessConfig
from celery_process.contrib.django.joining import URLS, joined
from celery_process.contrib.django.store import TABLE_PREFIX
from celery_process.stores.sql.migrations import VERSION, step
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Transaction, utc_now

Operation = Callable[[Any, Any], None]
"""The type of a callable that `RunPython` takes."""


def _migrate_to(alias: str, number: int) -> None:
    """Migrate the tables by the step to a version, except on a database that the store does not support."""
    if connections[alias].vendor in URLS:
        with joined(alias) as conn:
            step(Transaction(conn, Tables(TABLE_PREFIX), utc_now), number)


def upgrade(number: int) -> Operation:
    """Return the step to a version of the tables; existing tables of that version are kept."""

    def operation(_: Any, editor: Any) -> None:
        _migrate_to(editor.connection.alias, number)

    return operation


def drop(_: Any, editor: Any) -> None:
    """Drop all tables: the reverse of version 1."""
    if editor.connection.vendor in URLS:
        with joined(editor.connection.alias) as conn:
            Tables(TABLE_PREFIX).metadata.drop_all(conn)


def make_unmigrated(app_config: AppConfig, using: str, **_: Any) -> None:
    """Make the tables after a `migrate` that skips the app's migrations, as with `TEST = {"MIGRATE": False}`."""
    module, _explicit = MigrationLoader.migrations_module(app_config.label)
    if module is None and router.allow_migrate_model(using, app_config.get_model("Process")):
        for number in range(1, VERSION + 1):
            _migrate_to(using, number)


@contextmanager
def flushed_too(alias: str) -> Iterator[None]:
    """Make Django's flush inside the block include the tables, where the database has them and the router allows them."""
    introspection = connections[alias].introspection
    of_models, own = introspection.django_table_names, _table_names(alias) & set(introspection.table_names())
    introspection.django_table_names = lambda *args, **options: [*of_models(*args, **options), *sorted(own)]
    try:
        yield
    finally:
        del introspection.django_table_names


def _table_names(alias: str) -> set[str]:
    """Return the names of the tables; none where the database does not have the app, or a test runs without it."""
    if not apps.is_installed(CeleryProcessConfig.name):
        return set()
    model = apps.get_model(CeleryProcessConfig.label, "Process")
    return set(Tables(TABLE_PREFIX).metadata.tables) if router.allow_migrate_model(alias, model) else set()
