"""The rows of one process on Redis, as the protocol reads and writes them. See `unit` for what makes them of one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from celery_process.instants import to_us
from celery_process.protocol.entities import Head, Item, Page, Run, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry
from celery_process.protocol.rows import Change, Tally
from celery_process.protocol.states import WorkList
from celery_process.stores.redis.commit import Commit
from celery_process.stores.redis.hashes import read_head, read_overrides, read_run
from celery_process.stores.redis.keys import CHUNK, slot_text
from celery_process.stores.redis.lines import (
    read_entry,
    read_item,
    read_page,
    read_status,
    read_tally,
    read_version,
    read_work,
    work_beginning,
)
from celery_process.stores.redis.moment import Moment, OvertakenError
from celery_process.stores.redis.records import LETTERS, instant, pairs

BEGINS = ("claim_run", "redrive", "skip_slot")
"""Operations that ask for the newest slot, and as a rule are about a later one."""
LIVE = ("process", "run", "runs")
"""Operations that show the open pages of a run, which have to be of the run's own moment."""
RUNS = 50
"""Runs that one script returns at most."""
_COUNTS = tuple(("ZCARD", on.value) for on in WorkList)
_NEWEST = (("entries", "+", 1), ("ZREVRANGEBYLEX", "slot_runs", "+", "-", "LIMIT", 0, 1), ("ZCARD", "slots"), *_COUNTS)
_OVERRIDES = ("settings", "schedule", "sv", "changed", "changed_by")


