"""Exports processes of one store as lines of JSON, and imports such a document into another.

A document has, for each process, a line with what is stored of it, a line for each of its items, and a line that ends it:
so a document that was cut off is recognised. Runs, ledger and the items' last statuses are not exported. No function here
keeps more than a page in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from celery_process.checks import check_process_name, check_text, check_work_name
from celery_process.exceptions import InvalidValue, ProcessError, WorkNotFound, WrongState
from celery_process.instants import from_us, to_us
from celery_process.jsontext import decode, encode
from celery_process.protocol import rules
from celery_process.protocol.limits import Limits, check_rate, check_window
from celery_process.protocol.model import Overrides, Pause, StoredProcess, WorkInfo
from celery_process.protocol.states import WorkList
from celery_process.schedule.frequency import from_text
from celery_process.stores.base import Store

VERSION = 1
"""The version of documents; older ones can be imported, a newer one is refused."""
PAGE = 500

Line = tuple[int, dict[str, Any]]
Document = Callable[[], Iterable[str]]
"""Returns the lines of a document from its beginning, at every call."""
ProcessItems = tuple[StoredProcess, Iterator[WorkInfo]]
"""A process and its items."""


def export(store: Store, process: str) -> Iterator[str]:
    """Return the lines for a process. Raises `RunOpen`, since the stats of an open run would be missing."""
    stored = store.process(process, live=False)
    if stored.run is not None and stored.run.state.is_open:
        raise rules.run_open(process, stored.run)
    yield _line(
        celery_process=VERSION,
        process=process,
        epoch=stored.epoch,
        last_slot=_us(stored.last_slot),
        aggregate_stats=dict(stored.aggregate_stats),
        overrides={
            "settings": None if stored.overrides.settings is None else decode(stored.overrides.settings),
            "schedule": stored.overrides.schedule,
            "version": stored.overrides.version,
            "changed_at": _us(stored.overrides.changed_at),
            "by": stored.overrides.by,
        },
        limits=stored.limits
        and {
            "max_in_flight": stored.limits.max_in_flight,
            "rate_limit": stored.limits.rate_limit,
            "at": _us(stored.limits.at),
            "by": stored.limits.by,
        },
        paused=stored.paused and {"note": stored.paused.note, "by": stored.paused.by, "at": _us(stored.paused.at)},
    )
    count = 0
    for work in _works(store, process):
        count += 1
        yield _line(
            work=work.name,
            on=work.on.value,
            params=dict(work.params),
            changed_at=_us(work.changed_at),
            listed_at=_us(work.listed_at),
        )
    yield _line(end=process, works=count)


def load(store: Store, document: Document, *, force: bool = False) -> dict[str, int]:
    """Write a document into a store; return how many items of each process were written.

    All of it is checked before the first write. Raises `InvalidValue` for one that is not whole, `RunOpen`, and
    `WrongState` if the store has something newer, unless `force` replaces that. What only the store has stays.
    """
    return write(store, lambda: read(document()), force=force)


def write(store: Store, processes: Callable[[], Iterable[ProcessItems]], *, force: bool = False) -> dict[str, int]:
    """Write processes with their items into a store, as `load` does; `processes` is called twice."""
    for stored, works in processes():
        _refuse(store, stored, works, force=force)
    counts = {}
    for stored, works in processes():
        store.restore(stored.name, stored, (), force=force)
        counts[stored.name] = 0
        while page := list(islice(works, PAGE)):
            store.restore(stored.name, stored, page, force=force)
            counts[stored.name] += len(page)
    return counts


def read(lines: Iterable[str]) -> Iterator[ProcessItems]:
    """Yield each process of a document with its items; iterate over the items before the next process."""
    numbered = _numbered(lines)
    for number, line in numbered:
        version = line.get("celery_process")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise _invalid(number, f"is of version {version!r:.20} of the document, and this code reads up to {VERSION}")
        stored = _checked(number, line, _stored)
        yield stored, _items(numbered, stored.name)


def _refuse(store: Store, stored: StoredProcess, works: Iterator[WorkInfo], *, force: bool) -> None:
    process, present = stored.name, store.process(stored.name, live=False)
    if present.run is not None and present.run.state.is_open:
        raise rules.run_open(process, present.run)
    newer = [
        word
        for word, holds in (
            ("runs", present.epoch > stored.epoch),
            ("a slot", present.last_slot is not None and (stored.last_slot is None or present.last_slot > stored.last_slot)),
            ("limits", _newer(present.limits, stored.limits)),
            ("settings", rules.restored(present.overrides, stored.overrides) != stored.overrides),
        )
        if holds
    ]
    known = any(store.work_counts(process).values())
    for work in works:
        with suppress(WorkNotFound):
            if known and store.work(process, work.name).changed_at > work.changed_at:
                newer.append(f"the item {work.name!r:.80}")
                known = False  # the message names one; the others are checked for errors alone
    if newer and not force:
        raise WrongState(
            f"{process!r} has newer data in {store.url}: {', '.join(newer)}; nothing was written. With --force the "
            "document replaces them.",
            process=process,
        )


def _newer(present: Limits | None, imported: Limits | None) -> bool:
    return (
        present is not None
        and imported is not None
        and present.at is not None
        and (imported.at is None or present.at > imported.at)
    )


def _works(store: Store, process: str) -> Iterator[WorkInfo]:
    for on in WorkList:
        after = ""
        while page := store.works(process, on=on, after=after, limit=PAGE):
            yield from page
            after = page[-1].name


def _items(numbered: Iterator[Line], process: str) -> Iterator[WorkInfo]:
    for count, (number, line) in enumerate(numbered):
        if "end" in line:
            if (line["end"], line.get("works")) != (process, count):
                raise _invalid(number, f"does not end {process!r} and its {count} items")
            return
        yield _checked(number, line, _work)
    raise _invalid(0, f"ends before the items of {process!r} do: it was cut off")


def _numbered(lines: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict):
            raise _invalid(number, "is not an object of JSON")
        yield number, line


def _checked(number: int, line: dict[str, Any], build: Callable[[dict[str, Any]], Any]) -> Any:
    try:
        return build(line)
    except Exception as error:  # a wrong crontab raises one of no other class
        reason = str(error) if isinstance(error, ProcessError) else f"{type(error).__name__}: {error}"
        raise _invalid(number, f"cannot be read ({reason:.300})") from error


def _stored(line: dict[str, Any]) -> StoredProcess:
    overrides, paused = line["overrides"], line["paused"]
    if overrides["schedule"] is not None:
        from_text(overrides["schedule"], minimum=timedelta(0))
    return StoredProcess(
        name=check_process_name(line["process"]),
        last_slot=_instant(line["last_slot"]),
        paused=paused
        and Pause(
            check_text(paused["note"], argument="note"),
            check_text(paused["by"], argument="by"),
            from_us(_whole(paused["at"])),
        ),
        overrides=Overrides(
            settings=None if overrides["settings"] is None else encode(overrides["settings"], argument="settings"),
            schedule=overrides["schedule"],
            version=_whole(overrides["version"]),
            changed_at=_instant(overrides["changed_at"]),
            by=check_text(overrides["by"], argument="by"),
        ),
        limits=_limits(line.get("limits")),
        aggregate_stats={
            check_text(name, argument="stat"): _number(count) for name, count in line["aggregate_stats"].items()
        },
        epoch=_whole(line["epoch"]),
    )


def _limits(found: dict[str, Any] | None) -> Limits | None:
    if found is None:
        return None
    window, rate = found["max_in_flight"], found["rate_limit"]
    return Limits(
        max_in_flight=None if window is None else check_window(window),
        rate_limit=None if rate is None else check_rate(rate),
        at=_instant(found["at"]),
        by=check_text(found["by"], argument="by"),
    )


def _work(line: dict[str, Any]) -> WorkInfo:
    return WorkInfo(
        name=check_work_name(line["work"]),
        on=WorkList(line["on"]),
        params=decode(encode(line["params"])),
        changed_at=from_us(_whole(line["changed_at"])),
        listed_at=from_us(_whole(line["listed_at"])),
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f"{value!r:.40} is not a whole number from 0 on")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return value


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is not a whole number of microseconds")
    return from_us(value)


def _us(instant: datetime | None) -> int | None:
    return None if instant is None else to_us(instant)


def _line(**parts: Any) -> str:
    return json.dumps(parts, separators=(",", ":"), allow_nan=False)


def _invalid(number: int, fault: str) -> InvalidValue:
    where = f"Line {number} of the document" if number else "The document"
    return InvalidValue(f"{where} {fault}; nothing was written: export it again, whole.", argument="document", value=number)
