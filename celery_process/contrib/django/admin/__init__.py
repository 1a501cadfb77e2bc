"""The admin of processes: their state, and the actions of users who have the permission.

It reads and acts through the app's registries, whatever their store is, never through the tables.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from celery_process.contrib.django.admin.acting import ActionPages
from celery_process.contrib.django.admin.editing import SettingsPages
from celery_process.contrib.django.admin.history import HistoryPages
from celery_process.contrib.django.admin.items import ItemPages
from celery_process.contrib.django.admin.overview import OverviewPages
from celery_process.contrib.django.admin.runs import RunPages
from celery_process.contrib.django.models import Process


@admin.register(Process)
class ProcessAdmin(OverviewPages, ItemPages, RunPages, SettingsPages, HistoryPages, ActionPages):
    """All pages of processes."""

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs; they hold a process's name, quoted as the admin quotes a key."""

        def route(url: str, view: Any, name: str) -> URLPattern:
            return path(url, self.admin_site.admin_view(view), name=f"celery_process_process_{name}")

        return [
            route("", self.changelist_view, "changelist"),
            route("live/", self.list_live_view, "list_live"),
            route("<str:object_id>/change/", self.change_view, "change"),
            route("<str:object_id>/live/", self.live_view, "live"),
            route("<str:object_id>/items/", self.items_view, "items"),
            route("<str:object_id>/item/", self.item_view, "item"),
            route("<str:object_id>/register/", self.register_view, "register"),
            route("<str:object_id>/runs/", self.runs_view, "runs"),
            route("<str:object_id>/runs/<str:run>/", self.run_view, "run"),
            route("<str:object_id>/slots/", self.slots_view, "slots"),
            route("<str:object_id>/settings/", self.settings_view, "settings"),
            route("<str:object_id>/do/<str:verb>/", self.do_view, "do"),
            route("<str:object_id>/history/", self.history_view, "history"),
        ]
