"""What a step changed, as the words of `commit.lua`: conditions, without which nothing is written, and commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from celery_process.instants import to_us
from celery_process.protocol.entities import Head, Run, Work
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Row
from celery_process.protocol.states import WorkList
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.hashes import Fields, head_fields, override_fields, run_fields
from celery_process.stores.redis.keys import slot_text
from celery_process.stores.redis.lines import entry_record, version_record, work_record
from celery_process.stores.redis.moment import Words

R = TypeVar("R", bound=Row)

WIDEST = 2_000
"""Words of one command; Lua takes some thousands."""
_NEW_RUN = {"open": "0", "fold": "0"}
"""Fields that the scripts alone keep: items that are open, and pages that were folded."""


class Commit:
    """`hashes`: the runs as they were read; `works`: how their records begin; `versions`: how many the history has.

    A row that scripts write without a new version of the process has a condition of its own.
    """

    def __init__(self, hashes: Mapping[int, Mapping[str, str]], works: Mapping[str, str], versions: int) -> None:
        self.counts = False
        self._hashes, self._known, self._versions = hashes, works, versions
        self._groups: dict[tuple[str, str], list[str]] = {}
        self._last: list[Words] = []
        self._sets: set[str] = set()

    def groups(self, version: str, *, relies: bool) -> list[Words]:
        """Return all groups of words; with `relies` or a new version the old one is a condition."""
        first: list[Words] = [("IS", "p", "v", version)] if relies or self.counts else []
        return [*first, *(words for key, words_of in self._groups.items() for words in _cut(key, words_of)), *self._last]

    def beforehand(self, client: Client) -> list[str]:
        """Return the keys of sets that the process has to be in before: a name in them means only that there may be more."""
        keys = {"schedules": client.schedules, "started": client.started}
        return [keys[name] for name in sorted(self._sets)]

    def add(self, change: Change) -> None:
        """Add what changed of one row."""
        row = change.row
        self.counts = self.counts or not isinstance(row, Work)
        match row:
            case Head():
                self._head(*_both(change, Head))
            case Overrides():
                self._override(*_both(change, Overrides))
            case Work():
                self._work(*_both(change, Work))
            case Run():
                self._run(*_both(change, Run))
            case SlotEntry(slot=slot):
                self._entry(slot_text(slot), cast("SlotEntry | None", change.new))
            case _:
                raise NotImplementedError(f"Scripts write a {type(row).__name__} in place of steps.")

    def _put(self, command: str, key: str, *words: object) -> None:
        self._groups.setdefault((command, key), []).extend(map(str, words))

    def _fields(self, key: str, old: Fields, new: Fields) -> list[str]:
        """Set and delete what differs; return the names of the fields."""
        changed = [field for field in new if new[field] != old.get(field)]
        for field in changed:
            text = new[field]
            self._put(*(("HDEL", key, field) if text is None else ("HSET", key, field, text)))
        return changed

    def _head(self, old: Head | None, new: Head | None) -> None:
        assert old is not None
        assert new is not None
        before = head_fields(old)
        if "pace" in self._fields("p", before, head_fields(new)):
            self._put("IS", "p", "pace", before["pace"] or "")

    def _override(self, old: Overrides | None, new: Overrides | None) -> None:
        assert old is not None
        assert new is not None
        self._fields("p", override_fields(old), override_fields(new))
        if new.schedule is not None:
            self._sets.add("schedules")
        if new.version > old.version:
            for kept in (old, new) if old.version and not self._versions else (new,):
                self._put("ZADD", "versions", kept.version, version_record(kept))
            self._last.append(("ZREMRANGEBYSCORE", "versions", "-inf", new.version - MAX_VERSIONS))

    def _work(self, old: Work | None, new: Work | None) -> None:
        work = new or old
        assert work is not None
        self._put("BEGINS", "w", work.name, self._known[work.name])
        if old is not None and (new is None or new.on is not old.on):
            self._put("ZREM", old.on.value, old.name)
            if old.on is WorkList.DROPPED:
                self._put("ZREM", "dropped_at", old.name)
        if new is None:
            self._put("HDEL", "w", work.name)
            self._put("HDEL", "s", work.name)
            return
        self._put("HSET", "w", new.name, work_record(new))
        if old is None or new.on is not old.on:
            self._put("ZADD", new.on.value, 0, new.name)
        if new.on is WorkList.DROPPED:
            self._put("ZADD", "dropped_at", to_us(new.listed_at), new.name)
        newest = max(new.version, int(self._groups.get(("MAX", "p"), ("", "0"))[1]))
        self._groups["MAX", "p"] = ["newest", str(newest)]

    def _run(self, old: Run | None, new: Run | None) -> None:
        run = new or old
        assert run is not None
        key, index = f"r:{run.epoch}", f"{slot_text(run.slot)}:{run.generation:010d}:{run.epoch}"
        if old is None:
            self._sets.add("started")
            self._fields(key, {}, {**run_fields(run), **_NEW_RUN})
            self._put("HSET", "p", "run", run.epoch)
            self._put("HSET", "uuids", run.uuid, run.epoch)
            self._put("ZADD", "runs", run.epoch, run.epoch)
            self._put("ZADD", "slot_runs", 0, index)
            return
        self._put("IS", key, "id", old.id)
        if new is None:
            self._put("HDEL", "uuids", run.uuid)
            self._put("ZREM", "runs", run.epoch)
            self._put("ZREM", "slot_runs", index)
            self._put("ZREM", "untold", run.epoch)
            for letter in "rigo":
                self._put("UNLINK", f"{letter}:{run.epoch}")
            return
        read = self._hashes[run.epoch]
        for field in self._fields(key, run_fields(old), run_fields(new)):
            self._put("IS", key, field, read.get(field, ""))
        if new.notified_at is not None:
            self._put("ZREM", "untold", run.epoch)

    def _entry(self, slot: str, entry: SlotEntry | None) -> None:
        if entry is None:
            self._put("ZREM", "slots", slot)
            self._put("HDEL", "ledger", slot)
        else:
            self._put("ZADD", "slots", 0, slot)
            self._put("HSET", "ledger", slot, entry_record(entry))


def _both(change: Change, kind: type[R]) -> tuple[R | None, R | None]:
    assert isinstance(change.row, kind)
    return cast("R | None", change.old), cast("R | None", change.new)


def _cut(key: tuple[str, str], words: list[str]) -> Iterator[Words]:
    for first in range(0, len(words) or 1, WIDEST):
        yield (*key, *words[first : first + WIDEST])
