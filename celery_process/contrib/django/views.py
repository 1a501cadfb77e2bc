"""`/processes` and `/processes/<name>`: what there is to see, as JSON in the original's shape; nothing can be changed (B39).

Who may look is a user with the permission `celery_process.view_process`. `/processes/health` tells everybody whether all is
well, for those who restart what is not, and only such a user what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from celery_process.app import registries
from celery_process.documents import http_status
from celery_process.exceptions import ProcessError
from celery_process.health import document as judged
from celery_process.health import examine
from celery_process.original import document, documents

PERMISSION = "celery_process.view_process"
HEALTH_KEPT = 5
"""Seconds for which what was found is kept in Django's cache: whoever asks, the workers are asked no more often."""
WORKS, MOST_WORKS = 100, 10_000
"""Items of each list that an answer has, as it stands and at most; `?works=` asks for another number, `?after=` goes on."""


def _guarded(view: Callable[..., JsonResponse]) -> Any:
    """Let only those look who may; errors are JSON too."""

    @require_safe
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return _error(401, "Log in first.")
        if not user.has_perm(PERMISSION):
            return _error(403, f"You lack the permission {PERMISSION}; ask an administrator for it.")
        text = request.GET.get("works", str(WORKS))
        if not text.isdecimal() or int(text) > MOST_WORKS:
            return _error(400, f"works is a number from 0 to {MOST_WORKS}, not {text!r:.40}.")
        try:
            return view(request, *args, limit=int(text), **kwargs)
        except ProcessError as error:
            return _error(http_status(error), str(error))

    return guarded


@_guarded
def processes(_: HttpRequest, *, limit: int) -> JsonResponse:
    """Answer all processes of all apps of this project, by name."""
    found: dict[str, Any] = {}
    for registry in registries():
        found |= documents(registry.store, registry, limit=limit)["processes"]
    return JsonResponse({"processes": found})


@_guarded
def process(request: HttpRequest, name: str, *, limit: int) -> JsonResponse:
    """Answer one process."""
    for registry in registries():
        if name in registry:
            after = request.GET.get("after", "")
            return JsonResponse({"process": document(registry.store, registry[name], limit=limit, after=after)})
    return _error(404, f"This project has no process {name!r:.80}; /processes lists those that it has.")


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Answer whether all is well, with the status 503 where not; to who may look, what `process doctor` finds."""
    found = cache.get_or_set("celery_process.health", _examined, HEALTH_KEPT)
    user = getattr(request, "user", None)
    may_look = user is not None and user.is_authenticated and user.has_perm(PERMISSION)
    return JsonResponse(found if may_look else {"ok": found["ok"]}, status=200 if found["ok"] else 503)


def _examined() -> dict[str, Any]:
    return judged(finding for registry in registries() for finding in examine(registry))


def _error(status: int, message: str) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
