"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class CeleryProcessConfig(AppConfig):
    """Import `processes.py` of every installed app, as Celery imports `tasks.py`, but in web processes too."""

    name = "celery_process.contrib.django"
    label = "celery_process"
    verbose_name = _("Processes")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import without connecting or writing; a registry adopts the processes defined here when it is made."""
        from celery_process.contrib.django import checks, databases, tables  # noqa: F401, PLC0415 - `checks` registers itself

        databases.remember()
        post_migrate.connect(tables.make_unmigrated, sender=self)
        autodiscover_modules("processes")
