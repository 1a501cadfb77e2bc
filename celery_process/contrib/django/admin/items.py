"""Work items: their lists, the page of one item, and the form that registers items."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from celery_process.contrib.django.admin.base import Base, guarded
from celery_process.contrib.django.admin.fields import JsonObjectField, NamesField, refused
from celery_process.contrib.django.admin.listing import listing
from celery_process.contrib.django.admin.overview import safely
from celery_process.contrib.django.words import isolated, sentence, translated
from celery_process.exceptions import InvalidValue, ProcessError, WorkNotFound
from celery_process.monitor.secrets import Reader, mask_for
from celery_process.monitor.verbs import VERBS, registered
from celery_process.process import Process
from celery_process.protocol.states import WorkList, WorkState
from celery_process.text.masking import MASK, unmasked


class RegisterForm(forms.Form):
    """Names of items, and the params to register all of them with."""

    names = NamesField(label=_("Names"), help_text=_("One name a line."))
    params = JsonObjectField(
        label=_("Params"),
        help_text=_("A JSON object: the items' own params, which go over the settings."),
    )


class ItemPages(Base):
    """The pages of work items."""

    @safely
    @guarded("work")
    def items_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show a page of a list; `?on=`, `?state=` and `?q=` filter, `?after=` selects the next page."""
        query = {key: request.GET.get(key, "") for key in ("on", "state", "q", "after")}
        try:
            on = WorkList(query["on"] or WorkList.ACTIVE)
            state = WorkState(query["state"]) if query["state"] else None
        except ValueError as error:
            raise InvalidValue(f"{error}; choose one that the page offers.", argument="items", value=query) from None
        found = listing(process, on=on, state=state, beginning=query["q"], after=query["after"])
        chosen = {"on": on.value, "state": query["state"], "q": query["q"]}
        return self.page(
            request,
            "items",
            process,
            title=sentence(gettext_noop("Work items of %(process)s"), process=process.name),
            listing=found,
            lists=tuple(WorkList),
            states=tuple(WorkState),
            chosen=chosen,
            after=query["after"],
        )

    @safely
    @guarded("work")
    def item_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show the item that `?name=` names."""
        info = mask_for(process.work(request.GET.get("name", "")), Reader.ADMIN)
        return self.page(
            request, "item", process, title=isolated(info.name), subtitle=None, info=info, params=dict(info.params)
        )

    @guarded("work", act=True)
    def register_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Ask for names and params, and register them; `?name=` fills the form from an item."""
        form = RegisterForm(request.POST or None, initial=self._initial(process, request.GET.get("name", "")))
        if request.method == "POST" and form.is_valid():
            try:
                changed = self._register(process, form.cleaned_data["names"], form.cleaned_data["params"])
            except ProcessError as error:
                refused(form, error, "names", "params")
            else:
                self._report(request, process, form.cleaned_data["names"], changed)
                return HttpResponseRedirect(self.url("items", process))
        return self.page(
            request,
            "register",
            process,
            title=sentence(gettext_noop("Register work items of %(process)s"), process=process.name),
            form=form,
        )

    def _initial(self, process: Process, name: str) -> dict[str, Any]:
        params = {} if not name else dict(mask_for(process.work(name), Reader.ADMIN).params)
        return {"names": name, "params": json.dumps(params, indent=2, ensure_ascii=False)}

    def _register(self, process: Process, names: tuple[str, ...], params: dict[str, Any]) -> tuple[str, ...]:
        if MASK not in json.dumps(params):
            return process.register_works(dict.fromkeys(names, params))
        works = {}
        for name in names:
            try:
                known = process.work(name).params
            except WorkNotFound:
                known = {}
            works[name] = unmasked(params, dict(known), argument=f"the params of {name!r:.80}")
        return process.register_works(works)

    def _report(self, request: HttpRequest, process: Process, names: tuple[str, ...], changed: tuple[str, ...]) -> None:
        done = registered(changed, names)
        if done is None:
            messages.info(request, gettext(VERBS["register"].nothing))
            return
        self.done(request, process, "register", done.text)
        messages.success(request, f"{translated(done.text)}.")