class RedisRows:
    """See `Rows`. Without `live` the pages of a run are not read along with it."""

    def __init__(self, moment: Moment, *, live: bool) -> None:
        self.process, self._moment = moment.process, moment
        self._live = "live" if live and moment.operation in LIVE else ""
        self._hash: tuple[Mapping[str, str], int] | None = None
        self._in_force: tuple[Mapping[str, str | None], int] | None = None
        self._hashes: dict[int, dict[str, str]] = {}
        self._runs: dict[int, Run | None] = {}
        self._tallies: dict[int, list[Tally]] = {}
        self._works: dict[str, str] = {}
        self._seen: dict[str, tuple[str | None, str | None]] = {}
        self._slots: dict[str, Sequence[Any]] = {}
        self._more: list[Any] = []
        self._open: int | None = None

    @property
    def now(self) -> datetime:
        if not self._moment.begun:
            _ = self._process  # which is what a step asks for next
        return self._moment.now

    @property
    def _process(self) -> tuple[Mapping[str, str], int]:
        """The hash of the process, and how many versions its history has."""
        # Not a cached property: before Python 3.12 its lock is that of all threads.
        if self._hash is None:
            newest = _NEWEST if self._moment.operation in BEGINS else ()
            (flat, versions, run), *self._more = self._moment.ask(("process", self._live), *newest)
            self._hash = pairs(flat), versions
            if run:
                self._took(run)
        return self._hash

    def head(self, *, held: bool) -> Head:  # noqa: ARG002
        return read_head(self._process[0])

    def run(self, epoch: int, *, held: bool) -> Run | None:  # noqa: ARG002
        return self._run(epoch, self._live)

    def _run(self, epoch: int, live: str = "") -> Run | None:
        if epoch not in self._runs:
            [found] = self._moment.ask(("run", epoch, live))
            self._runs[epoch] = self._took(found) if found else None
        return self._runs[epoch]

    def _took(self, found: Sequence[Any]) -> Run:
        """Keep what a read returned of a run, unless it is what is known already."""
        flat, pages, groups = found
        fields = pairs(flat)
        run = read_run(fields, pages)
        if self._hashes.setdefault(run.epoch, fields) != fields:
            raise OvertakenError
        if groups is not None:
            alike = zip(groups[::2], groups[1::2], strict=True)
            self._tallies[run.epoch] = [read_tally(lines, items) for lines, items in alike]
        return self._runs.setdefault(run.epoch, run) or run

    def run_of_uuid(self, uuid: str) -> Run | None:
        [epoch] = self._moment.ask(("HGET", "uuids", uuid))
        return self._run(int(epoch), "live") if epoch else None

    def newest_run_of_slot(self, slot: datetime) -> Run | None:
        text = slot_text(slot)
        newest = self._newest[1]
        if newest is None or newest[0][: len(text)] > text:
            newest = self._of_slot(text)[1]
        found = [name for name in newest if name.startswith(f"{text}:")]
        return self._run(int(found[0].rpartition(":")[2])) if found else None

    @property
    def _newest(self) -> tuple[Any, Any]:
        """The newest entry of the ledger, and the newest run by its slot: None where not read."""
        _ = self._process
        entries, runs = self._more[:2] or (None, None)
        return entries, runs or (None if runs is None else [""])

    def _of_slot(self, text: str) -> Sequence[Any]:
        """Return what the store has of a slot: the last entry before it, its newest run, its own entry."""
        if text not in self._slots:
            self._slots[text] = self._moment.ask(
                ("entries", f"({text}", 1),
                ("ZREVRANGEBYLEX", "slot_runs", f"({text};", f"[{text}:", "LIMIT", 0, 1),
                ("HGET", "ledger", text),
            )
        return self._slots[text]

    def open_run(self) -> Run | None:
        if self._open is None:
            self._open = int(self._process[0].get("run") or 0)
        return self._run(self._open, self._live) if self._open else None

    def runs(self, *, before: int | None, limit: int) -> Sequence[Run]:
        found: list[Run] = []
        while len(found) < limit:
            most = min(RUNS, limit - len(found))
            [some] = self._moment.ask(("runs", "+inf" if before is None else f"({before}", most, self._live))
            found += map(self._took, some)
            if len(some) < most:
                break
            before = found[-1].epoch
        return found

    def pages(self, epoch: int) -> Sequence[Page]:
        return [page for page, _ in self._opened(epoch)]

    def items_on(self, epoch: int, pages: Collection[int]) -> Sequence[Item]:
        wanted = set(pages)
        return [item for page, items in self._opened(epoch) if page.number in wanted for item in items]

    def _opened(self, epoch: int) -> list[tuple[Page, list[Item]]]:
        [found] = self._moment.ask(("pages", epoch))
        return [_page(epoch, *page) for page in found]

    def items(self, epoch: int, names: Collection[str]) -> Sequence[Item]:
        asked = sorted(set(names))
        if set(asked) <= set(self._seen):
            records = [self._seen[name][1] for name in asked]
        else:
            [records] = self._moment.ask(("HMGET", f"i:{epoch}", *asked))
        return [read_item(epoch, name, record) for name, record in zip(asked, records, strict=True) if record]

    def tallies(self, epoch: int) -> Sequence[Tally]:
        if epoch not in self._tallies:
            [found] = self._moment.ask(("run", epoch, "live"))
            if not found:
                return []
            self._took(found)
        return self._tallies[epoch]

    def has_items(self, epoch: int) -> bool:
        return self._item_counts([epoch])[epoch] > 0

    def empty(self, epochs: Collection[int], *, limit: int) -> int:
        deleted, groups = 0, list[Sequence[object]]()
        for epoch, items in self._item_counts(epochs).items():
            if items and deleted < limit:
                deleted += items
                groups += [("UNLINK", f"{letter}:{epoch}") for letter in "igo"]
        if groups:
            self._moment.commit(groups, counts=False)
        return deleted

    def _item_counts(self, epochs: Collection[int]) -> dict[int, int]:
        # One field of the hash is none of an item.
        counts = self._moment.ask(*(("HLEN", f"i:{epoch}") for epoch in epochs))
        return {epoch: max(count - 1, 0) for epoch, count in zip(epochs, counts, strict=True)}

    def count_open(self, epoch: int) -> int:
        [count] = self._moment.ask(("HGET", f"r:{epoch}", "open"))
        return int(count or 0)

    def enlisted(self, epoch: int, names: Collection[str]) -> Collection[str]:
        asked = sorted(set(names))
        if not asked:
            return ()
        items, statuses = self._moment.ask(("HMGET", f"i:{epoch}", *asked), ("HMGET", "s", *asked))
        found = zip(asked, items, statuses, strict=True)
        return {name for name, item, status in found if item or (status and read_status(name, status).epoch == epoch)}

    def works(self, names: Collection[str]) -> Sequence[Work]:
        asked = sorted(set(names))
        if self._moment.operation == "work":
            return self._read_works("", asked[0], 1)
        [records] = self._moment.ask(("HMGET", "w", *asked))
        return self._took_works(asked, records)

    def listed(self, on: WorkList, *, after: str, limit: int) -> Sequence[Work]:
        found: list[Work] = []
        while len(found) < limit:
            most = min(CHUNK, limit - len(found))
            some = self._read_works(LETTERS[on], after, most)
            found += some
            if len(some) < most:
                break
            after = found[-1].name
        return found

    def _read_works(self, letter: str, name: str, limit: int) -> list[Work]:
        """Return registrations, and keep what people see of them: their statuses, and their items in the open run."""
        [[names, records, statuses, run, items]] = self._moment.ask(("works", letter, name, limit))
        self._open = self._took(run).epoch if run else 0
        self._seen |= zip(names, zip(statuses, items or [None] * len(names), strict=True), strict=True)
        return self._took_works(names, records)

    def _took_works(self, names: Sequence[str], records: Sequence[str | None]) -> list[Work]:
        works = [read_work(name, record) for name, record in zip(names, records, strict=True) if record is not None]
        self._works |= dict.fromkeys(names, "") | {work.name: work_beginning(work) for work in works}
        return works

    def dropped(self, *, kept: int, since: datetime, limit: int) -> Sequence[Work]:
        [[names, records]] = self._moment.ask(("dropped", kept, to_us(since), limit))
        return self._took_works(names, records)

    def work_counts(self) -> Mapping[WorkList, int]:
        counts = self._more[3:] or self._moment.ask(*_COUNTS)
        return dict(zip(WorkList, counts, strict=True))

    def statuses(self, names: Collection[str]) -> Sequence[Status]:
        asked = sorted(set(names))
        if set(asked) <= set(self._seen):
            records = [self._seen[name][0] for name in asked]
        else:
            [records] = self._moment.ask(("HMGET", "s", *asked))
        return [read_status(name, record) for name, record in zip(asked, records, strict=True) if record]

    def overrides(self) -> Overrides:
        return read_overrides(self._overrides[0])

    @property
    def _overrides(self) -> tuple[Mapping[str, str | None], int]:
        if self._hash is not None:
            return self._hash
        if self._in_force is None:
            found, versions = self._moment.ask(("HMGET", "p", *_OVERRIDES), ("ZCARD", "versions"))
            self._in_force = dict(zip(_OVERRIDES, found, strict=True)), versions
        return self._in_force

    def history(self, *, limit: int) -> Sequence[Overrides]:
        found, now = self._moment.ask(("ZREVRANGE", "versions", 0, limit - 1), ("HMGET", "p", *_OVERRIDES))
        if found:
            return [read_version(record) for record in found]
        in_force = read_overrides(dict(zip(_OVERRIDES, now, strict=True)))
        return [in_force] if in_force.version else []

    def changed_since(self, at: datetime) -> bool:
        times = (instant(self._process[0].get(field)) for field in ("changed", "newest"))
        return any(time is not None and time >= at for time in times)

    def entry(self, slot: datetime) -> SlotEntry | None:
        newest, text = self._newest[0], slot_text(slot)
        if newest is None or (newest[0] and newest[0][0] > text):
            record = self._of_slot(text)[2]
        else:
            record = newest[1][0] if newest[0] == [text] else None
        return read_entry(text, record) if record else None

    def entries(self, *, before: datetime | None, limit: int) -> Sequence[SlotEntry]:
        if before is not None and limit == 1 and self._moment.operation in BEGINS:
            newest, text = self._newest[0], slot_text(before)
            return list(_entries(newest if not newest[0] or newest[0][0] < text else self._of_slot(text)[0]))
        found: list[SlotEntry] = []
        while len(found) < limit:
            most = min(CHUNK, limit - len(found))
            some = list(_entries(self._moment.ask(("entries", "+" if before is None else f"({slot_text(before)}", most))[0]))
            found += some
            if len(some) < most:
                break
            before = found[-1].slot
        return found

    def oldest_entries(self, *, limit: int) -> Sequence[SlotEntry]:
        return list(_entries(self._moment.ask(("oldest", limit))[0]))

    def count_entries(self) -> int:
        if self._more:
            return int(self._more[2])
        return int(self._moment.ask(("ZCARD", "slots"))[0])

    def write(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        relies = self._hash is not None or self._in_force is not None
        commit = Commit(self._hashes, self._works, self._overrides[1] if relies else 0)
        for change in changes:
            commit.add(change)
        for key in commit.beforehand(self._moment.client):
            self._moment.add(key)
        self._moment.commit(commit.groups(self._moment.version, relies=relies), counts=commit.counts)


def _page(epoch: int, number: str, record: str, items: Sequence[str]) -> tuple[Page, list[Item]]:
    page, names = read_page(epoch, number, record)
    return page, [read_item(epoch, name, item) for name, item in zip(names, items, strict=True)]


def _entries(found: Sequence[Any]) -> Iterator[SlotEntry]:
    return (read_entry(slot, record) for slot, record in zip(*found, strict=True))
