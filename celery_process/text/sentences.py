"""Sentences that a view shows as they stand, in English, or looks up for translation, with their facts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


def marked(text: str) -> str:
    """Return a text as it is; `makemessages` finds it where this function is imported as `_`."""
    return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and its facts, which are `%(name)s` in it. The text is marked for translation where it is written."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        """Return it in English."""
        return self.text % self.facts
