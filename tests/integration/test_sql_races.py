"""Races on real databases: one winner a slot, one holder an item, one fold a page, one close a run."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from celery_process.protocol.model import ErrorEntry, Retention, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import (
    Again,
    ClaimAnswer,
    PageAnswer,
    Progress,
    RunAnswer,
    RunState,
    StopReason,
    WorkState,
)
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.engine import Database

LEASE = timedelta(seconds=30)
RACERS = 8


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Return what the acts answer when they begin at the same moment."""
    start = threading.Barrier(len(acts))

    def call(act: Callable[[], Any]) -> Any:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(call, acts))


def begin(store: SqlStore, process: str, spec: RunSpec = RunSpec()) -> str:  # noqa: B008
    now = store.now()
    claim = store.claim_run(process, uuid=uuid4().hex, slot=SlotRef(now, now), spec=spec, again=Again.ALWAYS, by="")
    assert claim.run is not None
    return claim.run.id


def page(store: SqlStore, process: str, run: str, size: int = 500) -> Any:
    return store.open_page(process, run, token=uuid4().hex, size=size, window=1000)


def claim(store: SqlStore, process: str, run: str, name: str, token: str) -> Any:
    return store.claim(process, run, [name], token=token, lease=LEASE, max_attempts=3)[0]


def finish(store: SqlStore, process: str, run: str, name: str, token: str, *, errors: int = 0) -> Any:
    texts = tuple(ErrorEntry("e", store.now(), name) for _ in range(errors))
    report = ItemReport(name, 1, Totals({"x": 1}, {"y": 1}, texts, errors), 0, 0, WorkState.COMPLETED)
    return store.report(process, run, [report], token=token, lease=LEASE)


def test_one_winner_a_slot(store: SqlStore, process: str) -> None:
    """Of racers for one slot one is told Claimed; the epochs of the runs rise."""
    epochs = [0]
    for _ in range(5):
        now = store.now()

        def race(slot: SlotRef = SlotRef(now, now)) -> Any:  # noqa: B008
            return store.claim_run(process, uuid=uuid4().hex, slot=slot, spec=RunSpec(), again=Again.NEVER, by="")

        answers = at_once(*[race] * RACERS)
        won = [answer for answer in answers if answer.answer is RunAnswer.CLAIMED]
        assert len(won) == 1
        epochs.append(won[0].run.epoch)
        assert epochs[-1] > epochs[-2]
        assert {answer.answer for answer in answers} <= {RunAnswer.CLAIMED, RunAnswer.OVERLAPPED, RunAnswer.LOST}
        assert page(store, process, won[0].run.id).answer is PageAnswer.CLOSED


def test_one_holder_an_item(store: SqlStore, process: str) -> None:
    """Of racers for one item one holds it and the rest are Busy; a repeat of the winner is Claimed again."""
    store.register(process, {"a": "{}"})
    run = begin(store, process)
    page(store, process, run)
    answers = at_once(*[partial(claim, store, process, run, "a", f"t{number}") for number in range(RACERS)])
    assert Counter(answer.answer for answer in answers) == {ClaimAnswer.CLAIMED: 1, ClaimAnswer.BUSY: RACERS - 1}
    winner = next(number for number, answer in enumerate(answers) if answer.answer is ClaimAnswer.CLAIMED)
    assert claim(store, process, run, "a", f"t{winner}").attempt == 1


def test_two_finishers_close_once(store: SqlStore, process: str) -> None:
    """The last finishers of a page fold it once and close its run once, whichever comes last."""
    names = [f"{number}" for number in range(RACERS)]
    for turn in range(10):
        # Only behind the cleanup list can the lists be at their end while a page is open.
        store.register(process, dict.fromkeys(names, "{}"))
        store.unregister(process, names)
        run = begin(store, process)
        page(store, process, run)
        assert page(store, process, run).answer is PageAnswer.CLOSED
        for name in names:
            claim(store, process, run, name, name)
        answers = at_once(*[partial(finish, store, process, run, name, name) for name in names])
        assert sum(answer.page_closed for answer in answers) == 1
        closed = [answer.run for answer in answers if answer.run is not None]
        assert len(closed) == 1
        assert closed[0].state is RunState.COMPLETED
        assert closed[0].stats["work.x"] == closed[0].stats["y"] == closed[0].counts.completed == RACERS
        stats = store.process(process).aggregate_stats
        assert stats["runs"] == turn + 1
        assert stats["workItemsCleaned"] == (turn + 1) * RACERS


def test_errors_are_counted_exactly(store: SqlStore, process: str) -> None:
    """Racing errors add up, and one report alone is told that it stopped the run."""
    names = [f"{number}" for number in range(RACERS)]
    store.register(process, dict.fromkeys([*names, "last"], "{}"))
    run = begin(store, process, RunSpec(work_limit=None, run_limit=2 * RACERS - 1))
    page(store, process, run)
    for name in names:
        claim(store, process, run, name, name)
    answers = at_once(*[partial(finish, store, process, run, name, name, errors=2) for name in names])
    assert sum(answer.stopping for answer in answers) == 1
    status = store.run(process, run)
    assert (status.total_errors, status.state, status.reason) == (2 * RACERS, RunState.ABORTING, "aborted")
    assert claim(store, process, run, "last", "t").answer is ClaimAnswer.ABORTED
    ended = store.stop_run(process, run, StopReason.CANCELLED)
    assert ended is not None
    assert (ended.state, ended.counts.cancelled) == (RunState.ABORTED, 1)


