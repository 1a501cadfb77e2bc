"""The one view of all verbs: POST only, with Django's CSRF token, and with a confirmation where the verb destroys."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from celery_process.checks import MAX_TEXT
from celery_process.contrib.django.admin.base import Base, by, guarded
from celery_process.contrib.django.words import isolated, translated
from celery_process.exceptions import InvalidValue, ProcessError
from celery_process.monitor.secrets import Fact, Reader, mask_fact
from celery_process.monitor.verbs import VERBS, Request, Takes, Target, Verb
from celery_process.process import Process


class ActionPages(Base):
    """The page that asks for a confirmation, and the view that acts."""

    @guarded("process")
    def do_view(self, request: HttpRequest, process: Process, verb: str) -> HttpResponse:
        """Do what the verb says and redirect to the page of its button; without a needed confirmation, ask for it."""
        if verb not in VERBS:
            raise InvalidValue(f"{verb!r:.40} is no action; the page of the process has them.", argument="verb", value=verb)
        chosen = VERBS[verb]
        if not self.may(request, chosen.noun, act=True):
            raise PermissionDenied
        if Takes.PARAMS in chosen.takes:  # verbs with params have a form of their own
            return HttpResponseRedirect(self.url("register", process))
        data = request.POST if request.method == "POST" else request.GET
        verb_request = Request(
            by=by(request),
            note=data.get("note", "").strip(),
            run=data.get("run", ""),
            works=tuple(dict.fromkeys(data.getlist("work"))),
        )
        back = self.url("items" if chosen.target is Target.ITEMS else "change", process)
        if request.method != "POST" or (chosen.asks and "confirmed" not in request.POST):
            return self.page(
                request,
                "confirm",
                process,
                title=f"{gettext(chosen.label)}: {isolated(process.name)}",
                chosen=chosen,
                arguments=verb_request,
                back=back,
                longest=MAX_TEXT,
            )
        self._do(request, process, chosen, verb_request)
        return HttpResponseRedirect(back)

    def _do(self, request: HttpRequest, process: Process, verb: Verb, verb_request: Request) -> None:
        try:
            done = verb.act(process, verb_request)
        except ProcessError as error:
            messages.error(request, isolated(mask_fact(str(error), Fact.NOTES, Reader.ADMIN)))
            return
        if done is None:
            messages.info(request, gettext(verb.nothing))
            return
        self.done(request, process, verb.name, done.text)
        messages.success(request, mask_fact(f"{translated(done.text)}.", Fact.NOTES, Reader.ADMIN))
