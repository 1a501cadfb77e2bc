"""A model that stands for processes in Django: a content type, the permissions of the pages, entries of the admin's log."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class _NoRows(models.Manager["Process"]):
    def get_queryset(self) -> Any:
        return super().get_queryset().none()


class Process(models.Model):
    """A process by its name. It has no rows: the store keeps the tables, and `dumpdata` must not write half of one."""

    name = models.CharField(primary_key=True, max_length=191)
    objects = _NoRows()

    class Meta:
        managed = False
        db_table = "cp_process"
        base_manager_name = default_manager_name = "objects"
        verbose_name, verbose_name_plural = _("process"), _("processes")
        default_permissions = ("view", "change")
        permissions = (
            ("view_run", "Can view run"),
            ("change_run", "Can change run"),
            ("view_work", "Can view work item"),
            ("change_work", "Can change work item"),
            ("view_settings", "Can view settings"),
            ("change_settings", "Can change settings"),
            ("view_slot", "Can view slot"),
        )

    def __str__(self) -> str:
        return str(self.name)
