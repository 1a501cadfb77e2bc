"""What may be a name, params, a stat or an error text, and how each is written down.

Checks here come before the first write of every operation, so that bad input leaves the store as it was.
Params and settings are kept as one canonical JSON text that the stores never look into.
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery_process.exceptions import CorruptData, InvalidType, InvalidValue

Number = int | float

MAX_NAME = 191
"""Longest work name in characters: a MySQL index over utf8mb4 takes no more."""
MAX_PARAMS = 64 * 1024
"""Longest params or settings in bytes of JSON (I13)."""
MAX_DEPTH = 64
MAX_INT_BITS = 14_000
"""Largest integer in params: Python writes and reads no more than 4,300 digits."""
MAX_STATS = 100
MAX_STAT_NAME = 100
MAX_SUMMED_STATS = 1_000
"""Names of stats that a run keeps, and a process of all its runs, beside the library's own."""
OTHER_STATS = "otherStats"
"""The stat that counts what has a name beyond those."""
MAX_TEXT = 1000
"""Longest note, and longest name of who did something, in characters."""
MAX_ERROR = 1024
"""Longest error text in characters (I13)."""
MAX_WORK_ERRORS = 10
MAX_RUN_ERRORS = 25
MAX_VERSIONS = 100
"""Versions of its settings that are kept of a process: a program may change them in each run, by 64 KiB at a time."""

LARGEST = sys.float_info.max
"""Where a sum of stats stays that would overflow. Compared with, since `math.isfinite` raises for large integers."""

_PROCESS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_RESERVED_STATS = frozenset(
    {"workItems", "workItemsCleaned", "workItemsDirty", "workItemsAborted", "errors", "runs", "duration", "otherStats"}
)
_RESERVED_PREFIXES = ("work.", "state.")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        raise InvalidType(f"{argument} is an int, not {value!r:.80}.", argument=argument, value=value)
    if not 1 <= value <= most:
        raise InvalidValue(f"{argument} is from 1 to {most}, not {value}.", argument=argument, value=value)
    return value


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


def encode(value: object, *, argument: str = "params") -> str:
    """Return `value` (a mapping with str keys, or None for an empty one) as canonical ASCII JSON.

    Refuses what would not come back as it went in: NaN, infinities, bytes, tuples, dates, keys that are not str.
    """
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise InvalidType(
            f"{argument} is a mapping, not {type(value).__name__}; pass a dict with str keys.",
            argument=argument,
            value=value,
        )
    text = json.dumps(_plain(value, argument, argument, 0), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if len(text) > MAX_PARAMS:
        raise InvalidValue(
            f"{argument} take {len(text)} bytes as JSON and may take {MAX_PARAMS}; keep the data elsewhere.",
            argument=argument,
            value=text[:80],
        )
    return text


def _plain(value: object, argument: str, where: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidValue(
            f"{argument} are nested deeper than {MAX_DEPTH} levels; flatten them.", argument=argument, value=where[:80]
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        if value.bit_length() > MAX_INT_BITS:
            raise InvalidValue(
                f"{where} is an int of more than {MAX_INT_BITS} bits; use a str.", argument=argument, value=where[:80]
            )
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(
                f"{where} is {value}; JSON has finite numbers only: use None or a str.", argument=argument, value=value
            )
        return float(value)
    if isinstance(value, list):
        return [_plain(item, argument, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidType(
                    f"{where} has the key {key!r:.80}; keys are str: convert it.", argument=argument, value=key
                )
            plain[str(key)] = _plain(item, argument, f"{where}[{key!r:.40}]", depth + 1)
        return plain
    raise InvalidType(
        f"{where} is a {type(value).__name__}, which does not come back from JSON as it is; use str, int, float, bool, "
        "None, list or dict.",
        argument=argument,
        value=value,
    )


def decode(text: str | None) -> dict[str, Any]:
    """Return the dict that `encode` wrote; an absent text is an empty dict. Raises `CorruptData`."""
    try:
        return dict(json.loads(text)) if text and text != "{}" else {}
    except (ValueError, TypeError) as error:
        raise CorruptData(
            f"Stored params or settings are no JSON object ({type(error).__name__}): something else wrote "
            "them; register the item or update the settings again."
        ) from error


def check_stat(name: object, count: object, known: Mapping[str, Number]) -> Number:
    """Return `count` if `name` may be added to the stats `known`; reserved names are refused (W31)."""
    if not isinstance(name, str):
        raise InvalidType(f"A stat is named by a str, not {type(name).__name__}; pass one.", argument="name", value=name)
    if not 0 < len(name) <= MAX_STAT_NAME or not name.isprintable():
        raise InvalidValue(
            f"{name!r:.80} cannot name a stat; use 1 to {MAX_STAT_NAME} printable characters.",
            argument="name",
            value=name[:80],
        )
    if name in _RESERVED_STATS or name.startswith(_RESERVED_PREFIXES):
        raise InvalidValue(
            f"The stat {name!r} is kept by the library itself; choose another name.", argument="name", value=name
        )
    if isinstance(count, bool) or not isinstance(count, int | float):
        raise InvalidType(
            f"The stat {name!r} counts an int or float, not {type(count).__name__}.", argument="count", value=count
        )
    try:
        total = float(count) + float(known.get(name, 0))
    except OverflowError:  # an int beyond the range of floats
        total = math.inf
    if not math.isfinite(total):
        raise InvalidValue(
            f"The stat {name!r} would become {total}; stats are finite: add less.", argument="count", value=count
        )
    if name not in known and len(known) >= MAX_STATS:
        raise InvalidValue(
            f"An item keeps at most {MAX_STATS} stats and {name!r} would be one more; put details into a log instead.",
            argument="name",
            value=name,
        )
    return count


def add_stats(into: dict[str, Number], more: Mapping[str, Number]) -> None:
    """Add `more` to `into` name by name; a sum that would overflow stays at the largest float.

    Beyond `MAX_SUMMED_STATS` names a new one is added to `OTHER_STATS`, unless it is one of the library's own.
    """
    for given, count in more.items():
        own = given in _RESERVED_STATS or given.startswith("state.")
        name = given if own or given in into or len(into) < MAX_SUMMED_STATS else OTHER_STATS
        total = into.get(name, 0) + count
        into[name] = total if -LARGEST <= total <= LARGEST else math.copysign(LARGEST, 1 if total > 0 else -1)


def error_text(error: object) -> str:
    """Return the text of an error, at most 1,024 printable characters, even if its `__str__` raises."""
    try:
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"{type(error).__name__}: (its text could not be made: {type(broken).__name__})"
    text = text[: 2 * MAX_ERROR]
    text = "".join(c if c.isprintable() and not unicodedata.category(c).startswith("C") else " " for c in text)
    return " ".join(text.split())[:MAX_ERROR] or type(error).__name__


def to_us(instant: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970, UTC."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the aware UTC instant of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


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
