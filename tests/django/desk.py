"""The admin of a project, as one of its users sees it through Django's test client."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any
from uuid import uuid4

from django.test import Client
from django.test.utils import override_settings
from django.urls import path

from celery_process import Process, Processes

HOSTILE = "<script>window.hacked=1</script>"


def served() -> Any:
    """Return the settings, as a context, under which the admin is there."""
    from django.contrib import admin

    urls = ModuleType("urls")
    urls.urlpatterns = [path("admin/", admin.site.urls)]  # type: ignore[attr-defined]
    return override_settings(ROOT_URLCONF=urls)


class Site:
    """The admin of a project with one app, as one user sees it."""

    def __init__(self, processes: Processes, *permissions: str, superuser: bool = False, **options: Any) -> None:
        from django.contrib.auth.models import Permission, User

        self.process: Process = next(iter(processes))
        self.user = User.objects.create_user(f"u-{uuid4().hex[:12]}", is_staff=True, is_superuser=superuser)
        for name in permissions:
            self.user.user_permissions.add(Permission.objects.get(codename=name, content_type__app_label="celery_process"))
        self.client = Client(**options)
        self.client.force_login(self.user)

    def url(self, page: str = "change/") -> str:
        from django.contrib.admin.utils import quote

        return f"/admin/celery_process/process/{quote(self.process.name)}/{page}"

    def get(self, page: str = "change/", **query: Any) -> Any:
        return self.client.get(self.url(page), query)

    def text(self, page: str = "change/", **query: Any) -> str:
        answer = self.get(page, **query)
        assert answer.status_code == 200, answer.content.decode()
        return answer.content.decode()

    def do(self, verb: str, **form: Any) -> Any:
        return self.client.post(self.url(f"do/{verb}/"), {"confirmed": "yes", **form})

    def told(self) -> str:
        """Return the messages that the next page shows."""
        return " ".join(re.findall(r'<li class="(?:success|error|info|warning)">(.*?)</li>', self.text(), re.DOTALL))

    def log(self) -> list[str]:
        """Return what the admin's log says that the user did to the process."""
        from django.contrib.admin.models import LogEntry

        entries = LogEntry.objects.filter(user=self.user, object_id=self.process.name).order_by("id")
        return [entry.get_change_message() for entry in entries]
