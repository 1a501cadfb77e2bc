"""Texts of other people's on one line of a terminal or a log: nothing in them moves a cursor or forges a line."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, what turns the direction of text, and lone surrogates, which no terminal takes."""


def printable(text: str) -> str:
    r"""Return a text with each character that would act on its reader's screen as its escape, such as `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
