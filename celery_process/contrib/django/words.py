"""The words that the admin shows in the language of who looks, and values in the midst of sentences of any direction."""

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
"""States of runs and items, lists, ends of slots and reasons, as the store writes them."""
FIRST_STRONG, POP = "\u2068", "\u2069"
"""Unicode's isolates, for texts that hold no markup: a page's title, a message."""


def word(value: object) -> str:
    """Return a word of the store's in the present language; another text as it is."""
    text = str(value)
    return str(gettext(text)) if text in WORDS else text


def isolated(value: object) -> str:
    """Return a value that does not mix with the direction of the sentence around it, where that is right to left."""
    return f"{FIRST_STRONG}{value}{POP}" if get_language_bidi() else str(value)


def sentence(text: str, **facts: object) -> str:
    """Return a text in the present language with its facts; one that nobody translated keeps its own direction."""
    return isolated(str(gettext(text)) % {name: isolated(fact) for name, fact in facts.items()})


def translated(text: str | Sentence) -> str:
    """Return a sentence in the present language, with those that are facts of it; another text as it is."""
    if not isinstance(text, Sentence):
        return text
    facts = {name: translated(fact) if isinstance(fact, Sentence) else fact for name, fact in text.facts.items()}
    return sentence(text.text, **facts)
