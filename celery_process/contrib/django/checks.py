"""System checks: `manage.py check` reports faults of the settings before anything runs. They connect to nothing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.db import connections

from celery_process.app import Processes, registries
from celery_process.config import read_config
from celery_process.contrib.django.apps import CeleryProcessConfig
from celery_process.contrib.django.store import alias_of
from celery_process.exceptions import ConfigurationError


@checks.register("celery_process")
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check `CELERY_PROCESS_*`, the registry, and the database that `django://` names."""
    if not registries():
        hint = (
            "Make a Processes(app) beside the Celery app, and import that module in the project's __init__.py, as Celery's "
            "guide for Django does with the app."
        )
        return [checks.Warning("No Celery app has processes.", hint=hint, id="celery_process.W001")]
    return [message for registry in registries() for message in _check(registry)]


def _check(registry: Processes) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    try:
        read_config(registry.app)
    except ConfigurationError as error:
        found.append(checks.Error(str(error), id="celery_process.E001"))
    url = registry.app.conf.get("process_backend")
    if not url:
        hint = "Set CELERY_PROCESS_BACKEND = 'django://default', or to the URL of another store."
        found.append(checks.Error("No CELERY_PROCESS_BACKEND is configured.", hint=hint, id="celery_process.E002"))
    elif isinstance(url, str) and url.startswith("django://"):
        found += _check_alias(url)
    return found


def _check_alias(url: str) -> list[checks.CheckMessage]:
    try:
        alias = alias_of(url)
    except ConfigurationError as error:
        return [checks.Error(str(error), id="celery_process.E003")]
    settings, found = connections[alias].settings_dict, _check_driver(alias, connections[alias].vendor) + _check_tenants()
    if not settings.get("AUTOCOMMIT", True):
        hint = "A registration with using= is kept once you commit."
        found.append(checks.Warning(f"AUTOCOMMIT is off for {alias!r}.", hint=hint, id="celery_process.W002"))
    if connections[alias].vendor == "sqlite" and (settings.get("OPTIONS") or {}).get("transaction_mode") != "IMMEDIATE":
        hint = "Set OPTIONS = {'transaction_mode': 'IMMEDIATE'}: a block that reads first then waits, and does not fail."
        found.append(checks.Warning(f"{alias!r} is an SQLite file that runs write to.", hint=hint, id="celery_process.W003"))
    return found


def _check_driver(alias: str, vendor: str) -> list[checks.CheckMessage]:
    """Check that psycopg is installed: Django works with psycopg2 too, the store does not."""
    if vendor != "postgresql" or find_spec("psycopg") is not None:
        return []
    hint = "Run: pip install 'celery-process[postgresql]'. Django then uses psycopg 3 too; psycopg2 may stay."
    return [checks.Error(f"django://{alias} needs psycopg 3, which is not installed.", hint=hint, id="celery_process.E004")]


def _check_tenants() -> list[checks.CheckMessage]:
    """Check for django-tenants, with which workers and beat use the schema that all tenants share."""
    app = CeleryProcessConfig.name
    if not any(str(name).startswith(app) for name in getattr(project, "TENANT_APPS", ())):
        return []
    hint = f"Put {app!r} into SHARED_APPS alone, and run: python manage.py migrate_schemas --shared"
    message = "TENANT_APPS has the app of the processes, whose tables belong to no tenant."
    return [checks.Error(message, hint=hint, id="celery_process.E005")]
