"""The list of processes and the page of one; both refresh themselves."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from celery_process.contrib.django.admin.base import Base, guarded
from celery_process.contrib.django.project_apps import project_apps
from celery_process.contrib.django.words import isolated
from celery_process.exceptions import ProcessError
from celery_process.monitor.details import read_details
from celery_process.monitor.overview import Overview, read_overview
from celery_process.monitor.secrets import Reader, mask_for
from celery_process.process import Process

safely = method_decorator(require_safe)
RECENT = 10
"""How many runs and slots the page of a process shows; the pages of runs and of slots show all."""
PARTS = {
    "head": "process",
    "actions": "process",
    "progress": "process",
    "failing": "run",
    "runs": "run",
    "slots": "slot",
    "settings": "settings",
}
"""The parts of a page that refresh while it is open, by the name of template and element, with their permission's noun."""


class OverviewPages(Base):
    """The list and the page."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._earlier: dict[str, Overview] = {}
        """The last overviews, which save a count of the lists and keep the rates current."""

    @safely
    @guarded("process")
    def changelist_view(self, request: HttpRequest) -> HttpResponse:
        """Show all processes."""
        return self.page(request, "list", title=gettext("Processes"), **self._list())

    @safely
    @guarded("process", as_json=True)
    def list_live_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the current list."""
        return self.parts(request, None, ("list",), **self._list())

    @safely
    @guarded("process")
    def change_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show a process."""
        return self.page(request, "page", process, title=isolated(process.name), **self._details(process))

    @safely
    @guarded("process", as_json=True)
    def live_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Answer the current parts of a process's page."""
        parts = tuple(part for part, noun in PARTS.items() if self.may(request, noun))
        return self.parts(request, process, parts, **self._details(process))

    def _list(self) -> dict[str, Any]:
        """Read all overviews; where an app's store does not answer, report that and still read the other apps."""
        apps, shared, overviews, troubles = project_apps(), True, list[Overview](), list[str]()
        for app in apps:
            try:
                shared = shared and app.registry.store.shared
                for process in app.processes:
                    overviews.append(mask_for(read_overview(process, earlier=self._earlier.get(process.name)), Reader.ADMIN))
            except ProcessError as error:
                troubles.append(f"{app.name}: {error}")
        self._earlier.update((overview.process, overview) for overview in overviews)
        overviews.sort(key=lambda overview: overview.process)
        return {
            "overviews": overviews,
            "troubles": troubles,
            "apps": apps,
            "shared": shared,
            "live": self.url("list_live"),
        }

    def _details(self, process: Process) -> dict[str, Any]:
        details = read_details(process, Reader.ADMIN, earlier=self._earlier.get(process.name), runs=RECENT, slots=RECENT)
        self._earlier[process.name] = details.overview
        values = {field.name: getattr(details, field.name) for field in fields(details)}
        return {**values, "live": self.url("live", process)}
