"""`/processes` and `/processes/<name>`: what there is to see, as JSON in the original's shape; nothing can be changed (B39).

Who may look is a user with the permission `celery_process.view_process`; settings, errors and items need the permissions
that the admin asks for: what a user may not see is left out, and the permissions for it are listed as "withheld".
`/processes/health` tells everybody whether all is well, and only such a user what is wrong. `/processes/live` asks nothing
of anybody: it is for those who restart what does not answer.
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
from celery_process.contrib.django.shelves import processes as all_processes
from celery_process.contrib.django.shelves import shelves
from celery_process.exceptions import ProcessError
from celery_process.monitor.jsonable import http_status
from celery_process.monitor.original import document
from celery_process.monitor.probe import probe_of
from celery_process.monitor.secrets import TABLE, Reader, may_see
from celery_process.process import Process

PERMISSION = "celery_process.view_process"
May = Callable[[str], bool]
"""Whether the user may view what a model stands for."""
WORKS, MOST_WORKS = 100, 1_000
"""Items of each list that an answer has, as it stands and at most; `?works=` asks for another number, `?after=` goes on."""
MOST_BYTES = 2_000_000
"""About so much JSON of items has an answer, of all processes together; where it is used up, "next" tells where to go on."""


def _guarded(view: Callable[..., JsonResponse]) -> Any:
    """Let only those look who may; errors are JSON too."""

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
    for shelf in shelves():
        for process in shelf.processes:
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
    """Answer what was found, and the permissions that the user lacks for the rest."""
    lacking = sorted({f"celery_process.view_{cell.noun}" for cell in TABLE[Reader.JSON].values() if not may(cell.noun)})
    return JsonResponse({**found, "withheld": lacking} if lacking else found)


def _may(user: Any, noun: str) -> bool:
    """Whether a user may view what a model stands for; who may change it may view it, as everywhere in Django."""
    return any(user.has_perm(f"celery_process.{verb}_{noun}") for verb in ("view", "change"))


@require_safe
@never_cache
def live(_: HttpRequest) -> JsonResponse:
    """Answer that this program answers. Neither the store nor the broker nor beat is asked."""
    return JsonResponse({"ok": True})


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Answer whether all is well, with the status 503 where not; to who may look, what `process doctor` finds."""
    answers = [probe_of(registry).answer() for registry in registries()]
    found: dict[str, Any] = {"ok": all(answer["ok"] for answer in answers)}
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and _may(user, "process"):
        found["findings"] = [finding for answer in answers for finding in answer["findings"]]
    return JsonResponse(found, status=200 if found["ok"] else 503)


def _error(status: int, message: str) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
