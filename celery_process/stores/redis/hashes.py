"""The hashes of a process and of a run, as the rows that the protocol knows; a field that is None is not in the hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from celery_process.instants import from_us, to_us
from celery_process.protocol import rules
from celery_process.protocol.entities import Head, Run
from celery_process.protocol.limits import Limits, Pace
from celery_process.protocol.model import LimitBroken, Overrides, Pause
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import RunState
from celery_process.stores.redis.keys import slot_at, slot_text
from celery_process.stores.redis.records import LETTERS, LISTS, add_up, decode_errors, decode_stats, encode_stats, instant

Fields = dict[str, str | None]


def read_head(fields: Mapping[str, str]) -> Head:
    """Return the process's own row."""
    paused = Pause(fields["note"], fields["paused_by"], from_us(int(fields["paused"]))) if "paused" in fields else None
    return Head(
        epoch=int(fields.get("epoch") or 0),
        last_slot=slot_at(fields["last"]) if "last" in fields else None,
        rule=fields.get("rule", ""),
        paused=paused,
        limits=read_limits(fields.get("limits")),
        pace=_read_pace(fields.get("pace")),
        aggregate=decode_stats(fields.get("aggregate")),
        swept_at=instant(fields.get("swept")),
        purge_due=fields.get("purge") == "1",
    )


def head_fields(head: Head) -> Fields:
    """Return what `read_head` reads."""
    paused, pace = head.paused, head.pace
    return {
        "epoch": str(head.epoch) if head.epoch else None,
        "last": None if head.last_slot is None else slot_text(head.last_slot),
        "rule": head.rule or None,
        "paused": None if paused is None else str(to_us(paused.at)),
        "note": None if paused is None else paused.note,
        "paused_by": None if paused is None else paused.by,
        "limits": None if head.limits is None else _limits_text(head.limits),
        "pace": None if pace is None else f"{to_us(pace.at)}\n{pace.items}\n{pace.awaited}",
        "aggregate": encode_stats(head.aggregate) or None,
        "swept": _us(head.swept_at),
        "purge": "1" if head.purge_due else None,
    }


def read_overrides(fields: Mapping[str, str | None]) -> Overrides:
    """Return the overrides in the hash of a process."""
    return Overrides(
        settings=fields.get("settings"),
        schedule=fields.get("schedule"),
        version=int(fields.get("sv") or 0),
        changed_at=instant(fields.get("changed")),
        by=fields.get("changed_by") or "",
    )


def override_fields(overrides: Overrides) -> Fields:
    """Return what `read_overrides` reads."""
    return {
        "settings": overrides.settings,
        "schedule": overrides.schedule,
        "sv": str(overrides.version),
        "changed": _us(overrides.changed_at),
        "changed_by": overrides.by,
    }


def read_limits(record: str | None) -> Limits | None:
    """Return the limits of a record."""
    if record is None:
        return None
    window, rate_limit, at, by = record.split("\n", 3)
    return Limits(int(window) if window else None, rate_limit or None, instant(at), by)


def _limits_text(limits: Limits) -> str:
    return f"{limits.max_in_flight or ''}\n{limits.rate_limit or ''}\n{_us(limits.at) or ''}\n{limits.by}"


def _read_pace(record: str | None) -> Pace | None:
    if record is None:
        return None
    at, items, awaited = record.split("\n", 2)
    return Pace(from_us(int(at)), int(items), awaited)


def read_run(fields: Mapping[str, str], pages_open: int = 0) -> Run:
    """Return a run; `pages_open` is not in its hash."""
    counts, stats = add_up(fields["counts"], fields["stats"], (fields.get("done_a"), fields.get("done_c")), ())
    lost, cur = fields.get("lost_names"), fields["cur"]
    number, expired = (int(fields.get(name) or 0) for name in ("repairs", "freed"))
    return Run(
        epoch=rules.epoch_of(fields["id"]),
        uuid=fields["uuid"],
        slot=slot_at(fields["slot"]),
        generation=int(fields["generation"]),
        started_at=from_us(int(fields["started"])),
        listed_before=from_us(int(fields["listed"])),
        settings_version=int(fields["settings_version"]),
        defaults=fields["defaults"],
        work_limit=_number(fields["work_limit"]),
        error_limit=_number(fields["error_limit"]),
        redrives=tuple(map(int, fields["redrives"].split())),
        state=RunState(fields["state"]),
        reason=fields["reason"],
        limit_broken=_read_limit_broken(fields.get("broken")),
        cursor=(LISTS[cur], fields["cursor"]) if cur else None,
        pages_made=int(fields["pages"]),
        pages_open=pages_open,
        progress_at=from_us(int(fields["progress"])),
        finished_at=instant(fields.get("finished")),
        notified_at=instant(fields.get("notified")),
        counts=counts,
        stats=stats,
        total_errors=int(fields["total_errors"]),
        errors=decode_errors(fields["errors"]),
        last_error_at=instant(fields["last_error"]),
        items_purged=fields.get("purged") == "1",
        repairs=Repairs(number, expired, tuple(lost.split("\n")) if lost else ()),
    )


def run_fields(run: Run) -> Fields:
    """Return what `read_run` reads."""
    on, name = run.cursor or (None, "")
    broken, repairs = run.limit_broken, run.repairs
    return {
        "id": run.id,
        "uuid": run.uuid,
        "slot": slot_text(run.slot),
        "generation": str(run.generation),
        "state": run.state.value,
        "reason": run.reason,
        "broken": None if broken is None else f"{broken.errors}\n{broken.tolerated}\n{broken.work or ''}",
        "defaults": run.defaults,
        "work_limit": "" if run.work_limit is None else str(run.work_limit),
        "error_limit": "" if run.error_limit is None else str(run.error_limit),
        "settings_version": str(run.settings_version),
        "redrives": " ".join(map(str, run.redrives)),
        "started": _us(run.started_at),
        "progress": _us(run.progress_at or run.started_at),
        "finished": _us(run.finished_at),
        "notified": _us(run.notified_at),
        "listed": _us(run.listed_before),
        "cur": "" if on is None else LETTERS[on],
        "cursor": name,
        "pages": str(run.pages_made),
        "counts": json.dumps(run.counts),
        "stats": encode_stats(run.stats),
        "total_errors": str(run.total_errors),
        "errors": json.dumps([[each.text, to_us(each.at), each.work] for each in run.errors]) if run.errors else "",
        "kept": str(len(run.errors)),
        "last_error": _us(run.last_error_at) or "",
        "purged": "1" if run.items_purged else None,
        "repairs": str(repairs.number) if repairs.number else None,
        "freed": str(repairs.expired) if repairs.expired else None,
        "lost_names": "\n".join(repairs.lost) or None,
        "lost_count": str(len(repairs.lost)) if repairs.lost else None,
    }


def _read_limit_broken(record: str | None) -> LimitBroken | None:
    if record is None:
        return None
    errors, tolerated, work = record.split("\n", 2)
    return LimitBroken(work or None, int(errors), int(tolerated))


def _number(text: str) -> int | None:
    return int(text) if text else None


def _us(at: datetime | None) -> str | None:
    return None if at is None else str(to_us(at))
