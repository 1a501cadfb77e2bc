"""A process that is taken out of the code while its run is open: people see it and end it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from celery_process import Processes, RunState, exceptions
from celery_process.monitor.health import Finding, examine
from celery_process.protocol.states import ClaimAnswer
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

LEASE = timedelta(seconds=30)


def claimed(store: MemoryStore, *names: str) -> str:
    """Start a run of `gone`, as an app does that has it, and claim items of it; return the run's id."""
    processes = Processes(Celery("old", broker="memory://", set_as_current=False), backend=store)
    gone = processes.process("gone", schedule=None)(lambda work: None)
    gone.register_works(dict.fromkeys("abc"))
    run = gone.run_now().id
    answers = store.claim("gone", run, names, token="t", lease=LEASE, max_attempts=1)
    assert {answer.answer for answer in answers} <= {ClaimAnswer.CLAIMED}
    return run


def new_code(store: MemoryStore) -> Processes:
    """Return an app of the code without `gone`."""
    app = Celery("new", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=store)
    processes.process("kept", schedule=None)(lambda work: None)
    return processes


def test_only_with_an_open_run() -> None:
    """A process of the store that the code lacks is known as long as its run is open, with what is stored of it."""
    store = MemoryStore(clock=MovableClock())
    processes = new_code(store)
    assert processes.removed() == ()
    run = claimed(store)
    (gone,) = processes.removed()
    state = gone.state()
    assert (state.name, state.defined, state.run and state.run.id) == ("gone", False, run)
    assert processes["kept"].state().defined
    gone.cancel_run()
    assert processes.removed() == ()
    assert gone.cancel_run() is None


def test_cancelled_once_its_holders_are_dead() -> None:
    """Cancelled, it stays open while a lease lasts; the same call then ends it as cancelled, with nothing lost."""
    store = MemoryStore(clock=(clock := MovableClock()))
    claimed(store, "a", "b")
    (gone,) = new_code(store).removed()
    stopped = gone.cancel_run()
    assert stopped is not None
    assert (stopped.state, stopped.counts.cancelled, stopped.counts.claimed) == (RunState.ABORTING, 1, 2)
    clock.advance(LEASE)
    ended = gone.cancel_run()
    assert ended is not None
    assert (ended.state, ended.reason, ended.counts.cancelled, ended.counts.lost) == (RunState.INCOMPLETE, "cancelled", 3, 0)
    assert not store.begin_sweep(["gone"], interval=LEASE, grace=timedelta(0))[0].unnotified


def test_a_live_holder_ends_its_item() -> None:
    """A worker that has the code, and item a, reports it after the cancel, and the run closes with it."""
    store = MemoryStore(clock=MovableClock())
    run = claimed(store, "a")
    (gone,) = new_code(store).removed()
    gone.cancel_run()
    assert store.release("gone", run, ["a"], token="t").run is not None
    assert store.run("gone", run).state is RunState.INCOMPLETE


def test_doctor() -> None:
    """`doctor` names it when no sweep looked at its run for long, and not while another app sweeps it."""
    store = MemoryStore(clock=(clock := MovableClock(datetime(2026, 3, 2, 12, tzinfo=UTC))))
    processes = new_code(store)

    def finding() -> Finding:
        return next(one for one in examine(processes, clock=clock, patience=None) if one.check == "removed")

    claimed(store)
    assert finding().ok
    clock.advance(timedelta(minutes=3))
    assert not finding().ok
    assert "gone" in finding().text
    assert "process cancel gone" in finding().cure
    store.begin_sweep(["gone"], interval=LEASE, grace=LEASE)
    assert finding().ok


def test_no_name_of_anything() -> None:
    """A name that neither the code nor an open run has stays unknown."""
    with pytest.raises(exceptions.ProcessNotFound):
        new_code(MemoryStore())["gone"]
