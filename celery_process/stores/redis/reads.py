"""What people and schedules read. One answer is one script, so it sees one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from celery_process.exceptions import WorkNotFound
from celery_process.instants import from_us
from celery_process.protocol import rules
from celery_process.protocol.model import NewestSlot, Overrides, RunStatus, SlotEntry, StoredProcess, WorkInfo
from celery_process.protocol.states import By, WorkList
from celery_process.stores.redis.client import BATCH, Client
from celery_process.stores.redis.corrupt import read_each, readable
from celery_process.stores.redis.keys import CHUNK, RunKey, chunks, process_key, slot_at, slot_text
from celery_process.stores.redis.records import (
    LETTERS,
    decode_stats,
    instant,
    pairs,
    read_entry,
    read_limits,
    read_overrides,
    read_pause,
    read_run,
    read_version,
    read_work,
)

RUNS = 50
"""Runs that one script shows at most."""
_OVERRIDES = ("settings", "schedule", "sv", "changed", "changed_by")


def now(client: Client) -> datetime:
    """Return the clock of the store; on a cluster, of one of its servers."""
    if client.clock is not None:
        return client.clock()
    seconds, microseconds = client.tried("now", lambda server: server.time())
    return from_us(int(seconds) * 1_000_000) + timedelta(microseconds=int(microseconds))


@readable
def process(client: Client, name: str, *, live: bool) -> StoredProcess:
    """Return what is stored of a process; an empty state, if nothing is."""
    flat, shown = client.call("process", "process", name, int(live))
    fields = pairs(flat)
    return StoredProcess(
        name=name,
        last_slot=slot_at(fields["last"]) if "last" in fields else None,
        paused=read_pause(fields),
        overrides=read_overrides(fields),
        run=read_run(name, shown) if shown else None,
        aggregate_stats=decode_stats(fields.get("aggregate")),
        limits=read_limits(fields.get("limits")),
        epoch=int(fields.get("epoch") or 0),
        swept_at=instant(fields.get("swept")),
    )


@readable
def overrides(client: Client, process: str) -> Overrides:
    """Return the stored overrides."""
    key = process_key(client.prefix, process)
    found = client.tried("overrides", lambda server: server.hmget(key, _OVERRIDES))
    return read_overrides(dict(zip(_OVERRIDES, found, strict=True)))


@readable
def settings_history(client: Client, process: str, *, limit: int) -> tuple[Overrides, ...]:
    """Return the versions of the overrides, newest first."""
    return tuple(map(read_version, client.call("settings_history", "versions", process, limit)))


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


@readable
def run(client: Client, process: str, run: str) -> RunStatus:
    """Return one run."""
    key = RunKey.of(process, run)
    shown = client.call("run", "run", process, key.epoch, run)
    if not shown:
        raise rules.run_not_found(process, run)
    return read_run(process, shown)


@readable
def runs(client: Client, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:
    """Return runs, newest first."""
    found: list[RunStatus] = []
    while len(found) < limit:
        most = min(RUNS, limit - len(found))
        shown = client.call("runs", "runs", process, "" if before is None else before, most)
        found += [read_run(process, one) for one in shown]
        if len(shown) < most:
            break
        before = found[-1].epoch
    return tuple(found)


@readable
def slots(client: Client, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:
    """Return the ledger's entries, newest first."""
    found: list[SlotEntry] = []
    while len(found) < limit:
        most = min(CHUNK, limit - len(found))
        texts, records = client.call("slots", "slots", process, "" if before is None else slot_text(before), most)
        found += [read_entry(slot, record) for slot, record in zip(texts, records, strict=True)]
        if len(texts) < most:
            break
        before = found[-1].slot
    return tuple(found)


def newest_slots(client: Client, processes: Collection[str]) -> Mapping[str, NewestSlot]:
    """Return the newest entry of each ledger that has one."""
    names = sorted(set(processes))
    calls = [(name, tuple(By)) for name in names]
    return read_each(client, "newest_slots", "newest", calls, lambda _, answer: _newest(*answer))


def _newest(slot: str, record: str, scheduled: int, paused: int) -> NewestSlot:
    entry = read_entry(slot, record)
    return NewestSlot(entry.slot, entry.end, entry.by, bool(scheduled), bool(paused))


@readable
def works(client: Client, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:
    """Return items of a list in name order."""
    found: list[WorkInfo] = []
    while len(found) < limit:
        most = min(CHUNK, limit - len(found))
        listed = _infos(client, "works", process, LETTERS[on], after, most)
        found += listed
        if len(listed) < most:
            break
        after = listed[-1].name
    return tuple(found)


@readable
def work(client: Client, process: str, name: str) -> WorkInfo:
    """Return one item."""
    found = _infos(client, "work", process, "", name, 1)
    if not found:
        raise WorkNotFound(
            f"{process!r} has no work item {name!r:.80}; register it, or list those it has with `works()`.",
            process=process,
            work=name,
        )
    return found[0]


def _infos(client: Client, operation: str, process: str, on: str, name: str, limit: int) -> list[WorkInfo]:
    names, works, statuses, items, run = client.call(operation, "works", process, on, name, limit)
    items = items or [None] * len(names)
    return [
        read_work(listed, record, status, item, run)
        for listed, record, status, item in zip(names, works, statuses, items, strict=True)
        if record is not None
    ]
