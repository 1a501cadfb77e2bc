"""The format of stored data: records of lines for the store's own facts, JSON for a user's values.

The scripts read lines only. JSON is stored as it came, since Lua's own turns empty lists into dicts and long ints into
floats.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from celery_process.exceptions import InvalidValue
from celery_process.instants import from_us, to_us
from celery_process.jsontext import decode
from celery_process.protocol import rules
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import (
    ErrorEntry,
    ItemCounts,
    LimitBroken,
    Overrides,
    Pause,
    RunStatus,
    SlotEntry,
    Stats,
    WorkInfo,
    WorkStatus,
)
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ItemState, RunState, SlotEnd, WorkList, WorkState
from celery_process.protocol.stats import Number, add_stats
from celery_process.protocol.tokens import task_of
from celery_process.stores.redis.keys import slot_at, slot_text

LISTS = {"a": WorkList.ACTIVE, "c": WorkList.CLEANUP, "d": WorkList.DROPPED}
LETTERS = {on: letter for letter, on in LISTS.items()}
STATES = {
    "p": ItemState.PENDING,
    "c": ItemState.CLAIMED,
    "d": ItemState.DONE,
    "x": ItemState.CANCELLED,
    "l": ItemState.LOST,
    "r": ItemState.REMOVED,
}
OUTCOMES = {"C": WorkState.COMPLETED, "I": WorkState.INCOMPLETE, "A": WorkState.ABORTED}
OUTCOME_LETTERS = {outcome: letter for letter, outcome in OUTCOMES.items()}

FOLDED = 6
"""Lines that an item keeps once its page is folded: state, outcome, list, two that are empty, token."""
FAULTLESS = 15
"""Lines of an item that had no error."""
_REST = ("0", "", "", "", "", "", "", "")
"""Lines that a faultless item leaves out."""


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Return the dict that Redis answers as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def instant(text: str | None) -> datetime | None:
    """Return the instant in a field, which may be empty."""
    return from_us(int(text)) if text else None


def encode_stats(stats: Stats) -> str:
    """Return stats as JSON; empty for none, which most items have."""
    if not stats:
        return ""
    try:
        return json.dumps(dict(stats), separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise InvalidValue(
            f"Stats are finite numbers: {dict(stats)!r:.200} cannot be kept; count something else.",
            argument="stats",
            value=dict(stats),
        ) from error


def decode_stats(text: str | None) -> dict[str, Number]:
    """Return the stats that `encode_stats` wrote."""
    return dict(json.loads(text)) if text else {}


def decode_errors(text: str | None) -> tuple[ErrorEntry, ...]:
    """Return the entries of a list that the scripts put together: text, microseconds, item."""
    return tuple(ErrorEntry(said, from_us(at), work) for said, at, work in json.loads(text)) if text else ()


def add_up(
    counted: str, stats: str, done: Sequence[str | None], groups: Sequence[Any]
) -> tuple[Counter[str], dict[str, Number]]:
    """Return the counts and stats of a run with those of items.

    `done`: how many completed without stats, from each list, beside what was counted. `groups`: the first lines of alike
    items and their number, in turns.
    """
    counts, summed = Counter(json.loads(counted)), decode_stats(stats)
    plain = [f"d\nC\n{on}\n\n\n" for on in "ac"]
    found = [*zip(plain, (int(number or 0) for number in done), strict=True), *zip(groups[::2], groups[1::2], strict=True)]
    for lines, number in found:
        if number:
            name, added = _brought(lines)
            counts[name] += number
            add_times(summed, added, number)
    return counts, summed


def _brought(lines: str) -> tuple[str, dict[str, Number]]:
    """Return the field of `ItemCounts` and the stats of an item with these first lines; of an open one, with its state."""
    letter, *more = lines.split("\n")
    state = STATES[letter]
    if state.is_open:
        return rules.count_name(state, None), {}
    outcome, on, stats, run_stats, _ = more
    ended, totals = OUTCOMES.get(outcome), Totals(stats=decode_stats(stats), run_stats=decode_stats(run_stats))
    return rules.count_name(state, ended), rules.item_stats(state, ended, LISTS[on], totals)


def add_times(into: dict[str, Number], more: Mapping[str, Number], number: int) -> None:
    """Add stats a number of times; floats one by one, as a product rounds otherwise."""
    if all(isinstance(count, int) for count in (*more.values(), *(into.get(name, 0) for name in more))):
        add_stats(into, {name: count * number for name, count in more.items()})
    else:
        for _ in range(number):
            add_stats(into, more)


def read_run(process: str, shown: Sequence[Any]) -> RunStatus:
    """Return a run from its hash and the groups of the items on its open pages."""
    fields, groups = pairs(shown[0]), shown[1]
    done = (fields.get("done_a"), fields.get("done_c"))
    counts, stats = add_up(fields["counts"], fields["stats"], done, groups)
    return RunStatus(
        process=process,
        id=fields["id"],
        epoch=rules.epoch_of(fields["id"]),
        slot=slot_at(fields["slot"]),
        generation=int(fields["generation"]),
        state=RunState(fields["state"]),
        reason=fields["reason"],
        settings_version=int(fields["settings_version"]),
        started_at=from_us(int(fields["started"])),
        progress_at=from_us(int(fields["progress"])),
        finished_at=instant(fields.get("finished")),
        counts=ItemCounts(**counts),
        stats=stats,
        total_errors=int(fields["total_errors"]),
        errors=decode_errors(fields["errors"]),
        last_error_at=instant(fields["last_error"]),
        limit_broken=_read_limit_broken(fields.get("broken")),
    )


def _read_limit_broken(record: str | None) -> LimitBroken | None:
    if record is None:
        return None
    errors, tolerated, work = record.split("\n", 2)
    return LimitBroken(work or None, int(errors), int(tolerated))


def read_work(name: str, work: str, status: str | None, item: str | None, run: str) -> WorkInfo:
    """Return a registration with what people see of it; `item` is what the open run, `run`, has of it."""
    on, listed, version, params = work.split("\n", 3)
    return WorkInfo(
        name=name,
        on=LISTS[on],
        params=decode(params),
        changed_at=from_us(int(version)),
        listed_at=from_us(int(listed)),
        status=rules.status_seen(
            _live(version, item), _last(version, status), waits_in=run if item and item.startswith("p\n") else ""
        ),
    )


def _live(version: str, item: str | None) -> WorkStatus | None:
    line = item.split("\n") if item else []
    if len(line) <= FOLDED or line[7] != version or line[0] == "r":
        return None
    if len(line) == FAULTLESS:
        line += _REST
    state, outcome = STATES[line[0]], OUTCOMES.get(line[1])
    seen = WorkState.ACTIVE if state is ItemState.CLAIMED else rules.work_state(state, outcome)
    return WorkStatus(
        state=seen or WorkState.NEW,
        stats=decode_stats(line[3]),
        errors=decode_errors(line[22]),
        total_errors=int(line[15]),
        last_error_at=instant(line[16]),
        started_at=instant(line[11]),
        finished_at=instant(line[12]),
        attempt=int(line[8]),
        task_id=task_of(line[5]),
    )


def _last(version: str, status: str | None) -> WorkStatus | None:
    line = status.split("\n") if status else [""]
    if line[0] != version:
        return None
    return WorkStatus(
        state=OUTCOMES[line[2]],
        stats=decode_stats(line[6]),
        errors=decode_errors(line[9]),
        total_errors=int(line[7]),
        last_error_at=instant(line[8]),
        started_at=instant(line[4]),
        finished_at=instant(line[5]),
        attempt=int(line[3]),
        task_id=task_of(line[10] if len(line) > 10 else None),
    )


def read_entry(slot: str, record: str) -> SlotEntry:
    """Return an entry of the ledger."""
    end, at, run, after, by = record.split("\n", 4)
    return SlotEntry(slot_at(slot), SlotEnd(end), from_us(int(at)), by, run or None, slot_at(after) if after else None)


def entry_record(entry: SlotEntry) -> str:
    """Return the record that `read_entry` reads."""
    after = "" if entry.after is None else slot_text(entry.after)
    return "\n".join((entry.end, str(to_us(entry.at)), entry.run_id or "", after, entry.by))


def read_pause(fields: Mapping[str, str]) -> Pause | None:
    """Return the pause in the hash of a process."""
    return Pause(fields["note"], fields["paused_by"], from_us(int(fields["paused"]))) if "paused" in fields else None


def limits_text(limits: Limits) -> str:
    """Return the record of limits in the hash of a process."""
    at = "" if limits.at is None else to_us(limits.at)
    return f"{limits.max_in_flight or ''}\n{limits.rate_limit or ''}\n{at}\n{limits.by}"


def read_limits(record: str | None) -> Limits | None:
    """Return the limits of a record."""
    if record is None:
        return None
    window, rate_limit, at, by = record.split("\n", 3)
    return Limits(int(window) if window else None, rate_limit or None, instant(at), by)


def read_version(record: str) -> Overrides:
    """Return the overrides in a record of their history."""
    version, changed, settings, schedule, by = record.split("\n", 4)
    return Overrides(settings or None, schedule or None, int(version), instant(changed), by)


def read_overrides(fields: Mapping[str, str | None]) -> Overrides:
    """Return the overrides in the hash of a process."""
    return Overrides(
        settings=fields.get("settings"),
        schedule=fields.get("schedule"),
        version=int(fields.get("sv") or 0),
        changed_at=instant(fields.get("changed")),
        by=fields.get("changed_by") or "",
    )
