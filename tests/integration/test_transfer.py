"""Documents carry processes from store to store, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from celery_process.exceptions import InvalidValue, RunOpen, WrongState
from celery_process.protocol.model import RunSpec, WorkStatus
from celery_process.protocol.states import Again, WorkList
from celery_process.stores import open_store
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock
from celery_process.transfer import lines as transfer
from tests.protocol.driver import Driver

HOUR = timedelta(hours=1)
HOURLY = '{"interval":3600.0}'


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def drive(clock: MovableClock) -> Driver:
    """Give a process with a past: runs, a drop, settings, a pause, and more items than a page."""
    drive = Driver(MemoryStore(clock=clock), f"p-{uuid4().hex}", clock)
    drive.run_through("a", "é", "A ", cleanup=("gone",))
    drive.register(*(f"n{number:04}" for number in range(1_100)), params='{"deep":[{"x":1.5}],"n":9007199254740993}')
    clock.advance(HOUR)
    drive.unregister("n0003", "new to cleanup")
    drive.store.update_settings(drive.process, settings='{"ttl":60}', schedule=HOURLY, by="ada")
    drive.store.update_settings(drive.process, settings='{"ttl":61}', schedule=None, by="ada")
    drive.pause("moving")
    clock.advance(HOUR)
    return drive


@pytest.fixture
def opened(clock: MovableClock, tmp_path: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Store]]:
    """Give what opens an empty store of a kind."""
    with ExitStack() as stack:

        def give(kind: str) -> Store:
            if kind == "memory":
                return MemoryStore(clock=clock)
            url = f"sqlite:///{tmp_path}/{kind}.db" if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
            options = {"clock": clock, "table_prefix": f"t{uuid4().hex[:8]}_", "key_prefix": f"cp-{uuid4().hex[:8]}:"}
            store = open_store(url, **options)
            stack.callback(store.close)
            store.migrate()
            return store

        yield give


def document(store: Store, *processes: str) -> list[str]:
    return [line for process in processes for line in transfer.export(store, process)]


def shown(store: Store, process: str) -> tuple[Any, ...]:
    """Return all of a process that is carried."""
    stored = store.process(process)
    works = [
        (work.name, work.on, work.params, work.changed_at, work.listed_at)
        for on in WorkList
        for work in store.works(process, on=on, after="", limit=5_000)
    ]
    return stored.overrides, stored.paused, stored.aggregate_stats, stored.last_slot, stored.epoch, works


@pytest.mark.parametrize("kinds", [("sqlite", "postgresql"), ("mysql", "redis")], ids="-".join)
def test_there_and_back(drive: Driver, opened: Callable[[str], Store], kinds: tuple[str, ...]) -> None:
    """From memory through two stores and back, a process is what it was, and so is its document."""
    first = document(drive.store, drive.process)
    assert len(first) == 1 + 1_105 + 1
    lines = first
    for kind in (*kinds, "memory"):
        store = opened(kind)
        assert transfer.load(store, lambda lines=lines: lines) == {drive.process: 1_105}
        lines = document(store, drive.process)
        assert lines == first
        assert shown(store, drive.process) == shown(drive.store, drive.process)
        assert store.work(drive.process, "a").status == WorkStatus()
        assert store.schedules() == {drive.process: HOURLY}
        assert store.settings_history(drive.process, limit=9) == (store.overrides(drive.process),)


class TestRefusals:
    @pytest.fixture
    def target(self, drive: Driver, opened: Callable[[str], Store]) -> Driver:
        return Driver(opened("sqlite"), drive.process, drive.clock)

    def load(self, drive: Driver, target: Driver, **more: bool) -> dict[str, int]:
        lines = document(drive.store, drive.process)
        return transfer.load(target.store, lambda: lines, **more)

    def test_repeat(self, drive: Driver, target: Driver) -> None:
        """An import that was cut off is simply repeated."""
        lines = document(drive.store, drive.process)
        target.store.restore(drive.process, *_first(lines))
        for _ in range(2):
            self.load(drive, target)
            assert shown(target.store, target.process) == shown(drive.store, drive.process)

    def test_open_run_there(self, drive: Driver, target: Driver) -> None:
        """Into an open run nothing is brought, even by force."""
        target.begin("x")
        before = shown(target.store, target.process)
        for force in (False, True):
            with pytest.raises(RunOpen):
                self.load(drive, target, force=force)
        assert shown(target.store, target.process) == before

    def test_open_run_here(self, drive: Driver) -> None:
        """Beside an open run nothing is exported: what it will add would be missing."""
        drive.store.resume(drive.process)
        drive.claim_run(spec=RunSpec(), again=Again.ALWAYS)
        with pytest.raises(RunOpen, match="let it end"):
            document(drive.store, drive.process)

    def test_newer(self, drive: Driver, target: Driver) -> None:
        """What is newer in the store is told and kept; by force the document replaces it, and what only the store has stays."""
        for number in range(3):
            target.store.update_settings(target.process, settings=f'{{"n":{number}}}', schedule=None)
        drive.limit(3)
        drive.clock.advance(HOUR)
        target.limit(5)
        target.run_through("a", "own")
        drive.clock.advance(HOUR)
        newest = target.run_through()
        before = shown(target.store, target.process)
        with pytest.raises(WrongState, match="runs, a slot, limits, settings, the item 'a'"):
            self.load(drive, target)
        assert shown(target.store, target.process) == before
        self.load(drive, target, force=True)
        stored = target.store.process(target.process)
        assert stored.limits == drive.store.process(drive.process).limits
        assert (stored.overrides.settings, stored.overrides.version) == ('{"ttl":61}', 4)
        assert (stored.epoch, stored.aggregate_stats["runs"]) == (newest.epoch, 1)
        assert target.work("own").on is WorkList.ACTIVE
        assert target.work("new to cleanup").on is WorkList.CLEANUP

    @pytest.mark.parametrize(
        ("place", "change", "said"),
        [
            (0, {"celery_process": 2}, "version 2"),
            (0, {"celery_process": "1"}, "version '1'"),
            (0, {"process": "a b"}, "cannot name a process"),
            (0, {"epoch": -1}, "whole number"),
            (0, {"last_slot": True}, "whole number"),
            (0, {"last_slot": 10**19}, "OverflowError"),
            (0, {"aggregate_stats": {"x": "1"}}, "finite number"),
            (0, {"overrides": {}}, "KeyError"),
            (0, {"overrides": {"schedule": "often"}}, "cannot be read"),
            (0, {"overrides": {"schedule": '{"crontab":{"minute":"99"}}'}}, "99"),
            (0, {"paused": {"note": "\0", "by": "", "at": 0}}, "NUL"),
            (1, {"work": ""}, "1 to 191 characters"),
            (1, {"work": "\ud800"}, "surrogate"),
            (1, {"on": "nowhere"}, "nowhere"),
            (1, {"params": [1]}, "mapping"),
            (1, {"params": {"x": float("nan")}}, "finite"),
            (1, {"listed_at": 1e300}, "whole number"),
            (-1, {"works": 7}, "does not end"),
            (-1, {"end": "other"}, "does not end"),
        ],
    )
    def test_bad_line(self, drive: Driver, target: Driver, place: int, change: dict[str, Any], said: str) -> None:
        """A document with a line that cannot be is refused before anything is written."""
        lines = document(drive.store, drive.process)
        lines[place] = json.dumps({**json.loads(lines[place]), **change})
        before = shown(target.store, target.process)
        with pytest.raises(InvalidValue, match=said) as refused:
            transfer.load(target.store, lambda: lines)
        assert "nothing was written" in str(refused.value)
        assert shown(target.store, target.process) == before

    @pytest.mark.parametrize("cut", [1, 2, 700, -1])
    def test_cut_off(self, drive: Driver, target: Driver, cut: int) -> None:
        """A part of a document is not taken for the whole."""
        lines = document(drive.store, drive.process)[:cut]
        with pytest.raises(InvalidValue, match="cut off"):
            transfer.load(target.store, lambda: lines)
        assert not target.store.process(target.process).epoch

    @pytest.mark.parametrize("text", ["nonsense", "[]", "1", '{"a":' * 100_000, "\x00"])
    def test_not_a_document(self, target: Driver, text: str) -> None:
        """Other files are refused by their first line."""
        with pytest.raises(InvalidValue, match="Line 1 of the document"):
            transfer.load(target.store, lambda: [text])


def _first(lines: list[str]) -> tuple[Any, list[Any]]:
    """Return a process of a document with half of its items."""
    stored, works = next(transfer.read(lines))
    return stored, [work for work, _ in zip(works, range(500), strict=False)]
