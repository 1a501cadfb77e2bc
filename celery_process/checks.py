"""What may be a name, a count, a text or an instant; and the text of an error.

Checks come before the first write of every operation, so that bad input leaves the store as it was.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from celery_process.exceptions import InvalidType, InvalidValue, short_repr

MAX_NAME = 191
"""Longest work name in characters: a MySQL index over utf8mb4 takes no more."""
MAX_TEXT = 1000
"""Longest note, and longest name of who did something, in characters."""
MAX_ERROR = 1024
"""Longest error text in characters (I13)."""
MAX_VERSION = 2**53
"""Largest version of settings that every store counts exactly."""
_PROCESS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


def check_process_name(name: object) -> str:
    """Return `name` if a process may have it: it is part of task names, so letters, digits, `_`, `.`, `-`."""
    if not isinstance(name, str):
        raise InvalidType(f"A process is named by a str, not {type(name).__name__}; pass one.", argument="name", value=name)
    if not _PROCESS_NAME.fullmatch(name) or name == "celery_process":
        raise InvalidValue(
            f"{name!r:.80} cannot name a process; use 1 to 100 letters, digits, '_', '.' or '-', beginning with a letter "
            "or digit, and not 'celery_process' itself.",
            argument="name",
            value=name,
        )
    return name


def check_work_name(name: object) -> str:
    """Return `name` if a work item may have it (B7). Names compare by code point; nothing is normalised."""
    if not isinstance(name, str):
        raise InvalidType(
            f"A work item is named by a str, not {type(name).__name__}; pass str(...).", argument="name", value=name
        )
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidValue(
            f"The name of a work item has 1 to {MAX_NAME} characters, not {len(name)}; shorten it.",
            argument="name",
            value=name[:80],
        )
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InvalidValue(
                f"{name!r:.80} has the character {character!r}; control characters and lone surrogates cannot be part of "
                "a name: remove it.",
                argument="name",
                value=name,
            )
    return name


def check_count(value: object, argument: str, most: int) -> int:
    """Return `value` if it is a whole number from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{argument} is an int, not {short_repr(value)}.", argument=argument, value=value)
    if not 1 <= value <= most:
        raise InvalidValue(f"{argument} is from 1 to {most}, not {short_repr(value)}.", argument=argument, value=value)
    return value


def check_version(value: object, *, argument: str) -> None:
    """Raise if `value` is neither None nor the number of a version, which counts from 0."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidType(
            f"{argument} is an int or None, not {short_repr(value)}; pass a state's settings_version.",
            argument=argument,
            value=value,
        )
    if value is not None and not 0 <= value <= MAX_VERSION:
        raise InvalidValue(
            f"{argument} is from 0 to {MAX_VERSION}, not {short_repr(value)}; pass a state's settings_version.",
            argument=argument,
            value=value,
        )


def check_text(value: object, *, argument: str) -> str:
    """Return `value` if it may be kept as a note or as who did something: at most 1,000 characters."""
    if not isinstance(value, str):
        raise InvalidType(f"{argument} is a str, not {type(value).__name__}; pass one.", argument=argument, value=value)
    if len(value) > MAX_TEXT:
        raise InvalidValue(
            f"{argument} has at most {MAX_TEXT} characters, not {len(value)}; shorten it.",
            argument=argument,
            value=value[:80],
        )
    if "\0" in value or (not value.isascii() and any(unicodedata.category(character) == "Cs" for character in value)):
        raise InvalidValue(
            f"{argument} has a NUL or a lone surrogate, which no database keeps; remove it.", argument=argument, value=value
        )
    return value


def check_instant(value: object, *, argument: str) -> datetime:
    """Return `value` as an aware UTC datetime; naive ones are refused."""
    if not isinstance(value, datetime):
        raise InvalidType(f"{argument} is a datetime, not {type(value).__name__}.", argument=argument, value=value)
    if value.tzinfo is None:
        raise InvalidValue(
            f"{argument} has no time zone; pass an aware datetime, such as datetime.now(UTC).",
            argument=argument,
            value=value,
        )
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidValue(
            f"{argument} lies outside of the years 1 to 9999 in UTC; pass another.", argument=argument, value=value
        ) from error


def error_text(error: object) -> str:
    """Return the text of an error, at most 1,024 printable characters, even if its `__str__` raises."""
    try:
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"{type(error).__name__}: (its text could not be made: {type(broken).__name__})"
    text = text[: 2 * MAX_ERROR]
    text = "".join(c if c.isprintable() and not unicodedata.category(c).startswith("C") else " " for c in text)
    return " ".join(text.split())[:MAX_ERROR] or type(error).__name__
