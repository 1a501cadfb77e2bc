"""One step of the protocol on Redis: read, decide in Python, and write by one script, if what was read still stands.

What is read at once is of one moment, and each later read has to find the version of the process as the first one did. So
an answer, or an error, that no write follows is of the moment of the last read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from celery_process.instants import from_us
from celery_process.stores.redis.client import Client

Words = Sequence[object]


class OvertakenError(Exception):
    """Another caller wrote what the step has read."""


class Moment:
    """What the reads of one step have in common: the time and the version of the process at the first of them."""

    def __init__(self, client: Client, operation: str, process: str) -> None:
        self.client, self.operation, self.process = client, operation, process
        self.version = ""
        self._now: datetime | None = None

    @property
    def begun(self) -> bool:
        """Whether anything was read."""
        return self._now is not None

    @property
    def now(self) -> datetime:
        """The store's time."""
        assert self._now is not None
        return self._now

    def ask(self, *reads: Words) -> list[Any]:
        """Return the answers of reads, all of one moment; see `read.lua`."""
        now, version, answers = self.client.call(self.operation, "read", self.process, *_flat(reads))
        if self._now is None:
            self._now, self.version = from_us(int(now)), version
        elif version != self.version:
            raise OvertakenError
        return list(answers)

    def add(self, key: str) -> None:
        """Add the process to a set of many processes, which is in another slot than its rows."""
        self.client.tried(self.operation, lambda server: server.sadd(key, self.process))

    def commit(self, groups: Sequence[Words], *, counts: bool) -> None:
        """Write, if the conditions hold; see `commit.lua`. `counts`: what is written makes a new version of the process."""
        name = "delete" if self.operation == "purge" else "commit"
        if not self.client.call(self.operation, name, self.process, int(counts), *_flat(groups)):
            raise OvertakenError


def _flat(groups: Sequence[Words]) -> list[str]:
    return [str(word) for group in groups for word in (len(group), *group)]
