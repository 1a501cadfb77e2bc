"""Escapes texts that users wrote, so that in a terminal or a log they stay on one line and move no cursor."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that turn the direction of text, and lone surrogates."""


def printable(text: str) -> str:
    r"""Return a text with each character that would act on a screen escaped, such as `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_value(value: Any) -> Any:
    """Return a value with all its texts printable, at any depth of dataclasses, mappings and sequences."""
    if type(value) is str:
        return printable(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: printable_value(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, Mapping):
        return {printable_value(key): printable_value(item) for key, item in value.items()}
    return type(value)(map(printable_value, value)) if type(value) in (tuple, list) else value


def printable_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON, with only those characters escaped that act on a screen."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
