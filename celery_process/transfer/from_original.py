"""Reads the original's document, which `monitor.original` writes, into what a store restores.

Its field names and types are those of the original's message `Process` in proto JSON: 64-bit integers may be strings, a
duration is "3600s", an instant is RFC 3339. Its params are two maps, of integers and of strings, and become one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery_process.checks import check_process_name, check_text, check_work_name
from celery_process.exceptions import InvalidValue, ProcessError
from celery_process.jsontext import decode, encode
from celery_process.protocol.model import Overrides, StoredProcess, WorkInfo
from celery_process.protocol.states import WorkList
from celery_process.protocol.stats import Number
from celery_process.schedule.frequency import frequency

KEYS = frozenset(
    {
        "processName",
        "instance",
        "scheduleFrequency",
        "activeWork",
        "cleanupWork",
        "droppedWork",
        "settings",
        "settingsTime",
        "processStatus",
        "aggregateStats",
    }
)
"""The keys of the message; each may be missing."""
BY = "original"
"""Who stored the settings of such a document, as the history keeps it."""

_NOT_READ = {"instance": "which instance wrote it", "processStatus": "how the last run went"}
_LISTS = {"activeWork": WorkList.ACTIVE, "cleanupWork": WorkList.CLEANUP, "droppedWork": WorkList.DROPPED}
_DURATION = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?s")
_INTEGER = re.compile(r"-?\d{1,19}")
_INT64 = range(-(2**63), 2**63)
_EARLIEST = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
"""The time of a change for which the document has none."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as read: what is stored of the process, its items, and in `skipped` each key that was left out and why."""

    stored: StoredProcess
    works: tuple[WorkInfo, ...]
    skipped: tuple[str, ...]

    def pairs(self) -> Iterator[tuple[StoredProcess, Iterator[WorkInfo]]]:
        """Yield the process in the form that `lines.write` takes."""
        yield self.stored, iter(self.works)


def parsed(text: str) -> dict[str, Any] | None:
    """Return the message in a text, or None if the text is something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and KEYS & set(found) else None


def read(message: Mapping[str, Any], *, name: str = "") -> Reading:
    """Read a message; `name` is that of the process if the message has none.

    Raises `InvalidValue` with the place of the first value that cannot be read.
    """
    if "next" in message:
        raise InvalidValue(
            "The document is one page of a longer one, as its key 'next' says; nothing was written: get it whole.",
            argument="document",
            value=message["next"],
        )
    skipped = [f"{key} ({what})" for key, what in _NOT_READ.items() if key in message]
    skipped += [f"{key} (unknown)" for key in sorted(set(message) - KEYS)]
    settings_at = _at("settingsTime", _instant, message.get("settingsTime"))
    stored = _at("processName", lambda found: check_process_name(found or name), message.get("processName"))
    works = list(_works(message, settings_at or _EARLIEST, skipped))
    settings = _at("settings", partial(_params, place="settings", skipped=skipped), message.get("settings"))
    every = _at("scheduleFrequency", _schedule, message.get("scheduleFrequency"))
    changed = settings is not None or every is not None
    return Reading(
        StoredProcess(
            name=stored,
            overrides=Overrides(settings, every, 1, settings_at or _EARLIEST, BY) if changed else Overrides(),
            aggregate_stats=_at("aggregateStats", _stats, message.get("aggregateStats")),
        ),
        tuple(works),
        tuple(skipped),
    )


def _works(message: Mapping[str, Any], otherwise: datetime, skipped: list[str]) -> Iterator[WorkInfo]:
    seen: dict[str, str] = {}
    statuses = 0
    for key, on in _LISTS.items():
        for name, value in _at(key, _mapping, message.get(key)).items():
            place = f"{key}[{name!r:.60}]"
            if name in seen:
                raise _invalid(place, f"is on {seen[name]} as well; an item is on one list")
            seen[name] = key
            _at(place, check_work_name, name)
            if on is not WorkList.ACTIVE:
                at = _at(place, _instant, value) or otherwise
                yield WorkInfo(name, on, {}, changed_at=at, listed_at=at)
                continue
            work = _at(place, _mapping, value)
            statuses += "status" in work
            skipped += [f"{place}.{other} (unknown)" for other in sorted(set(work) - {"modified", "params", "status"})]
            at = _at(f"{place}.modified", _instant, work.get("modified")) or otherwise
            where = f"{place}.params"
            params = _at(where, partial(_params, place=where, skipped=skipped), work.get("params"))
            yield WorkInfo(name, on, decode(params), changed_at=at, listed_at=at)
    if statuses:
        skipped.append(f"activeWork[…].status of {statuses} items (how their last run went)")


def _at(place: str, build: Callable[[Any], Any], found: Any) -> Any:
    try:
        return build(found)
    except InvalidValue as error:
        if error.facts.get("argument") == "document":
            raise
        raise _invalid(place, f"cannot be read ({error})") from error
    except (ProcessError, ValueError, TypeError, OverflowError) as error:
        raise _invalid(place, f"cannot be read ({error!s:.300})") from error


def _mapping(found: Any) -> dict[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError(f"an object, not {found!r:.60}")
    return found


def _params(found: Any, place: str, skipped: list[str]) -> str | None:
    """Return both maps as one, encoded; None if there are none."""
    if found is None:
        return None
    message = _mapping(found)
    skipped += [f"{place}.{other} (unknown)" for other in sorted(set(message) - {"intParams", "stringParams"})]
    whole = {name: _int64(value) for name, value in _mapping(message.get("intParams")).items()}
    texts = _mapping(message.get("stringParams"))
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"stringParams[{name!r:.60}] is a string, not {value!r:.60}")
    if both := sorted(set(whole) & set(texts)):
        raise ValueError(f"{both[0]!r:.60} is in intParams and in stringParams")
    return encode({**whole, **texts})


def _int64(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        raise ValueError(f"an integer of 64 bits, not {value!r:.60}")
    return value


def _stats(found: Any) -> dict[str, Number]:
    return {check_text(name, argument="stat"): _number(value) for name, value in _mapping(found).items()}


def _number(value: Any) -> Number:
    number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"a finite number, not {value!r:.60}")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _schedule(found: Any) -> str | None:
    if found is None:
        return None
    match = _DURATION.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        raise ValueError(f"a duration such as '3600s', not {found!r:.60}")
    every = timedelta(seconds=int(match[1]), microseconds=int((match[2] or "").ljust(6, "0")[:6]))
    return frequency(every, minimum=timedelta(0)).text if every else None


def _instant(found: Any) -> datetime | None:
    if found is None:
        return None
    if not isinstance(found, str) or "T" not in found:
        raise ValueError(f"an instant such as '2026-01-31T12:00:00Z', not {found!r:.60}")
    instant = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", found))
    if instant.tzinfo is None:
        raise ValueError(f"an instant with a time zone, not {found!r:.60}")
    return max(instant.astimezone(UTC), _EARLIEST)


def _invalid(place: str, fault: str) -> InvalidValue:
    return InvalidValue(
        f"{place} of the document {fault}; nothing was written: correct it.", argument="document", value=place
    )
