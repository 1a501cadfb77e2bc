"""`/processes` and `/processes/<name>`: what there is to see, as JSON in the original's shape; nothing can be changed (B39).

Who may look is a user with the permission `celery_process.view_process`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from celery_process.app import registries
from celery_process.exceptions import ProcessError
from celery_process.original import document, documents

PERMISSION = "celery_process.view_process"
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
            return _error(503, str(error))

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


def _error(status: int, message: str) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
