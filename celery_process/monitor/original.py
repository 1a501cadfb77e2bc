"""A process as the original shows it: the proto JSON of its message `Process`, by the mapping of the protocol's words.

Field names and types are those of proto/process/v1/process.proto (healthcare-federated-access-services, Apache-2.0).
As in all proto JSON, 64-bit integers are strings, and fields without a value are absent. Params have two maps there, of
integers and of strings; any other value is stored as its JSON text in the map of strings. A crontab is no duration and is
absent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery_process.monitor.secrets import Fact, Reader, mask_for
from celery_process.process import Process
from celery_process.protocol.model import ErrorEntry, RunStatus, Stats, WorkInfo, WorkStatus
from celery_process.protocol.states import RunState, WorkList
from celery_process.stores.base import Store

LIMIT = 1_000
"""How many items of each list one document has by default."""
NEXT = "next"
"""The one key that the original lacks: present only where a list is cut, with the name after which to continue."""

PAGE = 500
_INT64 = range(-(2**63), 2**63)


def document(
    store: Store,
    process: Process,
    *,
    limit: int | None = LIMIT,
    after: str = "",
    most: int | None = None,
    reader: Reader = Reader.EXPORT,
    sees: Collection[Fact] = tuple(Fact),
) -> dict[str, Any]:
    """Return a process as a `Process` message, as a reader sees it, without the facts that are not in `sees`.

    Each list has at most `limit` items (None: all), in name order, with names after `after`; together they have about
    `most` bytes of JSON. Where a list was cut, the key "next" has the name to pass as `after` for the following items; a
    document without that key is complete from `after` on.
    """
    stored = store.process(process.name)
    state = mask_for(process.state_of(stored), reader)
    whole: dict[str, Any] = {
        "processName": process.name,
        "instance": state.run.id.partition("-")[2] if state.run else None,
        "scheduleFrequency": duration(state.schedule_frequency),
        "settings": params(state.settings) if Fact.SETTINGS in sees else None,
        "settingsTime": timestamp(stored.overrides.changed_at),
        "processStatus": _run(state.run, errors=Fact.ERRORS in sees) if state.run else None,
        "aggregateStats": dict(state.aggregate_stats),
    }
    if Fact.NAMES in sees:
        found = {on: mask_for(_items(store, process.name, on, after, limit), reader) for on in WorkList}
        whole |= _lists(found, limit, after, most)
    return _present(whole)


def _lists(found: Mapping[WorkList, list[WorkInfo]], limit: int | None, after: str, most: int | None) -> dict[str, Any]:
    """Return the three lists, all of them up to the same name where one of them is cut."""
    names = {WorkList.ACTIVE: "activeWork", WorkList.CLEANUP: "cleanupWork", WorkList.DROPPED: "droppedWork"}
    lists: dict[str, Any] = {name: {} for name in names.values()}
    cut = [items[limit].name for items in found.values() if limit is not None and len(items) > limit]
    beyond, size, last = min(cut, default=None), 0, after
    for item in sorted((item for items in found.values() for item in items), key=lambda item: item.name):
        message = _work(item) if item.on is WorkList.ACTIVE else timestamp(item.listed_at)
        size += len(item.name) + len(json.dumps(message)) if most is not None else 0
        if item.name == beyond or (most is not None and size > most and last != after):
            return {**lists, NEXT: last}
        lists[names[item.on]][item.name] = message
        last = item.name
    return lists


def timestamp(instant: datetime | None) -> str | None:
    """Return an instant as proto JSON writes it: UTC with a Z, and 0, 3 or 6 digits of a second."""
    if instant is None:
        return None
    instant = instant.astimezone(UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}{_fraction(instant.microsecond)}Z"


def duration(value: object) -> str | None:
    """Return a timedelta as proto JSON writes it, such as "3600s"; None for a schedule that is no duration."""
    if not isinstance(value, timedelta):
        return None
    whole = value // timedelta(seconds=1)
    return f"{whole}{_fraction(value.microseconds)}s"


def params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return params or settings as a `Params` message."""
    whole = {name: value for name, value in values.items() if _is_int64(value)}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in values.items()
        if name not in whole
    }
    return _present(
        {"intParams": {name: str(value) for name, value in whole.items()} or None, "stringParams": texts or None}
    )


def fits(value: object) -> bool:
    """Whether a value of params keeps its type in the message, and does not become a text."""
    return isinstance(value, str) or _is_int64(value)


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _items(store: Store, process: str, on: WorkList, after: str, limit: int | None) -> list[WorkInfo]:
    """Return up to one item more than the limit; the extra one shows that the list continues."""
    found: list[WorkInfo] = []
    while limit is None or len(found) <= limit:
        size = PAGE if limit is None else min(PAGE, limit + 1 - len(found))
        page = store.works(process, on=on, after=after, limit=size)
        found.extend(page)
        if len(page) < size:
            break
        after = page[-1].name
    return found


def _work(item: WorkInfo) -> dict[str, Any]:
    status = item.status
    return {
        "modified": timestamp(item.changed_at),
        "params": params(item.params),
        "status": _status(status, status.state.value, progress_at=status.finished_at or status.started_at),
    }


def _run(run: RunStatus, *, errors: bool) -> dict[str, Any]:
    state = RunState.ACTIVE if run.state.is_open else run.state
    message = _status(run, state.value, progress_at=run.progress_at)
    return message if errors else {name: value for name, value in message.items() if name != "errors"}


def _status(status: RunStatus | WorkStatus, state: str, *, progress_at: datetime | None) -> dict[str, Any]:
    stats: Stats = status.stats
    return _present(
        {
            "startTime": timestamp(status.started_at),
            "progressTime": timestamp(progress_at),
            "finishTime": timestamp(status.finished_at),
            "lastErrorTime": timestamp(status.last_error_at),
            "stats": dict(stats),
            "errors": [_error(error) for error in status.errors],
            "totalErrors": str(status.total_errors),
            "state": state,
        }
    )


def _error(error: ErrorEntry) -> dict[str, Any]:
    return _present({"time": timestamp(error.at), "text": error.text})


def _fraction(microseconds: int) -> str:
    if not microseconds:
        return ""
    return f".{microseconds // 1000:03}" if microseconds % 1000 == 0 else f".{microseconds:06}"


def _present(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value is not None}
