"""A message may carry several items; each keeps its own claim, errors, stats and outcome."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import Celery
from celery.exceptions import WorkerShutdown

from celery_process import Processes, RunState, Tolerance, WorkState
from celery_process.protocol.states import Again, WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.testing import MovableClock

NAMES = [f"item-{number:02}" for number in range(25)]


@pytest.fixture
def processes():
    app = Celery("batches", set_as_current=False)
    app.conf.task_always_eager = True
    return Processes(app, backend=MemoryStore())


def define(processes, handler, **options):
    process = processes.process("batched", schedule=60, batch_size=10, **options)(handler)
    process.register_works(dict.fromkeys(NAMES))
    return process


def messages_of(processes, monkeypatch):
    sent = []
    task = processes.app.tasks["batched.work"]
    apply = task.apply
    monkeypatch.setattr(task, "apply", lambda kwargs, **options: (sent.append(kwargs), apply(kwargs=kwargs, **options))[1])
    return sent


def test_items_travel_together(processes, monkeypatch):
    """Twenty-five items of a batch size of 10 are three messages, with the names under `works`."""
    process = define(processes, lambda work: None)
    sent = messages_of(processes, monkeypatch)
    assert process.run_now().state is RunState.COMPLETED
    assert [message["works"] for message in sent] == [NAMES[:10], NAMES[10:20], NAMES[20:]]
    assert {message["process"] for message in sent} == {"batched"}


def test_each_item_has_its_own_outcome(processes):
    """One that raises is INCOMPLETE with its error; its neighbours in the message are COMPLETED with their stats."""

    def handler(work):
        work.add_stats("seen")
        if work.name == "item-04":
            raise ValueError("broken")

    process = define(processes, handler)
    run = process.run_now()
    states = {work.name: work.status.state for work in process.works()}
    assert [name for name, state in states.items() if state is not WorkState.COMPLETED] == ["item-04"]
    assert states["item-04"] is WorkState.INCOMPLETE
    assert (run.counts.completed, run.counts.incomplete, run.total_errors) == (24, 1, 1)
    assert run.stats["work.seen"] == 25


def test_after_an_abort_the_rest_of_the_batch_is_not_started(processes):
    """The item beyond the tolerance is ABORTED; those behind it in its message are given back unstarted and cancelled."""
    started = []

    def handler(work):
        started.append(work.name)
        if work.name == "item-02":
            raise ValueError("one too many")

    process = define(processes, handler, tolerance=Tolerance(0, 0))
    run = process.run_now()
    assert run.state is RunState.ABORTED
    assert started == NAMES[:3]
    assert (run.counts.completed, run.counts.aborted, run.counts.cancelled) == (2, 1, 22)
    assert process.work("item-03").status.attempt == 0


def test_items_given_up_are_published_one_by_one(processes, monkeypatch):
    """What a dead batch left is published singly, so that one poison item cannot take its batch along again."""
    process = define(processes, lambda work: None)
    sent = messages_of(processes, monkeypatch)
    process.dispatch.port.send(WorkList.ACTIVE, tuple(NAMES[:3]), "1-none", single=True)
    assert [message["work"] for message in sent] == NAMES[:3]


def test_a_cleanup_batch_is_as_exact(processes):
    """Of several items cleaned in one message the one that fails stays on cleanup, the others are dropped."""
    process = define(processes, lambda work: None)

    @process.cleanup
    def clean(work):
        if work.name == "item-07":
            raise OSError("busy")

    process.unregister_works(NAMES)
    run = process.run_now()
    assert [work.name for work in process.works("cleanup")] == ["item-07"]
    assert len(list(process.works("dropped"))) == 24
    assert (run.stats["workItemsCleaned"], run.stats["workItemsDirty"]) == (24, 1)


@pytest.mark.parametrize(
    ("takes", "expected"), [((), 1), ((0.001,) * 20, 100), ((0.05,) * 30, 20), ((3.0,), 1), ((0.001,) * 20 + (2.0,) * 3, 1)]
)
def test_an_automatic_batch_fits_its_duration(processes, takes, expected):
    """One item until it is known how long they take, then as many as fit, fewer at once where they get slower."""
    process = processes.process("fitted", schedule=60, batch_size="auto", batch_duration=1)(lambda work: None)
    runner = process.dispatch.port.runner
    for seconds in takes:
        runner._measure(seconds)
    assert runner.batch_size == expected


def test_a_longer_item_weighs_more_than_a_shorter_one(processes):
    """A measured duration moves the known one by half the way up and a tenth of the way down; the first one is taken as it is."""
    process = processes.process("fitted", schedule=60, batch_size="auto", batch_duration=38)(lambda work: None)
    runner, sizes = process.dispatch.port.runner, []
    for seconds in (1, 3, 1, 1.9):  # so that 1, 2, 1.9 and 1.9 are known
        runner._measure(seconds)
        sizes.append(runner.batch_size)
    assert sizes == [38, 19, 20, 20]


def test_automatic_batches_grow_from_one(processes, monkeypatch):
    """The first run sends items singly, the next one by what the first has measured."""
    process = processes.process("batched", schedule=60, batch_size="auto")(lambda work: None)
    process.register_works(dict.fromkeys(NAMES))
    sent = messages_of(processes, monkeypatch)
    assert process.run_now().state is RunState.COMPLETED
    assert {len(message.get("works", [""])) for message in sent} == {1}
    sent.clear()
    assert process.run_now().state is RunState.COMPLETED
    assert [len(message["works"]) for message in sent] == [len(NAMES)]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [({"batch_size": "many"}, TypeError, "auto"), ({"batch_duration": 0}, ValueError, "batch_duration")],
)
def test_what_is_no_batch_is_refused(processes, options, error, says):
    """A word other than "auto" and a duration of nothing are told where the process is defined."""
    with pytest.raises(error, match=says):
        processes.process("refused", schedule=60, **options)(lambda work: None)


def test_a_worker_that_ends_in_an_item_gives_back_the_rest():
    """What raises through the handler ends the batch: those before it stay done, those behind it are free at once."""
    started, clock = [], MovableClock()
    app = Celery("dying", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore(clock=clock))

    def handler(work):
        started.append(work.name)
        if work.name == "item-03" and work.attempt == 1:
            raise WorkerShutdown(0)

    process = define(processes, handler)
    with pytest.raises(WorkerShutdown):
        process.run_now()
    assert started == NAMES[:4]
    counts = process.state().run.counts
    assert (counts.completed, counts.claimed, counts.pending) == (3, 1, 21)
    clock.advance(timedelta(seconds=15))
    processes.sweep(force=True)
    assert started == NAMES[:10]
    assert process.state().run.counts.claimed == 1


def test_a_name_that_is_twice_in_a_message_is_worked_once(processes):
    """Somebody's own message may name an item twice; it is claimed, worked and reported once."""
    seen = []
    process = define(processes, lambda work: seen.append(work.name))
    store, dispatch = processes.store, process.dispatch
    claim = store.claim_run(
        "batched",
        uuid="u",
        slot=dispatch.slot_of(store.now(), None),
        spec=process.definition.spec(),
        again=Again.ALWAYS,
        by="",
    )
    store.open_page("batched", claim.run.id, token="t", size=25, window=1000)
    names = [NAMES[0], NAMES[1], NAMES[0], NAMES[1], NAMES[0]]
    task = processes.app.tasks["batched.work"]
    result = task.apply(kwargs={"process": "batched", "run": claim.run.id, "works": names})
    assert (result.state, result.result) == ("SUCCESS", "2 COMPLETED")
    assert seen == NAMES[:2]
