"""What is read of many processes at once: a script for each, many of them a round trip."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from celery_process.instants import from_us
from celery_process.protocol.model import NewestSlot
from celery_process.protocol.states import By
from celery_process.stores.redis.client import BATCH, Client
from celery_process.stores.redis.corrupt import read_each
from celery_process.stores.redis.keys import chunks, process_key
from celery_process.stores.redis.lines import read_entry


def now(client: Client) -> datetime:
    """Return the clock of the store; on a cluster, of one of its servers."""
    if client.clock is not None:
        return client.clock()
    seconds, microseconds = client.tried("now", lambda server: server.time())
    return from_us(int(seconds) * 1_000_000) + timedelta(microseconds=int(microseconds))


def schedules(client: Client) -> Mapping[str, str]:
    """Return the stored schedules by process."""
    return _fields(client, "schedules", client.schedules, "schedule")


def running(client: Client) -> tuple[str, ...]:
    """Return the names of the processes that have an open run."""
    return tuple(_fields(client, "running", client.started, "run"))


def _fields(client: Client, operation: str, among: str, field: str) -> dict[str, str]:
    """Return a field of the processes that have it, which a set names: a round trip for the set, one for many of them."""
    names = sorted(client.tried(operation, lambda server: server.smembers(among)))
    found: dict[str, str] = {}
    for chunk in chunks(names, BATCH):
        texts = client.read_fields(operation, [process_key(client.prefix, name) for name in chunk], field)
        found |= {name: text for name, text in zip(chunk, texts, strict=True) if text is not None}
    return found


def newest_slots(client: Client, processes: Collection[str]) -> Mapping[str, NewestSlot]:
    """Return the newest entry of each ledger that has one."""
    names = sorted(set(processes))
    calls = [(name, tuple(By)) for name in names]
    return read_each(client, "newest_slots", "newest", calls, lambda _, answer: _newest(*answer))


def _newest(slot: str, record: str, scheduled: int, paused: int) -> NewestSlot:
    entry = read_entry(slot, record)
    return NewestSlot(entry.slot, entry.end, entry.by, bool(scheduled), bool(paused))
