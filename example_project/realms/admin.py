"""Realms, identities and operations in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from example_project.realms.models import Identity, Operation, Realm
from example_project.realms.operations import request_removal


@admin.register(Realm)
class RealmAdmin(admin.ModelAdmin):
    """Realms, which are removed by an operation."""

    list_display = ("name",)
    search_fields = ("name",)
    actions = ("remove",)

    @admin.action(description="Remove, by a long-running operation", permissions=["delete"])
    def remove(self, request: HttpRequest, realms: QuerySet[Realm]) -> None:
        """Queue the removal of each realm."""
        for realm in realms:
            request_removal(realm.name, by=request.user.get_username())
        self.message_user(request, f"{len(realms)} operations are queued.")


@admin.register(Identity)
class IdentityAdmin(admin.ModelAdmin):
    """Identities by realm."""

    list_display = ("subject", "realm")
    list_filter = ("realm",)
    search_fields = ("subject",)


@admin.register(Operation)
class OperationAdmin(admin.ModelAdmin):
    """How far operations are; nothing is changed here."""

    list_display = ("label", "state", "items_removed", "requested_by", "requested_at", "finished_at")
    list_filter = ("state",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to what asks for operations."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to the handler."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to the process, which forgets them in time."""
        return False
