"""Registrations, a script for each chunk: as a step of the protocol a name costs 2.5 times as much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from celery_process.protocol.states import WorkList
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.keys import CHUNK, chunks
from celery_process.stores.redis.records import LETTERS

BYTES = 512 * 1024
"""Params that one script takes at most."""


def register(client: Client, process: str, works: Mapping[str, str]) -> tuple[str, ...]:
    """Put names on the active list, where that or their params are new; return those that changed."""
    changed: list[str] = []
    for chunk in by_size(works):
        pairs = [text for name in chunk for text in (name, works[name])]
        changed += client.call("register", "list", process, LETTERS[WorkList.ACTIVE], *pairs)
    return tuple(changed)


def unregister(client: Client, process: str, names: Collection[str]) -> tuple[str, ...]:
    """Put names on the cleanup list, unless they are on it or dropped; return those that changed."""
    changed: list[str] = []
    for chunk in chunks(sorted(set(names))):
        changed += client.call("unregister", "list", process, LETTERS[WorkList.CLEANUP], *chunk)
    return tuple(changed)


def by_size(params: Mapping[str, str]) -> Iterator[list[str]]:
    """Return names in order, in lists whose params one script takes."""
    chunk: list[str] = []
    size = 0
    for name in sorted(params):
        if chunk and (len(chunk) == CHUNK or size + len(params[name]) > BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += len(params[name])
    if chunk:
        yield chunk
