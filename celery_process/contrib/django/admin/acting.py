"""The one view through which all verbs go: POST only, with Django's token, and asked about first where it destroys."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from celery_process.contrib.django.admin.base import Base, by, guarded
from celery_process.contrib.django.admin.verbs import VERBS, Given, Verb
from celery_process.contrib.django.words import isolated, translated
from celery_process.exceptions import InvalidValue, ProcessError
from celery_process.monitor.secrets import Fact, Reader
from celery_process.monitor.secrets import shown as as_read
from celery_process.process import Process
from celery_process.values import MAX_TEXT


class ActionPages(Base):
    """The page that asks, and the act."""

    @guarded("process")
    def do_view(self, request: HttpRequest, process: Process, verb: str) -> HttpResponse:
        """Do what the verb says, and go back to where it was asked for; without a confirmation, ask for it."""
        if verb not in VERBS:
            raise InvalidValue(f"{verb!r:.40} is no action; the page of the process has them.", argument="verb", value=verb)
        chosen = VERBS[verb]
        if not self.may(request, chosen.noun, act=True):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        given = Given(
            by=by(request),
            note=asked.get("note", "").strip(),
            run=asked.get("run", ""),
            works=tuple(dict.fromkeys(asked.getlist("work"))),
        )
        back = self.url("items" if verb == "unregister" else "change", process)
        if request.method != "POST" or (chosen.asks and "confirmed" not in request.POST):
            return self.page(
                request,
                "confirm",
                process,
                title=f"{chosen.label}: {isolated(process.name)}",
                verb=verb,
                chosen=chosen,
                given=given,
                back=back,
                longest=MAX_TEXT,
            )
        self._do(request, process, verb, chosen, given)
        return HttpResponseRedirect(back)

    def _do(self, request: HttpRequest, process: Process, name: str, verb: Verb, given: Given) -> None:
        try:
            told = verb.act(process, given)
        except ProcessError as error:
            messages.error(request, isolated(as_read(str(error), Fact.NOTES, Reader.ADMIN)))
            return
        if told is None:
            messages.info(request, verb.nothing)
            return
        self.done(request, process, name, told)
        messages.success(request, as_read(f"{translated(told)}.", Fact.NOTES, Reader.ADMIN))
