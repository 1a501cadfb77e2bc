"""Masks secrets in settings, params and texts: found by a name beside them, and by their form.

`monitor.secrets` decides who reads what masked. All patterns take time linear in the text, which users and servers write.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from celery_process.exceptions import InvalidValue

MASK = "********"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = re.compile(
    r"(auth|authorization|authentication|bearer|cookie|credential|cred|csrf|dsn|jwt|oauth|pass|passcode|passphrase|passwd"
    r"|password|private|pwd|sas|secret|session|sessionid|sig|signature|token|xsrf)s?"
    r"|.*(apikey|credential|passphrase|passwd|password|secret|token)s?"
)
"""A word that makes a name that of a secret; some also at the end of a longer word: `dbpassword`, but not `tokenizer`."""
_KEY_OF = re.compile(
    r"access|account|api|client|encryption|license|master|service|shared|signing|ssh|ssl|storage|subscription|tls|webhook"
)
"""The word before `key` in the name of a secret key; other keys are those of tables, caches and partitions."""
_MEASURE = re.compile(
    r"age|count|days|expires|expiry|hours|interval|length|lifetime|limit|max|min|minutes|number|per|rate|retries|seconds"
    r"|size|timeout|ttl|version"
)
"""A number with one of these words in its name is no secret: `token_ttl`, `max_tokens`."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,40}://")
_CHUNK = re.compile(r"[^\s\"'<>]+")
_BEARER = re.compile(r"\b(bearer)\s+(?!auth|token|scheme|realm)[\w.~+/\-]+=*", re.IGNORECASE)
_BASIC = re.compile(r"\b(Basic)\s+([A-Za-z0-9+/_\-]+=*)")
_HEADER = re.compile(r"\b((?:Proxy-)?Authorization|(?:Set-)?Cookie)(['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?<![\w.\-])([\w.\-]{1,200})(['\"]?)\s{0,4}([:=])\s{0,4}(?!//)")
_VALUE = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s&;,\"'<>(){}\[\]]+)")
_TOKEN = re.compile(
    r"\beyJ[\w\-]{8,}\.[\w\-]+\.[\w\-]*|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w\-]{16,}|\bxox[abeprs]-[\w\-]{8,}"
    r"|\bsk[-_][\w\-]{16,}|\bA[KS]IA[0-9A-Z]{16}\b"
)
_HARMLESS = frozenset(("yes", "no", "true", "false", "none", "null"))


def is_secret(name: str) -> bool:
    """Whether a name is that of a secret, in snake_case, camelCase or with hyphens."""
    words = _words(name)
    return any(_SECRET.fullmatch(word) for word in words) or any(
        word in ("key", "keys") and _KEY_OF.fullmatch(before) for before, word in pairwise(words)
    )


