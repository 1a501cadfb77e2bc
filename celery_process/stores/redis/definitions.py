"""What callers write: registrations and overrides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from celery_process.exceptions import CannotJoin, ProcessError, SettingsChanged, StoreUnavailable
from celery_process.instants import to_us
from celery_process.jsontext import encode
from celery_process.protocol import rules
from celery_process.protocol.model import StoredProcess, WorkInfo
from celery_process.protocol.states import WorkList
from celery_process.stores.redis import reads
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.keys import CHUNK, chunks, slot_text
from celery_process.stores.redis.records import LETTERS, encode_stats, limits_text

BYTES = 512 * 1024
"""Params that one script takes at most."""


def refuse_using(using: Any, shown: str) -> None:
    """Raise `CannotJoin` for a transaction: Redis cannot be part of one."""
    if using is not None:
        raise CannotJoin(
            f"{shown} cannot join a transaction of a database; leave out using=, and call after your commit: an on-commit "
            "hook, such as Django's transaction.on_commit or SQLAlchemy's after_commit event.",
            using=using,
        )


def register(client: Client, process: str, works: Mapping[str, str]) -> tuple[str, ...]:
    """Put names on the active list, where that or their params are new; return those that changed."""
    changed: list[str] = []
    for chunk in _by_size(works):
        pairs = [text for name in chunk for text in (name, works[name])]
        changed += client.call("register", "list", process, LETTERS[WorkList.ACTIVE], *pairs)
    return tuple(changed)


def _by_size(works: Mapping[str, str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for name in sorted(works):
        if chunk and (len(chunk) == CHUNK or size + len(works[name]) > BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += len(works[name])
    if chunk:
        yield chunk


def unregister(client: Client, process: str, names: Collection[str]) -> tuple[str, ...]:
    """Put names on the cleanup list, unless they are on it or dropped; return those that changed."""
    changed: list[str] = []
    for chunk in chunks(sorted(set(names))):
        changed += client.call("unregister", "list", process, LETTERS[WorkList.CLEANUP], *chunk)
    return tuple(changed)


def update_settings(
    client: Client, process: str, *, settings: str | None, schedule: str | None, by: str, expected_version: int | None
) -> int:
    """Replace the overrides that are not None; return the version, or raise `SettingsChanged`."""
    if schedule is not None:
        # Before the schedule itself, which is in another slot: a name in this set means only that there may be one.
        client.tried("update_settings", lambda server: server.sadd(client.schedules, process))
    expected = "" if expected_version is None else expected_version
    given = [part for text in (settings, schedule) for part in (int(text is not None), text or "")]
    refused, version = client.call("update_settings", "settings", process, expected, by, *given)
    if refused:
        raise SettingsChanged(
            f"The settings of {process!r} are at version {version}, not {expected_version}; read them again.",
            process=process,
            expected=expected_version,
            found=version,
        )
    return int(version)


def restore(client: Client, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool) -> None:
    """Write what another store had: the process with the first items, then the others, a script for each many."""
    given, pause = stored.overrides, stored.paused
    if given.schedule is not None:
        client.tried("restore", lambda server: server.sadd(client.schedules, process))
    fields = {
        "epoch": stored.epoch or "",
        "last": "" if stored.last_slot is None else slot_text(stored.last_slot),
        "aggregate": encode_stats(stored.aggregate_stats),
        "paused": "" if pause is None else to_us(pause.at),
        "note": "" if pause is None else pause.note,
        "paused_by": "" if pause is None else pause.by,
        "sv": given.version,
        "changed": "" if given.changed_at is None else to_us(given.changed_at),
        "changed_by": given.by,
        "limits": "" if stored.limits is None else limits_text(stored.limits),
    }
    texts = [part for text in (given.settings, given.schedule) for part in (int(text is not None), text or "")]
    items = {work.name: work for work in works}
    params = {name: encode(work.params) for name, work in items.items()}
    for chunk in list(_by_size(params)) or [[]]:
        rows = [
            part
            for name in chunk
            for part in (
                name,
                LETTERS[items[name].on],
                to_us(items[name].listed_at),
                to_us(items[name].changed_at),
                params[name],
            )
        ]
        if client.call("restore", "restore", process, int(force), *fields.values(), *texts, *rows):
            raise _run_open(client, process)


def _run_open(client: Client, process: str) -> ProcessError:
    run = reads.process(client, process, live=False).run
    if run is None or not run.state.is_open:
        return StoreUnavailable(f"A run of {process!r} was open and has just ended; restore again.", operation="restore")
    return rules.run_open(process, run)
