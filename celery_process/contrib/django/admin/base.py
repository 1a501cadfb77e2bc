"""What all pages of the admin share: permissions, finding the process, errors as pages, the admin's log.

Permissions are by noun: a page of runs needs "view" of the run, an action on a work item "change" of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from celery_process.contrib.django import models
from celery_process.contrib.django.project_apps import processes
from celery_process.exceptions import ProcessError, ProcessNotFound
from celery_process.monitor.jsonable import http_status
from celery_process.monitor.secrets import Fact, Reader, mask_fact
from celery_process.process import Process
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.sentences import Sentence

logger = logger_of(__name__)

NOUNS = ("process", "run", "slot", "work", "settings")
"""The nouns that have a permission to view and one to change."""


def guarded(noun: str, *, act: bool = False, as_json: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Guard a view of a process: check the permission, find the process, answer an error of the library by page or JSON.

    No view runs in a transaction of the request: the store has connections of its own, which could not write to an SQLite
    file that the request's transaction has locked.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Any:
        @transaction.non_atomic_requests
        @wraps(view)
        def inner(self: Base, request: HttpRequest, object_id: str | None = None, **kwargs: Any) -> HttpResponse:
            request.current_app = self.admin_site.name
            if not self.may(request, noun, act=act):
                raise PermissionDenied
            try:
                if object_id is None:
                    return view(self, request, **kwargs)
                return view(self, request, self.process(unquote(object_id)), **kwargs)
            except ProcessError as error:
                if as_json:
                    return JsonResponse({"error": str(error)}, status=http_status(error))
                return self.page(
                    request, "error", title=gettext("That did not work"), error=error, status=http_status(error)
                )

        return inner

    return decorate


class Base(admin.ModelAdmin):
    """The methods that the pages share. An object of the model stands for a process by its name."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse: a process is defined in code."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse as well."""
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:  # noqa: ARG002
        """Return the object that stands for a process in the admin's log and history, or None."""
        return row(object_id) if object_id in processes() else None

    def may(self, request: HttpRequest, noun: str, *, act: bool = False) -> bool:
        """Return whether the user has the permission to view, or to change, a noun."""
        user = request.user
        return user.has_perm(f"celery_process.change_{noun}") or (not act and user.has_perm(f"celery_process.view_{noun}"))

    def rights(self, request: HttpRequest) -> dict[str, dict[str, bool]]:
        """Return the user's permissions as templates read them: `may.see.run`, `may.change.work`."""
        return {
            word: {noun: self.may(request, noun, act=act) for noun in NOUNS}
            for word, act in (("see", False), ("change", True))
        }

    def process(self, name: str) -> Process:
        """Return a process of the project's apps; raises `ProcessNotFound`."""
        found = processes()
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ProcessNotFound(
                f"This project has no process {name!r:.80} (it has: {known}); import the module that defines it.",
                process=name,
                known=tuple(sorted(found)),
            )
        return found[name]

    def url(self, page: str, process: Process | None = None, **more: str) -> str:
        """Return the URL of a page, or of a process's page if a process is passed."""
        arguments = {**more, **({} if process is None else {"object_id": quote(process.name)})}
        return str(reverse(f"admin:celery_process_process_{page}", kwargs=arguments, current_app=self.admin_site.name))

    def context_of(self, request: HttpRequest, process: Process | None, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the context that all our templates share."""
        urls = {} if process is None else {page: self.url(page, process) for page in PAGES}
        return {
            "opts": self.opts,
            "name": "" if process is None else process.name,  # templates call what is callable, and a Process is
            "may": self.rights(request),
            "urls": {**urls, "changelist": self.url("changelist")},
            "media": self.media,
            **more,
        }

    def page(
        self, request: HttpRequest, template: str, process: Process | None = None, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        """Answer a page of the admin's."""
        context = {**self.admin_site.each_context(request), **self.context_of(request, process, more)}
        return TemplateResponse(request, f"{TEMPLATES}/{template}.html", context, status=status)

    def parts(self, request: HttpRequest, process: Process | None, names: tuple[str, ...], **more: Any) -> HttpResponse:
        """Answer the current parts of a page: a JSON object of HTML by element id."""
        context = self.context_of(request, process, more)
        drawn = {name: render_to_string(f"{TEMPLATES}/_{name}.html", context, request) for name in names}
        return JsonResponse({"parts": drawn})

    def done(self, request: HttpRequest, process: Process, action: str, done: Sentence) -> None:
        """Record who did what: in the admin's log, in English whatever the user's language, and in this module's logger."""
        self.log_change(request, row(process.name), mask_fact(str(done), Fact.NOTES, Reader.ADMIN))
        extra = log_fields(f"admin_{action}", process_name=process.name, by=by(request))
        logger.info("%s of %s by %s", action, process.name, by(request), extra=extra)


TEMPLATES = "admin/celery_process/process"
PAGES = ("change", "live", "items", "item", "register", "runs", "slots", "settings", "history")
"""The pages of a process, by the names of their URLs."""


def by(request: HttpRequest) -> str:
    """Return the user who asks, for the store's ledger."""
    return f"admin:{request.user.get_username()}"[:200]


def row(name: str) -> models.Process:
    """Return the object that stands for a process in the admin's log; its key is the process's name."""
    return models.Process(name=name)
