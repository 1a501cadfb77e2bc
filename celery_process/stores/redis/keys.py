"""Names: which run is meant, and how a slot and a token are written inside keys and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

from celery_process.exceptions import ConfigurationError
from celery_process.instants import from_us, to_us
from celery_process.protocol import rules

Item = TypeVar("Item")

CHUNK = 500
"""Names that one script goes through at most, so that none runs for more than a few milliseconds."""
_YEAR_ONE = 10**17
"""Added to the microseconds of a slot, so that the digits of all years sort as the slots do."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """A process and an epoch, with the id that the run must have."""

    process: str
    epoch: int
    id: str

    @classmethod
    def of(cls, process: str, run: str) -> RunKey:
        """Return the key inside a run id; epoch 0, which no run has, for what is not one."""
        return cls(process, rules.epoch_of(run), run)


@lru_cache(maxsize=1_000)
def process_key(prefix: str, process: str) -> str:
    """Return the key of a process's hash. All its keys have the hash tag in common, so that scripts work on a cluster."""
    return f"{prefix}{{{quote(process, safe='')}}}:p"


def schedules_key(prefix: str) -> str:
    """Return the key of the set of processes that may have a stored schedule."""
    return f"{prefix}schedules"


def started_key(prefix: str) -> str:
    """Return the key of the set of processes that may have an open run: those that ever had one."""
    return f"{prefix}started"


def deployment_key(prefix: str) -> str:
    """Return the key of the id of the deployment that the keys of a prefix are kept for."""
    return f"{prefix}deployment"


def check_prefix(prefix: str) -> str:
    """Return a prefix that leaves the hash tag of a key to its process."""
    if "{" in prefix or "}" in prefix:
        raise ConfigurationError(
            f"process_key_prefix {prefix!r:.80} has a brace, which would decide about the slot of each key; leave it out.",
            setting="process_key_prefix",
            value=prefix,
        )
    return prefix


def slot_text(slot: datetime) -> str:
    """Return a slot as digits that sort as slots do."""
    return f"{to_us(slot) + _YEAR_ONE:018d}"


def slot_at(text: str) -> datetime:
    """Return the slot that `slot_text` wrote."""
    return from_us(int(text) - _YEAR_ONE)


def token_text(token: str) -> str:
    """Return a caller's token as one that cannot end a line of a record."""
    return token if token.isascii() and token.isalnum() else quote(token, safe="")


def chunks(items: Iterable[Item], most: int = CHUNK) -> Iterator[list[Item]]:
    """Return the items in lists of at most `most`."""
    rest = iter(items)
    while chunk := list(islice(rest, most)):
        yield chunk
