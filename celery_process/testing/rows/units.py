"""Units: all or nothing, nothing lost between two of them, one time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from celery_process.protocol.entities import Item, Run, Status
from celery_process.protocol.rows import Row
from celery_process.protocol.states import WorkList
from celery_process.protocol.unit import Unit
from celery_process.stores.atomic import Atomic
from celery_process.testing.clock import MovableClock
from celery_process.testing.rows.rig import SECOND, Rig, entry_row, item_row, page_row, run_row, version_row, work_row
from celery_process.testing.rows.values import FULL

TIMES = 10
"""Changes by each of two threads."""
PATIENCE = 0.05
"""Seconds that a step waits for one that may itself wait for the step."""
DEADLINE = 60


class ExpectedError(Exception):
    """Raised by a step."""


def test_all_or_nothing(rig: Rig) -> None:
    """A step that raises has written nothing, and the next one writes as if it had not been."""
    rig.write(work_row("a"), run_row(1), entry_row(1), version_row(1))

    def step(unit: Unit) -> None:
        unit.head().epoch = 9
        work, run = unit.works(["a", "b"])["a"], unit.run_of_epoch(1)
        assert run is not None
        run.total_errors, work.on = 99, WorkList.DROPPED
        unit.overrides()
        unit.add(version_row(2))
        unit.add(work_row("b"))
        unit.add(entry_row(2))
        unit.delete(entry_row(1))
        raise ExpectedError

    with pytest.raises(ExpectedError):
        rig.do(step)
    rows: list[Row] = [work_row("a"), run_row(1), entry_row(1), version_row(1)]
    assert [rig.kept(row) for row in rows] == rows
    assert rig.do(lambda unit: unit.head(held=False)).epoch == 0
    assert rig.kept(work_row("b")) is None
    assert rig.read("count_entries") == 1
    assert len(rig.read("history", limit=9)) == 1
    rig.write(work_row("b"))
    assert rig.kept(work_row("b")) == work_row("b")


def test_items_all_or_nothing(rig: Rig) -> None:
    """A step that raises has opened no page and enlisted nothing."""
    rig.need(Item, Status)

    def step(unit: Unit) -> None:
        for row in (page_row(1), item_row("a"), FULL[Status]):
            unit.add(row)
        raise ExpectedError

    with pytest.raises(ExpectedError):
        rig.do(step)
    assert [rig.read("pages", 1), rig.read("items", 1, ["a"]), rig.read("statuses", ["a"])] == [[], [], []]


def test_kinds_at_once(rig: Rig) -> None:
    """One step may add, change and delete rows of many kinds."""
    rig.write(work_row("a"), work_row("b"), entry_row(1), run_row(1))

    def step(unit: Unit) -> str:
        unit.head().epoch = 9
        works = unit.works(["a", "b", "c"])
        works["a"].params = "[]"
        unit.delete(works["b"])
        unit.add(work_row("c"))
        unit.add(entry_row(2))
        run = unit.run_of_epoch(1)
        assert run is not None
        unit.delete(run)
        return "answer"

    assert rig.do(step) == "answer"
    assert rig.do(lambda unit: unit.head(held=False)).epoch == 9
    assert rig.kept(work_row("a")) == work_row("a", params="[]")
    assert rig.kept(work_row("b")) is None
    assert rig.kept(work_row("c")) == work_row("c")
    assert [rig.read("count_entries"), rig.read("runs", before=None, limit=9)] == [2, []]


def _head(unit: Unit) -> int:
    head = unit.head(held=True)
    head.epoch += 1
    return head.epoch


def _run(unit: Unit) -> int:
    run = unit.run(run_row(1).id, held=True)
    assert run is not None
    run.total_errors += 1
    return run.total_errors


def _work(unit: Unit) -> int:
    work = unit.works(["a"])["a"]
    work.version += 1
    return work.version


def _overrides(unit: Unit) -> int:
    version = unit.overrides().version + 1
    unit.add(version_row(version))
    return version


COUNTERS: Mapping[str, Callable[[Unit], int]] = {"head": _head, "run": _run, "work": _work, "overrides": _overrides}
"""Steps that add one to a number of a row: of the process's own and of a run, which they hold, or of one that they read."""


@pytest.fixture(params=COUNTERS)
def counter(rig: Rig, request: pytest.FixtureRequest) -> Callable[[Unit], int]:
    """Give a step that counts from 0, in a process that has its row."""
    rig.write(replace(run_row(1), total_errors=0), work_row("a", version=0))
    return COUNTERS[request.param]


def test_at_once(rig: Rig, counter: Callable[[Unit], int]) -> None:
    """Of what two threads count nothing is lost, and no two units answer the same."""
    answers: list[int] = []

    def count() -> None:
        answers.extend(rig.do(counter) for _ in range(TIMES))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(answers) == list(range(1, 2 * TIMES + 1))


def test_overtaken(rig: Rig, counter: Callable[[Unit], int]) -> None:
    """A step that read what another one changed meanwhile is run again, on the newest rows; or the other one waits."""
    answers: list[int] = []
    others: list[threading.Thread] = []

    def overtaken(unit: Unit) -> int:
        counted = counter(unit)
        if not others:
            others.append(threading.Thread(target=lambda: answers.append(rig.do(counter))))
            others[0].start()
            others[0].join(PATIENCE)
        return counted

    answers.append(rig.do(overtaken))
    others[0].join(DEADLINE)
    assert sorted(answers) == [1, 2]
    assert rig.do(counter) == 3


def test_now(rig: Rig, clock: MovableClock) -> None:
    """The time of a unit is the clock's, and the same until its end."""

    def step(unit: Unit) -> bool:
        now = unit.now
        clock.advance(SECOND)
        unit.head()
        return now == unit.now == clock() - SECOND

    assert rig.do(step)
    assert rig.do(lambda unit: unit.now) == clock()


def test_reopened(rig: Rig, store: Atomic, reopen: Callable[[Atomic], Atomic]) -> None:
    """A store that was closed and is used again has what was written."""
    rows = [FULL[Run], work_row("a"), entry_row(1), version_row(1)]
    rig.write(*rows)
    again = replace(rig, store=reopen(store))
    assert [again.kept(row) for row in rows] == rows
