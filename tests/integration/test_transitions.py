"""Each store refuses to write a state that may not follow, whatever decided so: here decisions are made wrong on purpose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from celery_process.exceptions import IllegalTransition, StoreError
from celery_process.protocol import rules
from celery_process.protocol.states import (
    ITEM_TRANSITIONS,
    RUN_TRANSITIONS,
    ClaimAnswer,
    ItemState,
    RunState,
    WorkState,
    moved,
)
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.stores.redis import RedisStore, scripts
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock
from tests.protocol.driver import Driver

LUA = files("celery_process.stores.redis").joinpath("lua")
ENDED = "  if not is_open(item) then return 'done' end\n"


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mysql", "redis"])
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """Give the driver of a process in each store."""
    clock, name = MovableClock(), uuid4().hex[:8]
    store: Store
    if request.param == "memory":
        store = MemoryStore(clock=clock)
    elif request.param == "redis":
        store = RedisStore(request.getfixturevalue("redis_url"), key_prefix=f"moves-{name}:", clock=clock)
    else:
        own = f"sqlite:///{tmp_path}/process.db"
        url = own if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
        store = SqlStore(url, table_prefix=f"mv{name}_", clock=clock)
        store.migrate()
    yield Driver(store, f"p-{name}", clock)
    store.close()


@pytest.fixture
def wrong_claims(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Give a function from which on claims are granted for items that ended."""
    lines = scripts._lines

    def without(name: str) -> list[str]:
        return [line for line in lines(name) if line != ENDED.rstrip("\n")]

    def plant() -> None:
        monkeypatch.setattr(rules, "claim_answer", lambda **_: ClaimAnswer.CLAIMED)
        monkeypatch.setattr(scripts, "_lines", without)
        scripts.script.cache_clear()

    assert ENDED in LUA.joinpath("claim.lua").read_text()
    yield plant
    scripts.script.cache_clear()


def test_an_item_that_ended_is_claimed_by_nobody(
    drive: Driver, wrong_claims: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim of an item that is done is refused with its states, and leaves the item, its run and its holder's word."""
    run = drive.begin("a", "b")
    held = drive.take(run, "a")
    last = held.next(WorkState.COMPLETED)
    held.send(last)
    before = drive.status(run), drive.work("a")
    wrong_claims()
    with pytest.raises(IllegalTransition) as caught:
        drive.claim(run, "a")
    monkeypatch.undo()
    scripts.script.cache_clear()
    assert (caught.value.entity, caught.value.was, caught.value.to) == ("item", ItemState.DONE, ItemState.CLAIMED)
    assert isinstance(caught.value, StoreError)
    assert (drive.status(run), drive.work("a")) == before
    assert drive.claim_one(run, "a").answer is ClaimAnswer.DONE


def test_a_run_ends_by_the_table(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is ACTIVE and was to become ABORTED at once stays open, and ends when what decides is right again."""
    run = drive.begin("a")
    drive.take(run, "a").finish()
    with monkeypatch.context() as planted:
        planted.setattr(rules, "closing", lambda *_: (RunState.ABORTED, "for no reason"))
        with pytest.raises(IllegalTransition) as caught:
            drive.page(run)
        assert (caught.value.entity, caught.value.was, caught.value.to) == ("run", RunState.ACTIVE, RunState.ABORTED)
        status = drive.status(run)
        assert (status.state, status.reason, status.finished_at) == (RunState.ACTIVE, "", None)
    drive.page(run)
    assert drive.status(run).state is RunState.COMPLETED


@pytest.mark.parametrize("table", [RUN_TRANSITIONS, ITEM_TRANSITIONS], ids=["run", "item"])
def test_a_state_follows_by_the_table_alone(table: dict[Any, dict[Any, str]]) -> None:
    """Of all pairs of states those are refused that are not the same and not in the table."""
    for was, following in table.items():
        for to in table:
            if to is was or to in following:
                assert moved(was, to) is to
            else:
                with pytest.raises(IllegalTransition, match=f"{was} and was to become {to}"):
                    moved(was, to)


def test_the_scripts_have_the_table() -> None:
    """What stands before the Lua of `states` names each edge, and nothing else."""
    items, runs = scripts._lines("states")[:2]
    assert len(items.split("'")[1].split()) == sum(map(len, ITEM_TRANSITIONS.values()))
    assert runs.split("'")[1].split() == [f"{was}>{to}" for was, edges in RUN_TRANSITIONS.items() for to in edges]


@pytest.mark.parametrize("script", sorted(path.name for path in LUA.iterdir() if path.name.endswith(".lua")))
def test_each_script_asks_the_table(script: str) -> None:
    """No Lua writes the state of an item, or a new one of a run, but by what `states.lua` lets through."""
    for line in LUA.joinpath(script).read_text().splitlines():
        if re.match(r"\s*item\[STATE\](, [^=]*)? = ", line):
            assert "item_moved(item[STATE]," in line
        if re.search(r"(run\.state, .* = |'HSET', run_key\(epoch\), 'state', )", line):
            assert "run_moved(" in line or "ARGV[9]" in line or "run.state, 'reason'" in line, line
