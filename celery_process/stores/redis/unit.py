"""The rows of one process on Redis, as the steps of the protocol read and write them: one script writes, or nothing does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from celery_process.exceptions import RunNotFound, RunPurged, StoreUnavailable
from celery_process.instants import from_us, to_us
from celery_process.protocol import rules
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import Pause, RunStatus, SlotEntry
from celery_process.protocol.rows import Head, Rows, Run
from celery_process.protocol.states import RunState
from celery_process.stores.redis import reads
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import reading
from celery_process.stores.redis.keys import process_key, slot_at, slot_text
from celery_process.stores.redis.records import entry_record, instant, limits_text, read_entry, read_limits, read_run

Answer = TypeVar("Answer")

TRIES = 200
"""Times that a step is run. Each time but the last another caller's write was first."""


def atomically(client: Client, operation: str, process: str, step: Callable[[Rows], Answer]) -> Answer:
    """Run a step until its reads were consistent, whether it wrote or not, and return its answer."""
    for _ in range(TRIES):
        with reading(client, operation, process):
            unit = Unit(client, operation, process)
            try:
                result = step(unit)
            except (RunNotFound, RunPurged):
                if unit.commit():
                    raise
                continue
            if unit.commit():
                return result
    raise StoreUnavailable(
        f"{operation!r} of {process!r} was overtaken {TRIES} times at {client.address.shown}; try it again.",
        operation=operation,
    )


class Unit:
    """See `Rows`. What is read is no snapshot, so `commit` refuses where the version of the process has changed."""

    def __init__(self, client: Client, operation: str, process: str) -> None:
        self.client, self.operation, self.process = client, operation, process
        self._key = process_key(client.prefix, process)[:-1]
        self._words: list[str] = []
        self._begun: list[str] = []
        now, fields, self._open = client.call(operation, "head", process)
        self.now = from_us(int(now))
        self._version, self._epoch, self._last, self._rule, self._paused, self._purge, *more = fields
        _, self._changed, self._settings, self._newest, self._limits, self._pace = more

    def commit(self) -> bool:
        """Write all; return whether what was read still stands."""
        if not self._words:
            return bool((self._ask("HGET", "p", "v") or "") == self._version)
        if self._begun:
            # Before the run itself, which is in another slot: a name in this set means only that there may be one.
            self.client.tried(self.operation, lambda server: server.sadd(self.client.started, self.process))
        return bool(self.client.call(self.operation, "commit", self.process, self._version, *self._words))

    def head(self) -> Head:
        last = slot_at(self._last) if self._last else None
        return Head(int(self._epoch or 0), last, self._rule, bool(self._paused), self._purge == "1")

    def run_of_epoch(self, epoch: int) -> Run | None:
        return self._run(epoch)

    def run_of_uuid(self, uuid: str) -> Run | None:
        return self._run(self._ask("HGET", "uuids", uuid))

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        text = slot_text(slot)
        last = self._ask("ZREVRANGEBYLEX", "slot_runs", f"({text};", f"[{text}:", "LIMIT", 0, 1)
        return self._run(last[0].rpartition(":")[2]) if last else None

    def _run(self, epoch: int | str | None) -> Run | None:
        fields = self._ask("HGETALL", f"r:{epoch}") if epoch else None
        if not fields:
            return None
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
            items_purged=fields.get("purged") == "1",
        )

    def open_run(self) -> str | None:
        return self._open or None

    def status(self, run: Run) -> RunStatus:
        if self._begun:
            return read_run(self.process, (self._begun, ()))
        return reads.run(self.client, self.process, run.id)

    def settings_version(self) -> int:
        return int(self._settings or 0)

    def changed_since(self, at: datetime) -> bool:
        return any(when is not None and when >= at for when in (instant(self._changed), instant(self._newest)))

    def active_works(self) -> int:
        return int(self._ask("ZCARD", "active"))

    def entry(self, slot: datetime) -> SlotEntry | None:
        record = self._ask("HGET", "ledger", slot_text(slot))
        return read_entry(slot_text(slot), record) if record else None

    def last_entry_before(self, slot: datetime) -> datetime | None:
        found = self._ask("ZREVRANGEBYLEX", "slots", f"({slot_text(slot)}", "-", "LIMIT", 0, 1)
        return slot_at(found[0]) if found else None

    def entries(self) -> int:
        return int(self._ask("ZCARD", "slots"))

    def begin_run(self, run: Run, last_slot: datetime) -> None:
        at, slot = to_us(self.now), slot_text(run.slot)
        fields = {
            "id": run.id,
            "uuid": run.uuid,
            "slot": slot,
            "generation": run.generation,
            "state": run.state,
            "reason": "",
            "defaults": run.defaults,
            "work_limit": "" if run.work_limit is None else run.work_limit,
            "error_limit": "" if run.error_limit is None else run.error_limit,
            "settings_version": run.settings_version,
            "redrives": " ".join(map(str, run.redrives)),
            "started": at,
            "progress": at,
            "listed": to_us(run.listed_before),
            "cur": "a",
            "cursor": "",
            "pages": 0,
            "open": 0,
            "fold": 0,
            "counts": "{}",
            "stats": "",
            "total_errors": 0,
            "errors": "",
            "kept": 0,
            "last_error": "",
        }
        self._begun = [str(text) for pair in fields.items() for text in pair]
        self._write("HSET", "p", "epoch", run.epoch, "last", slot_text(last_slot), "run", run.epoch)
        self._write("HSET", f"r:{run.epoch}", *self._begun)
        self._write("ZADD", "runs", run.epoch, run.epoch)
        self._write("ZADD", "with_items", run.epoch, run.epoch)
        self._write("HSET", "uuids", run.uuid, run.epoch)
        self._write("ZADD", "slot_runs", 0, f"{slot}:{run.generation:010d}:{run.epoch}")

    def enter(self, entry: SlotEntry) -> None:
        self._write("ZADD", "slots", 0, slot_text(entry.slot))
        self._write("HSET", "ledger", slot_text(entry.slot), entry_record(entry))

    def follow(self, rule: str) -> None:
        self._write("HSET", "p", "rule", rule)

    def make_purge_due(self) -> None:
        self._write("HSET", "p", "purge", "1")

    def set_pause(self, pause: Pause | None) -> None:
        if pause is None:
            self._write("HDEL", "p", "paused", "note", "paused_by")
        else:
            self._write("HSET", "p", "paused", to_us(pause.at), "note", pause.note, "paused_by", pause.by)

    def limits(self) -> Limits | None:
        return read_limits(self._limits) if self._limits else None

    def set_limits(self, limits: Limits | None) -> None:
        if limits is None:
            self._write("HDEL", "p", "limits")
        else:
            self._write("HSET", "p", "limits", limits_text(limits))

    def await_nobody(self) -> None:
        if self._pace:
            self._write("HSET", "p", "pace", self._pace.rpartition("\n")[0] + "\n")

    def _ask(self, command: str, key: str, *words: Any) -> Any:
        asked = (self._key + key, *words)
        return self.client.tried(self.operation, lambda server: server.execute_command(command, *asked), self.process)

    def _write(self, *words: Any) -> None:
        self._words += [str(len(words)), *map(str, words)]


def _number(text: str) -> int | None:
    return int(text) if text else None