def masked(value: Any, name: str = "") -> Any:
    """Return a setting, a param, or a mapping of them with its secrets masked, by name and in texts, at any depth."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name) and not (isinstance(value, int | float) and _is_measure(name)):
        return MASK if value not in ("", [], {}) else value
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list | tuple) else value


def masked_text(text: str) -> str:
    """Return a text without the secrets in it: logins of URLs, `password=…`, credentials of HTTP, keys, tokens."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "://" in text and "@" in text:
        text = _CHUNK.sub(lambda chunk: _without_login(chunk[0]), text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _BASIC.sub(_basic, text)
    return _TOKEN.sub(MASK, "".join(_mask_assigned(text)))


def scheme_only(url: str) -> str:
    """Return the scheme of a URL that cannot be parsed, or whose parts nobody needs: any other part may be a password."""
    scheme = _SCHEME.match(url)
    return f"{scheme[0]}…" if scheme is not None else "…"


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _is_measure(name: str) -> bool:
    return any(_MEASURE.fullmatch(word) for word in _words(name))


def _without_login(chunk: str) -> str:
    """Return a text without spaces with the logins of its URLs masked.

    A password may have an unquoted '/', '?', '#' or '@', so a login with a ':' before its first '/' ends at the last '@'.
    """
    begin, last, result = chunk.find("://"), chunk.rfind("@"), ""
    while -1 < begin < last:
        begin += 3
        authority = re.split(r"[/?#]", chunk[begin:], maxsplit=1)[0]
        end = last if ":" in authority else begin + authority.rfind("@") if "@" in authority else -1
        if end == -1:
            following = chunk.find("://", begin)
            following = len(chunk) if following == -1 else following
            result, chunk, last = result + chunk[:following], chunk[following:], last - following
            begin = chunk.find("://")
            continue
        hidden = chunk[begin:end].rpartition(":")[2]
        login = chunk[begin:end] if hidden and not hidden.strip("*") else MASK
        result, chunk, last = result + chunk[:begin] + login, chunk[end:], last - end
        begin = chunk.find("://")
    return result + chunk


def _basic(found: re.Match[str]) -> str:
    """Mask a login in Base64, and keep "Basic authentication"."""
    try:
        is_login = b":" in b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_")
    except ValueError:
        is_login = False
    return f"{found[1]} {MASK}" if is_login or not found[2].isalpha() else found[0]


def _mask_assigned(text: str) -> Iterator[str]:
    """Yield a text in pieces, with the values beside names of secrets masked: `name=value`, `"name": "value"`."""
    end = 0
    for found in _ASSIGNMENT.finditer(text):
        name, quote, sign = found.groups()
        is_prose = sign == ":" and not quote and not name.islower()  # "AuthError: …" and "TokenExpired: …" begin a sentence
        value = _VALUE.match(text, found.end()) if found.start() >= end and not is_prose and is_secret(name) else None
        if value is None:
            continue
        place = value.lastindex or 0
        bare = value[place]
        if bare.lower() in _HARMLESS or not bare.strip("*") or (bare.isdecimal() and _is_measure(name)):
            continue
        yield text[end : value.start(place)]
        yield MASK
        end = value.end(place)
    yield text[end:]


def unmasked(value: Any, stored: Any, *, argument: str) -> Any:
    """Return `value`, which a user edited in the form that `masked` returned, with the secrets of `stored` in their places.

    A secret is found by the names that lead to it. An element of a list has no name: it gets its secrets back only if it was
    not edited, in any order. Raises `InvalidValue` for a mask in any other place.
    """
    return _restored(value, {"": stored}, "", argument, argument)


def _restored(value: Any, among: Mapping[str, Any], name: str, where: str, argument: str) -> Any:
    stored = among.get(name)
    if not _has_mask(value):
        return value
    if name in among and _text(value) == _text(masked(stored, name)):
        return stored
    if isinstance(value, dict):
        inside = stored if isinstance(stored, Mapping) else {}
        return {key: _restored(item, inside, key, f"{where}[{key!r:.80}]", argument) for key, item in value.items()}
    if isinstance(value, list) and isinstance(stored, list):
        return _elements(value, stored, where, argument)
    why = "stands for a stored value, and none is stored in this place"
    raise InvalidValue(f"{where} has {MASK}, which {why}; write the value itself.", argument=argument, value=MASK)


def _elements(edited: list[Any], stored: list[Any], where: str, argument: str) -> list[Any]:
    """Return edited elements, each with a mask replaced by the known one that is masked alike; several alike in order."""
    by_mask: dict[str, list[Any]] = {}
    for item in stored:
        by_mask.setdefault(_text(masked(item)), []).append(item)
    counts = Counter(_text(element) for element in edited)
    result = []
    for index, element in enumerate(edited):
        key = _text(element)
        alike = by_mask.get(key, [])
        if not _has_mask(element):
            result.append(element)
        elif alike and counts[key] == len(alike):
            result.append(alike.pop(0))
            counts[key] -= 1
        elif alike and len({_text(one) for one in alike}) == 1:
            result.append(alike[0])
        else:
            why = "stands for a stored value, and the rest of this element was changed"
            message = f"{where}[{index}] has {MASK}, which {why}; write the value itself."
            raise InvalidValue(message, argument=argument, value=MASK)
    return result


def _has_mask(value: Any) -> bool:
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, Mapping):
        return any(_has_mask(item) for item in value.values())
    return isinstance(value, list) and any(_has_mask(item) for item in value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