def test_one_page_for_each_opener(store: SqlStore, process: str) -> None:
    """Pages that are opened at once share no name and leave none out."""
    names = [f"{number:03}" for number in range(40)]
    store.register(process, dict.fromkeys(names, "{}"))
    run = begin(store, process)
    pages = at_once(*[lambda: page(store, process, run, 5)] * RACERS)
    assert sorted(name for opened in pages for name in opened.names) == names


def test_sweep_goes_to_one(store: SqlStore, process: str) -> None:
    """Of sweeps at once one is given the process."""
    begin(store, process)
    look = lambda: store.begin_sweep([process], interval=timedelta(hours=1), grace=LEASE)  # noqa: E731
    assert sum(len(targets) for targets in at_once(*[look] * RACERS)) == 1


def test_end_is_told_once(store: SqlStore, process: str) -> None:
    """Of callers who note that the end was told, one was first."""
    run = begin(store, process)
    page(store, process, run)
    assert sum(at_once(*[lambda: store.ack_finish(process, run)] * RACERS)) == 1


def test_a_run_that_closes_during_a_purge(store: SqlStore, process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes a purge due again, though the purge that goes on has nothing left."""
    store.register(process, {"a": "{}"})
    run = begin(store, process)
    page(store, process, run)
    claim(store, process, run, "a", "t")
    write = Database.write

    def write_then_close(db: Database, operation: str, step: Any, *args: Any, **more: Any) -> Any:
        done = write(db, operation, step, *args, **more)
        if operation == "purge" and store.run(process, run).state.is_open:
            finish(store, process, run, "a", "t")
            page(store, process, run)
        return done

    monkeypatch.setattr(Database, "write", write_then_close)
    store.purge(process, retention=Retention(), limit=500)
    store.ack_finish(process, run)
    (target,) = store.begin_sweep([process], interval=timedelta(0), grace=LEASE)
    assert (target.open_run, target.purge_due) == (None, True)


def test_superseded_beside_finishers(store: SqlStore, process: str) -> None:
    """Whoever wins, the superseding or a finisher: the run closes once, each item ended once, and nothing is open."""
    names = [f"{number}" for number in range(RACERS)]
    store.register(process, dict.fromkeys(names, "{}"))
    for _ in range(5):
        run = begin(store, process)
        page(store, process, run)
        for name in names:
            claim(store, process, run, name, name)
        answers = at_once(
            partial(store.stop_run, process, run, StopReason.SUPERSEDED),
            *[partial(finish, store, process, run, name, name) for name in names],
        )
        closed = [answer for answer in (answers[0], *(answer.run for answer in answers[1:])) if answer is not None]
        assert len(closed) == 1
        assert store.run(process, run) == closed[0]
        assert closed[0].state is RunState.INCOMPLETE
        assert closed[0].counts.completed + closed[0].counts.cancelled == RACERS
        told = Counter(answer.items[0].progress for answer in answers[1:])
        assert told[Progress.COMPLETED] == closed[0].counts.completed


def _work(url: str, prefix: str, process: str, run: str, names: list[str], seed: int, answers: Any) -> None:
    """Claim and finish everything in a random order, each write twice at times, as a worker with a bad line would."""
    store, chance = SqlStore(url, table_prefix=prefix), random.Random(seed)
    chance.shuffle(names)
    finished = closed = 0
    for name in names:
        token = f"{seed}-{name}"
        if claim(store, process, run, name, token).answer is not ClaimAnswer.CLAIMED:
            continue
        for _ in range(2 if chance.random() < 0.3 else 1):
            told = finish(store, process, run, name, token)
            closed += told.run is not None
        finished += 1
    store.close()
    answers.put((finished, closed))


@pytest.mark.forks
def test_workers_in_processes(store: SqlStore, process: str) -> None:
    """Workers in several operating-system processes finish each item once, and one of them closes the run."""
    names = [f"{number:03}" for number in range(120)]
    store.unregister(process, names)
    run = begin(store, process)
    for _ in range(4):
        page(store, process, run, 30)
    assert page(store, process, run).answer is PageAnswer.CLOSED
    url, prefix = store._db.address.url.render_as_string(hide_password=False), store._db.tables.prefix
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    given = [(url, prefix, process, run, list(names), seed, answers) for seed in range(4)]
    children = [context.Process(target=_work, args=each) for each in given]
    for child in children:
        child.start()
    found = [answers.get(timeout=120) for _ in children]
    for child in children:
        child.join(60)
    assert sum(finished for finished, _ in found) == len(names)
    assert sum(closed for _, closed in found) == 1
    status = store.run(process, run)
    assert (status.state, status.stats["work.x"], status.counts.completed) == (RunState.COMPLETED, 120, 120)
