"""The form of settings and schedule. It names the version that the user edits, and never overwrites a newer one."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from celery_process.contrib.django.admin.base import Base, by, guarded
from celery_process.contrib.django.admin.fields import JsonObjectField, refused
from celery_process.contrib.django.words import isolated, sentence, translated
from celery_process.exceptions import ProcessError, SettingsChanged
from celery_process.jsontext import decode, encode
from celery_process.monitor.details import settings_history
from celery_process.monitor.secrets import Fact, Reader, mask_fact
from celery_process.process import Process
from celery_process.schedule.frequency import parse, to_input
from celery_process.text.masking import unmasked
from celery_process.text.sentences import Sentence


class SettingsForm(forms.Form):
    """The arguments of `update_settings`, and the version that the user edits."""

    settings = JsonObjectField(
        label=_("Stored settings"),
        help_text=_("A JSON object, as a whole: what is left out is as in the code."),
    )
    schedule = forms.CharField(
        label=_("Schedule"),
        required=False,
        max_length=200,
        help_text=_("Seconds, or the five fields of a crontab, such as */10 * * * *. Empty: as it is."),
        widget=forms.TextInput(attrs={"class": "vTextField", "dir": "ltr"}),
    )
    expected_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**53)


_STORED = {
    (True, True): gettext_noop("Stored settings version %(version)s; changed: %(names)s; schedule %(schedule)s"),
    (True, False): gettext_noop("Stored settings version %(version)s; changed: %(names)s"),
    (False, True): gettext_noop("Stored settings version %(version)s; schedule %(schedule)s"),
}
"""The message of what was done, by whether the settings and whether the schedule changed."""


class SettingsPages(Base):
    """The page of settings."""

    @guarded("settings")
    def settings_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show the settings in force, and the form to users who may change them."""
        may = self.may(request, "settings", act=True)
        if request.method == "POST" and not may:
            raise PermissionDenied
        state, overrides = process.state(), process.store.overrides(process.name)
        stored = decode(overrides.settings)
        initial = {
            "settings": json.dumps(_visible(stored), indent=2, ensure_ascii=False),
            "schedule": to_input(state.schedule_frequency),
            "expected_version": overrides.version,
        }
        form = SettingsForm(request.POST if request.method == "POST" else None, initial=initial)
        if form.is_bound and form.is_valid():
            try:
                done = self._store(request, process, form, stored)
            except SettingsChanged as error:
                advice = gettext("Open this page anew in another tab to see what changed; nothing was stored.")
                form.add_error(None, f"{isolated(error)} {advice}")
            except ProcessError as error:
                refused(form, error, "settings", "schedule")
            else:
                if done:
                    messages.success(request, f"{translated(done)}.")
                else:
                    messages.info(request, gettext("Nothing was changed."))
                return HttpResponseRedirect(self.url("settings", process))
        return self.page(
            request,
            "settings",
            process,
            title=sentence(gettext_noop("Settings of %(process)s"), process=process.name),
            form=form if may else None,
            in_force=_visible(dict(state.settings)),
            defaults=_visible(dict(process.default_settings)),
            stored=stored,
            overrides=overrides,
            versions=settings_history(process, Reader.ADMIN),
            schedule=state.schedule_frequency,
        )

    def _store(self, request: HttpRequest, process: Process, form: SettingsForm, stored: dict[str, Any]) -> Sentence | None:
        """Store the changes, log them by name without their values, and return the message; None if nothing changed."""
        fields = form.cleaned_data
        settings = unmasked(fields["settings"], stored, argument="settings")
        before, after = _written(stored), _written(settings)
        names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        schedule = fields["schedule"].strip()
        if schedule == to_input(process.schedule_frequency):
            schedule = ""
        if not names and not schedule:
            return None
        version = process.update_settings(
            settings if names else None,
            schedule=parse(schedule) if schedule else None,
            expected_version=fields["expected_version"],
            by=by(request),
        )
        done = Sentence(
            _STORED[bool(names), bool(schedule)], {"version": version, "names": ", ".join(names), "schedule": schedule}
        )
        self.done(request, process, "settings", done)
        return done


def _visible(settings: dict[str, Any]) -> Any:
    return mask_fact(settings, Fact.SETTINGS, Reader.ADMIN)


def _written(settings: dict[str, Any]) -> dict[str, str]:
    """Return settings with their values as JSON text, to compare them: in Python true equals 1, in JSON it does not."""
    return {name: encode({name: value}, argument="settings") for name, value in settings.items()}
