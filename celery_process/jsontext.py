"""Params and settings as one canonical JSON text, which the stores never look into."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from celery_process.exceptions import CorruptData, InvalidType, InvalidValue, short_repr

MAX_PARAMS = 64 * 1024
"""Longest params or settings in bytes of JSON (I13)."""
MAX_DEPTH = 64
MAX_INT_BITS = 14_000
"""Largest integer in params: Python writes and reads no more than 4,300 digits."""
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
LONGEST_PLACE = 160
"""Characters of the place of a value in a message."""


def encode(value: object, *, argument: str = "params") -> str:
    """Return `value` (a mapping with str keys, or None for an empty one) as canonical ASCII JSON.

    Refuses what would not come back as it went in: NaN, infinities, bytes, tuples, dates, keys that are not str, pairs of
    surrogates.
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
        return _text(value, argument, where)
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
        return [_plain(item, argument, _inside(where, index), depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidType(
                    f"{where} has the key {short_repr(key)}; keys are str: convert it.", argument=argument, value=key
                )
            plain[_text(key, argument, where)] = _plain(item, argument, _inside(where, short_repr(key, 40)), depth + 1)
        return plain
    raise InvalidType(
        f"{where} is a {type(value).__name__}, which does not come back from JSON as it is; use str, int, float, bool, "
        "None, list or dict.",
        argument=argument,
        value=value,
    )


def _text(value: str, argument: str, where: str) -> str:
    if not value.isascii() and _PAIR.search(value):
        raise InvalidValue(
            f"{where} has a pair of surrogates, which comes back from JSON as one character; pass that character.",
            argument=argument,
            value=where[:80],
        )
    return str(value)


def _inside(where: str, key: str | int) -> str:
    """Return the place of a value in messages: its beginning and its end, where it is long."""
    place = f"{where}[{key}]"
    return place if len(place) <= LONGEST_PLACE else f"{place[: LONGEST_PLACE // 2]}…{place[-LONGEST_PLACE // 2 :]}"


def decode(text: str | None) -> dict[str, Any]:
    """Return the dict that `encode` wrote; an absent text is an empty dict. Raises `CorruptData`."""
    found: Any = {}
    cause: Exception | None = None
    try:
        found = json.loads(text) if text and text != "{}" else {}
    except (ValueError, TypeError, RecursionError) as error:
        cause = error
    if cause is not None or not isinstance(found, dict):
        raise CorruptData(
            f"Stored params or settings are no JSON object ({type(cause or found).__name__}): something else wrote "
            "them; register the item or update the settings again."
        ) from cause
    return found
