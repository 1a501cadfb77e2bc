"""The Lua scripts: read from the files beside this one, each put together once with what it includes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = "-- include: "


@dataclass(frozen=True, slots=True)
class Text:
    """What a server is sent, and the digest that it then knows it by."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Text:
        """Return a text with its digest."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Script:
    """One operation. Its first line lets Redis 7 refuse it whole when memory is out; Redis 6.2 takes it without."""

    name: str
    flagged: Text
    bare: Text


@cache
def script(name: str) -> Script:
    """Return a script by the name of its file."""
    first, second, *rest = _lines(name)
    if not first.startswith("#!lua") or not second.startswith(_INCLUDE):
        raise ValueError(f"{name}.lua begins with '#!lua' and a line of what it includes.")
    parts = [line for other in second.removeprefix(_INCLUDE).split() for line in _lines(other)]
    body = "\n".join([*parts, *rest])
    return Script(name, Text.of(f"{first}\n{body}"), Text.of(body))


def _lines(name: str) -> list[str]:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8").splitlines()
