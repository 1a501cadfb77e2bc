"""The Lua scripts: read from the files beside this one, each put together once with what it includes.

The tables of transitions in `states` are generated from those in `protocol.states`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from celery_process.protocol.states import ITEM_TRANSITIONS, RUN_TRANSITIONS
from celery_process.stores.redis.records import STATES

_INCLUDE = "-- include: "
_GENERATED = "states"


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
    included = [line for other in second.removeprefix(_INCLUDE).split() for line in _lines(other)]
    parts = [line for line in included if not line.startswith(("#!lua", _INCLUDE))]
    body = "\n".join([*parts, *rest])
    return Script(name, Text.of(f"{first}\n{body}"), Text.of(body))


def _lines(name: str) -> list[str]:
    lines = files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8").splitlines()
    return [*_moves(), *lines] if name == _GENERATED else lines


def _moves() -> list[str]:
    """Return the tables of transitions, each as one text: a script makes no table of it at every call."""
    letters = {state: letter for letter, state in STATES.items()}
    items = [f"{letters[was]}>{letters[to]}" for was, following in ITEM_TRANSITIONS.items() for to in following]
    runs = [f"{was}>{to}" for was, following in RUN_TRANSITIONS.items() for to in following]
    return [f"local {name}_MOVES = ' {' '.join(moves)} '" for name, moves in (("ITEM", items), ("RUN", runs))]
