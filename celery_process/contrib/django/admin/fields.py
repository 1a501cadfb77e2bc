"""The fields of the forms; their errors are the library's own messages."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _

from celery_process.contrib.django.words import isolated, sentence
from celery_process.exceptions import ProcessError
from celery_process.text.masking import MASK


class JsonObjectField(forms.CharField):
    """A JSON object in a textarea; an empty text is an empty object, and a mask keeps the stored value."""

    def __init__(self, *, help_text: Any, **options: Any) -> None:
        options["help_text"] = format_lazy("{} {} {}", help_text, MASK, gettext_lazy("stands for a value that stays."))
        super().__init__(
            required=False, widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "dir": "ltr"}), **options
        )

    def clean(self, value: Any) -> dict[str, Any]:
        """Return the object."""
        text = super().clean(value)
        try:
            read = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(sentence(_("This is no JSON: %(error)s."), error=error)) from None
        if not isinstance(read, dict):
            raise forms.ValidationError(gettext('This is JSON, but no object; write one, such as {"key_ttl": 60}.'))
        return read


class NamesField(forms.CharField):
    """Names in a textarea, one a line; spaces around them are removed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "dir": "auto"}), **options)

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the names, each once, in their order."""
        lines = (line.strip() for line in super().clean(value).split("\n"))
        return tuple(dict.fromkeys(line for line in lines if line))


def refused(form: forms.Form, error: ProcessError, *fields: str) -> None:
    """Show an error of the library beside the field that it is about, or else above all fields."""
    about = error.facts.get("argument")
    form.add_error(about if about in fields else None, isolated(error))
