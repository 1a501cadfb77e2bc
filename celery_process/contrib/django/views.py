"""`/processes` and `/processes/<name>`: processes as JSON in the original's shape; read only (B39).

A user needs the permission `celery_process.view_process`; settings, errors and items need the permissions that the admin
asks for: facts that a user may not see are omitted, and the missing permissions are listed as "withheld".
`/processes/health` answers everybody whether all is well, and only such a user what is wrong. `/processes/live` needs no
permission: it is for supervisors, which restart a program that does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from celery_process.app import registries
from celery_process.contrib.django.project_apps import processes as all_processes
from celery_process.contrib.django.project_apps import project_apps
from celery_process.exceptions import ProcessError
from celery_process.monitor.jsonable import http_status
from celery_process.monitor.original import document
from celery_process.monitor.probe import probe_of
from celery_process.monitor.secrets import TABLE, Reader, may_see
from celery_process.process import Process

PERMISSION = "celery_process.view_process"
May = Callable[[str], bool]
"""Whether the user has the "view" permission of a noun."""
WORKS, MOST_WORKS = 100, 1_000
"""Items of each list in an answer, by default and at most; `?works=` sets the number, `?after=` selects the next items."""
MOST_BYTES = 2_000_000
"""About how many bytes of items one answer has for all processes; where they are used up, "next" names where to continue."""


def _guarded(view: Callable[..., JsonResponse]) -> Any:
    """Require login and permission, and check the query; errors are JSON too."""

    @require_safe
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return _error(401, "Log in first.")
        if not _may(user, "process"):
            return _error(403, f"You lack the permission {PERMISSION}; ask an administrator for it.")
        text = request.GET.get("works", str(WORKS))
        if not text.isdecimal() or int(text) > MOST_WORKS:
            return _error(400, f"works is a number from 0 to {MOST_WORKS}, not {text!r:.40}.")
        try:
            return view(request, *args, limit=int(text), may=partial(_may, user), **kwargs)
        except ProcessError as error:
            return _error(http_status(error), str(error))

    return guarded


@_guarded
def processes(_: HttpRequest, *, limit: int, may: May) -> JsonResponse:
    """Answer all processes of all apps of this project, by name."""
    found: dict[str, Any] = {}
    left = MOST_BYTES
    for app in project_apps():
        for process in app.processes:
            answer = _read(process, may, limit=limit, most=max(left, 0))
            left -= len(json.dumps(answer))
            found[process.name] = answer
    return _answer({"processes": dict(sorted(found.items()))}, may)


@_guarded
def process(request: HttpRequest, name: str, *, limit: int, may: May) -> JsonResponse:
    """Answer one process."""
    found = all_processes().get(name)
    if found is None:
        return _error(404, f"This project has no process {name!r:.80}; /processes lists those that it has.")
    after = request.GET.get("after", "")
    return _answer({"process": _read(found, may, limit=limit, most=MOST_BYTES, after=after)}, may)


def _read(process: Process, may: May, *, limit: int, most: int, after: str = "") -> dict[str, Any]:
    sees = {fact for fact in TABLE[Reader.JSON] if may_see(Reader.JSON, fact, may)}
    store = process.store
    return document(store, process, limit=limit, after=after, most=most, reader=Reader.JSON, sees=sees)


def _answer(found: dict[str, Any], may: May) -> JsonResponse:
    """Answer the facts that were found, and the permissions that the user lacks for the others."""
    lacking = sorted({f"celery_process.view_{cell.noun}" for cell in TABLE[Reader.JSON].values() if not may(cell.noun)})
    return JsonResponse({**found, "withheld": lacking} if lacking else found)


def _may(user: Any, noun: str) -> bool:
    """Whether a user may view a noun; the "change" permission includes it, as everywhere in Django."""
    return any(user.has_perm(f"celery_process.{verb}_{noun}") for verb in ("view", "change"))


@require_safe
@never_cache
def live(_: HttpRequest) -> JsonResponse:
    """Answer that this program runs, without asking the store, the broker or beat."""
    return JsonResponse({"ok": True})


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Answer whether all is well, with the status 503 if not; users with the permission get the findings of the doctor."""
    answers = [probe_of(registry).answer() for registry in registries()]
    found: dict[str, Any] = {"ok": all(answer["ok"] for answer in answers)}
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and _may(user, "process"):
        found["findings"] = [finding for answer in answers for finding in answer["findings"]]
    return JsonResponse(found, status=200 if found["ok"] else 503)


def _error(status: int, message: str) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
