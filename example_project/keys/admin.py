"""Projects, accounts and keys in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from example_project.keys.models import Key, Project, ServiceAccount


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    """Adding, changing and deleting a project registers and unregisters its work item."""

    list_display = ("name", "keys_per_account")
    search_fields = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the name, which is that of the work item."""
        return () if obj is None else ("name",)


class KeyInline(admin.TabularInline):
    """The keys of an account."""

    model = Key
    extra = 0


@admin.register(ServiceAccount)
class ServiceAccountAdmin(admin.ModelAdmin):
    """Accounts with their keys."""

    list_display = ("email", "project", "managed", "on_hold")
    list_filter = ("managed", "on_hold", "project")
    search_fields = ("email", "project")
    inlines = (KeyInline,)


@admin.register(Key)
class KeyAdmin(admin.ModelAdmin):
    """Keys, newest first."""

    list_display = ("account", "made_at")
    list_filter = ("account__project",)
    date_hierarchy = "made_at"
    ordering = ("-made_at",)
