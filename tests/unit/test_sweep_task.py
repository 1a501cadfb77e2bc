"""The sweep on Celery's side: which queue it goes to, how many are out, and how long a store is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from celery_process import Processes
from celery_process.engine import patience
from celery_process.engine.patience import Budget, within
from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.model import RunSpec, Swept
from celery_process.protocol.states import Again, By
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.background import MOMENT, background
from celery_process.tasks.sweep_timer import LONGEST_EXPIRY, LONGEST_WAIT, SWEEP_TASK, Flow, SweepTimer, sweep_budget

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestFlow:
    def test_one_an_interval_where_they_arrive(self) -> None:
        """Where each sweep arrives before the next interval, each is valid for one."""
        flow, valid = Flow(), []
        for now in range(20):
            assert flow.due(now)
            valid.append(flow.sent(now))
            assert not flow.due(now + 0.1)
            flow.arrived = True
        assert valid == [1] * 20

    def test_few_where_none_arrives(self) -> None:
        """Where nobody consumes them, an hour of intervals of ten seconds leaves 62 messages, not 360."""
        flow = Flow()
        sent = [(now, flow.sent(now)) for now in range(360) if flow.due(now)]
        assert len(sent) == 62
        assert [now for now, _ in sent[:5]] == [0, 1, 3, 7, 13]
        assert [valid for _, valid in sent[:8]] == [1, 2, 4, 8, 16, 32, LONGEST_EXPIRY, LONGEST_EXPIRY]

    def test_a_long_queue(self) -> None:
        """Behind a queue of twenty intervals sweeps arrive all the same, one after the other."""
        flow, queue, arrived = Flow(), list[tuple[int, int]](), 0
        for now in range(400):
            while queue and now - queue[0][0] >= 20:
                at, valid = queue.pop(0)
                if now - at <= valid:
                    flow.arrived, arrived = True, arrived + 1
            if flow.due(now):
                queue.append((now, flow.sent(now)))
        assert arrived > 20
        assert len(queue) <= 20

    def test_it_recovers(self) -> None:
        """After a time without arrivals the first one brings the next at once."""
        flow = Flow(rounds=5, sent_at=0)
        assert not flow.due(LONGEST_WAIT - 1)
        flow.arrived = True
        assert flow.due(1)


class TestQueue:
    @pytest.fixture
    def timer(self) -> Any:
        app = Celery("queues", broker="memory://", set_as_current=False)
        app.conf.task_routes = {SWEEP_TASK: {"queue": "sweeps"}}
        Processes(app, backend=MemoryStore())
        direct, fan = Exchange("x", type="direct"), Exchange("f", type="fanout")

        def queue_of(*names: str, fans: tuple[str, ...] = ()) -> str | None:
            queues = [Queue(name, fan) for name in fans] + [Queue(name, direct) for name in names]
            timer.parent = SimpleNamespace(app=app, task_consumer=SimpleNamespace(queues=queues))
            return timer._queue(timer.parent)

        timer = SweepTimer(SimpleNamespace(app=app))
        timer.queue_of = queue_of
        return timer

    def test_where_it_is_routed(self, timer: Any) -> None:
        """A worker that consumes the routed queue publishes there."""
        assert timer.queue_of("a", "sweeps", "b") == "sweeps"

    def test_else_to_one_that_this_worker_consumes(self, timer: Any) -> None:
        """A worker of other queues publishes to its first, never to one that every worker gets."""
        assert timer.queue_of("a", "b", fans=("all",)) == "a"

    def test_to_none(self, timer: Any, caplog: pytest.LogCaptureFixture) -> None:
        """A worker without a queue for it says so once, and publishes nothing."""
        assert timer.queue_of(fans=("all",)) is None
        assert timer.queue_of() is None
        assert [record.message for record in caplog.records if "sweeps" in record.message] == [
            "This worker publishes no sweeps, since it consumes no queue for them; start one on the queue 'sweeps'."
        ]


class TestAStoreThatHangs:
    @pytest.fixture
    def answers(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()

    def test_it_is_left(self, answers: threading.Event) -> None:
        """A call is left after its seconds, and no other is made while it waits; then the next is made again."""
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="hang"):
                within(0.05, answers.wait, operation="hang")
        assert sum(thread.name == "celery_process.hang" for thread in threading.enumerate()) == 1
        answers.set()
        patience._hanging["hang"].join(10)
        assert within(10, lambda: 7, operation="hang") == 7

    def test_what_it_raises_is_raised(self) -> None:
        """An error within the seconds is the call's own."""
        with pytest.raises(ZeroDivisionError):
            within(10, lambda: 1 / 0, operation="error")

    def test_the_sweep_gives_up(self, answers: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
        """The task of the sweep ends without an error, so that its child is free; other processes are not asked either."""
        monkeypatch.setattr("celery_process.app.sweep_budget", lambda interval: Budget(0.1, answer=0.05))
        app = Celery("hangs", broker="memory://", set_as_current=False)
        store = MemoryStore()
        monkeypatch.setattr(store, "begin_sweep", lambda *args, **kwargs: answers.wait())
        processes = Processes(app, backend=store)
        processes.process("p", schedule=60)(lambda work: None)
        assert app.tasks[SWEEP_TASK].apply().successful()
        answers.set()

    @pytest.mark.parametrize(("interval", "seconds"), [(0.5, 0.5), (2, 1), (10, 2.5), (60, 15)])
    def test_the_deadline_is_below_the_interval(
        self, interval: float, seconds: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sweep waits a quarter of its interval for the first answer, though at least a second where that is shorter."""
        waited: list[float] = []
        monkeypatch.setattr(patience, "within", lambda seconds, call, **_: waited.append(seconds))
        sweep_budget(timedelta(seconds=interval)).of(MemoryStore()).now()
        assert waited == [seconds]


class TestABrokerThatHangs:
    @pytest.fixture
    def answers(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()
        background.reset()

    def test_the_loop_goes_on(self, answers: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
        """The worker's timer comes back at once, and publishes one sweep at a time: none more while one is on its way."""
        app, sent = Celery("silent", broker="memory://", set_as_current=False), list[str]()

        def send_task(name: str, **_: Any) -> None:
            sent.append(name)
            answers.wait()

        monkeypatch.setattr(app, "send_task", send_task)
        parent = SimpleNamespace(app=app, task_consumer=SimpleNamespace(queues=[Queue("q", Exchange("x", type="direct"))]))
        timer = SweepTimer(parent)
        began = time.monotonic()
        for _ in range(50):
            timer._publish(parent, 0.001)
            timer._received(SimpleNamespace(name=SWEEP_TASK))
        assert time.monotonic() - began < MOMENT
        assert wait_until(lambda: sent == [SWEEP_TASK])
        answers.set()
        assert wait_until(lambda: not timer.publishing)
        timer._publish(parent, 0.001)
        assert wait_until(lambda: sent == [SWEEP_TASK] * 2)

    def test_a_broker_that_is_away_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sweep that could not be published is over; the next one is."""
        app = Celery("away", broker="memory://", set_as_current=False)
        asked: list[str] = []

        def send_task(name: str, **_: Any) -> None:
            asked.append(name)
            raise OSError("nobody is there")

        monkeypatch.setattr(app, "send_task", send_task)
        parent = SimpleNamespace(app=app, task_consumer=SimpleNamespace(queues=[Queue("q", Exchange("x", type="direct"))]))
        timer = SweepTimer(parent)
        for number in range(3):
            timer.flow = Flow()
            timer._publish(parent, 0.001)
            assert wait_until(lambda: not timer.publishing)
            assert len(asked) == number + 1


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


class TestTheTimeOfASweep:
    @pytest.fixture
    def processes(self) -> Processes:
        app = Celery("times", broker="memory://", set_as_current=False)
        processes = Processes(app, backend=MemoryStore())
        for name in "abcd":
            process = processes.process(name, schedule=60)(lambda work: None)
            process.register_work("x")
            process.dispatch.store.claim_run(
                name, uuid=name, slot=process.dispatch.slot_of(NOON, None), spec=RunSpec(), again=Again.ALWAYS, by=By.BEAT
            )
        return processes

    def test_a_hang_in_its_midst(self, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that answers and then hangs is waited for once, not for each process, nor for the late slots after it."""
        answers, asked, store = threading.Event(), list[str](), processes.store

        def hangs(process: str, *_: Any, **__: Any) -> Any:
            asked.append(process)
            answers.wait()
            raise StoreUnavailable("it was away", operation="sweep_run")

        monkeypatch.setattr(store, "sweep_run", hangs)
        monkeypatch.setattr("celery_process.app.sweep_budget", lambda interval: Budget(0.5, answer=0.5))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="The time is used up before 'newest_slots'"):
            processes.sweep(within=timedelta(seconds=0.5))
        assert time.monotonic() - began < 1.5
        assert len(asked) == 1
        answers.set()

    def test_a_broker_that_hangs_in_its_midst(self, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Items that the broker does not take hold up a sweep no longer than a store does."""
        answers, asked = threading.Event(), list[str]()

        def send(*_: Any, **__: Any) -> None:
            asked.append("items")
            answers.wait()

        monkeypatch.setattr("celery_process.tasks.publish.CeleryPort.send", send)
        monkeypatch.setattr("celery_process.app.sweep_budget", lambda interval: Budget(0.5, answer=0.5))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            processes.sweep(within=timedelta(seconds=0.5))
        assert time.monotonic() - began < 1.5
        assert asked == ["items"]
        answers.set()

    def test_what_is_left_is_the_next_ones(self, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Processes that take long leave time for the late slots, and none is left out by every sweep."""
        asked, clock = list[str](), [0.0]
        monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: clock[0]))

        def slow(process: str, *_: Any, **__: Any) -> Swept:
            asked.append(process)
            clock[0] += 4
            return Swept()

        monkeypatch.setattr(processes.store, "sweep_run", slow)
        monkeypatch.setattr(processes["a"].dispatch.__class__, "advance", lambda *args, **kwargs: None)
        for number in range(40):
            assert processes.sweep(force=True, within=timedelta(seconds=10)) == tuple("abcd")
            assert len(asked) == 2 * (number + 1)
        assert set(asked) == set("abcd")


def test_a_sweep_ends_where_the_store_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that goes away in a sweep is not asked for each of the other processes."""
    app = Celery("ends", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    store = MemoryStore()
    processes = Processes(app, backend=store)
    asked: list[str] = []

    def unavailable(process: str, run: str, **_: Any) -> Any:
        asked.append(process)
        raise StoreUnavailable("sweep_run did not answer; try again later.", operation="sweep_run")

    for name in ("a", "b", "c"):
        process = processes.process(name, schedule=60)(lambda work: None)
        process.register_work("x")
        process.dispatch.store.pause(name, note="", by="")
    monkeypatch.setattr(store, "sweep_run", unavailable)
    for name in ("a", "b", "c"):
        store.resume(name)
        monkeypatch.setattr(processes[name].dispatch.__class__, "advance", lambda *args, **kwargs: None)
        processes[name].run_now()
    processes.sweep()
    assert len(asked) == 1
