"""The admin's words in the user's language, and values inside sentences of either writing direction."""

from __future__ import annotations

from django.utils.translation import get_language_bidi, gettext
from django.utils.translation import gettext_noop as _

from celery_process.monitor.columns import NEVER_RAN
from celery_process.text.sentences import Sentence

WORDS = frozenset(
    {
        *(_("NEW"), _("ACTIVE"), _("ABORTING"), _("ABORTED"), _("INCOMPLETE"), _("COMPLETED"), _("PAUSED"), NEVER_RAN),
        *(_("active"), _("cleanup"), _("dropped")),
        *(_("ran"), _("overlapped"), _("paused"), _("declined"), _("too late"), _("late"), _("missed")),
        *(_("pending"), _("claimed"), _("completed"), _("incomplete"), _("aborted"), _("cancelled"), _("lost")),
        *(_("removed"), _("superseded")),
    }
)
"""The states of runs and items, the lists, the ends of slots and the reasons, as the store writes them."""
FIRST_STRONG, POP = "\u2068", "\u2069"
"""Unicode's isolates, for texts without markup: a page's title, a message."""


def word(value: object) -> str:
    """Return a word of the store in the current language; any other text unchanged."""
    text = str(value)
    return str(gettext(text)) if text in WORDS else text


def isolated(value: object) -> str:
    """Return a value, isolated from the direction of the sentence around it where the language runs from right to left."""
    return f"{FIRST_STRONG}{value}{POP}" if get_language_bidi() else str(value)


def sentence(text: str, **facts: object) -> str:
    """Return a text in the current language with its facts; a text without a translation keeps its own direction."""
    return isolated(str(gettext(text)) % {name: isolated(fact) for name, fact in facts.items()})


def translated(text: str | Sentence) -> str:
    """Return a sentence in the current language, with the sentences among its facts; any other text unchanged."""
    if not isinstance(text, Sentence):
        return text
    facts = {name: translated(fact) if isinstance(fact, Sentence) else fact for name, fact in text.facts.items()}
    return sentence(text.text, **facts)
