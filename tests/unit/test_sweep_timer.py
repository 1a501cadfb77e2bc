"""The step of a worker that publishes sweeps: how it starts and stops, what it sends, and the task that takes it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.signals import task_received
from kombu import Exchange, Queue

from celery_process import Processes
from celery_process.exceptions import ConfigurationError, StoreUnavailable
from celery_process.stores.memory import MemoryStore
from celery_process.stores.warning import StoreWarning
from celery_process.tasks import sweep_timer as module
from celery_process.tasks.background import background
from celery_process.tasks.sweep_timer import SWEEP_TASK, Flow, SweepTimer
from celery_process.testing import MovableClock

BOUND = 20


class Entry:
    """An entry of a worker's timer."""

    def __init__(self, interval: float, call: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.interval, self.call, self.given, self.cancelled = interval, call, given, False

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        self.call(*self.given)


class Worker:
    """A consumer as Celery's worker starts it: its app, pool, timer and queues; broker and store are in memory."""

    def __init__(self, *, pool: Any = None, store: MemoryStore | None = None, **settings: Any) -> None:
        self.queue = f"q-{uuid4().hex}"
        self.app = Celery("timers", set_as_current=False, broker="memory://", task_default_queue=self.queue, **settings)
        self.store = store or MemoryStore()
        self.processes = Processes(self.app, backend=self.store)
        self.entries: list[Entry] = []
        self.pool, self.timer = pool, SimpleNamespace(call_repeatedly=self._call_repeatedly)
        self.task_consumer = SimpleNamespace(queues=[Queue(self.queue, Exchange(self.queue, type="direct"))])
        self.step = SweepTimer(self)

    def _call_repeatedly(self, interval: float, call: Callable[..., Any], given: tuple[Any, ...]) -> Entry:
        self.entries.append(Entry(interval, call, given))
        return self.entries[-1]

    def messages(self) -> list[Any]:
        """Take all messages out of the worker's queue."""
        found = []
        with self.app.connection_for_read() as connection:
            queue = self.app.amqp.queues[self.queue].bind(connection.default_channel)
            while (message := queue.get(no_ack=True)) is not None:
                found.append(message)
        return found

    def fired(self) -> list[Any]:
        """Let the timer call once, and return what stands in the queue when that is done."""
        self.entries[-1].fire()
        deadline = time.monotonic() + BOUND
        while self.step.publishing and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not self.step.publishing
        return self.messages()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Give a worker whose step was started."""
    worker = Worker(process_sweep_interval=7)
    worker.step.start(worker)
    yield worker
    worker.step.stop(worker)


def receive(name: str) -> None:
    task_received.send(sender=None, request=SimpleNamespace(name=name))


def instant_of(text: str) -> float:
    """Return an instant of a message's header in seconds since 1970."""
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


class TestPublishing:
    def test_a_sweep(self, worker: Worker) -> None:
        """Each interval one goes to the worker's own queue, in JSON, valid for an interval, with no result."""
        [entry] = worker.entries
        assert entry.interval == 7
        before = time.time()
        [message] = worker.fired()
        after = time.time()
        assert message.headers["task"] == SWEEP_TASK == "celery_process.sweep"
        assert message.payload[:2] == [[], {}]
        assert (message.content_type, message.headers["ignore_result"]) == ("application/json", True)
        expires = instant_of(message.headers["expires"])
        assert before + 7 - 1 <= expires <= after + 7 + 1

    def test_the_next_one(self, worker: Worker) -> None:
        """It follows when one arrived, of this worker or of another; the arrival of another task says nothing."""
        assert len(worker.fired()) == 1
        assert worker.fired() == []
        receive("p.work")
        assert worker.fired() == []
        task_received.send(sender=None, request=None)
        assert worker.fired() == []
        receive(SWEEP_TASK)
        assert len(worker.fired()) == 1

    def test_its_validity_grows_where_none_arrives(self, worker: Worker) -> None:
        """A sweep that waits in a long queue is valid for more intervals."""
        worker.step.flow = Flow(rounds=2, sent_at=time.monotonic() / 7 - 100)
        before = time.time()
        [message] = worker.fired()
        assert instant_of(message.headers["expires"]) - before == pytest.approx(8 * 7, abs=2)

    def test_none_where_the_thread_is_busy(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call that the background does not take is over; the next interval tries again."""
        monkeypatch.setattr(background, "do", lambda call, *, wait: False)
        assert worker.fired() == []
        monkeypatch.undo()
        worker.step.flow = Flow()
        assert len(worker.fired()) == 1

    def test_one_that_cannot_be_sent(
        self, worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is a line of the log."""

        def fails(*_: Any, **__: Any) -> None:
            raise OSError("nobody is there")

        monkeypatch.setattr(worker.app, "send_task", fails)
        assert worker.fired() == []
        assert [record.action for record in caplog.records if hasattr(record, "action")] == ["sweep_unpublished"]

    def test_in_a_queue_of_the_worker_s(self, worker: Worker) -> None:
        """A worker of another queue than the default one publishes into its own."""
        worker.queue = f"q-{uuid4().hex}"
        worker.task_consumer.queues = [Queue(worker.queue, Exchange(worker.queue, type="direct"))]
        worker.app.amqp.queues.select_add(worker.queue)
        assert [message.headers["task"] for message in worker.fired()] == [SWEEP_TASK]

    def test_none_without_a_queue(self, worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
        """A worker without a queue for it publishes nothing and says so once."""
        worker.task_consumer.queues = []
        for _ in range(3):
            assert worker.fired() == []
        assert worker.step.flow.sent_at is None
        assert [record.action for record in caplog.records if hasattr(record, "action")] == ["sweep_unpublished"]


class TestStarting:
    def test_a_stop(self) -> None:
        """Nothing is published after it, no arrival is heard of, and a second stop is no error."""
        worker = Worker()
        worker.step.stop(worker)
        worker.step.start(worker)
        [entry] = worker.entries
        receivers = len(task_received.receivers)
        worker.step.stop(worker)
        assert entry.cancelled
        assert len(task_received.receivers) == receivers - 1
        worker.step.stop(worker)
        assert worker.step.entry is None

    def test_two_workers_in_one_process(self) -> None:
        """Each hears of arrivals, and the end of one is none of the other's."""
        one, other = Worker(), Worker()
        for worker in (one, other):
            worker.step.start(worker)
        one.step.stop(one)
        receive(SWEEP_TASK)
        assert (one.step.flow.arrived, other.step.flow.arrived) == (False, True)
        other.step.stop(other)

    @pytest.mark.parametrize(
        ("pool", "refused"),
        [
            (None, False),
            (SimpleNamespace(uses_semaphore=False), False),
            (SimpleNamespace(), False),
            (SimpleNamespace(uses_semaphore=True), True),
        ],
    )
    def test_a_store_of_one_process(self, pool: Any, refused: bool) -> None:
        """A store in memory is refused in a worker with several operating-system processes, and in no other."""
        worker = Worker(pool=pool)
        if refused:
            with pytest.raises(ConfigurationError, match=r"memory://.*several.*--pool=threads") as caught:
                worker.step.start(worker)
            assert caught.value.facts["setting"] == "process_backend"
            assert worker.entries == []
        else:
            worker.step.start(worker)
            assert len(worker.entries) == 1
        worker.step.stop(worker)

    def test_a_shared_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that others see is taken, whatever the pool."""
        monkeypatch.setattr(MemoryStore, "shared", True)
        worker = Worker(pool=SimpleNamespace(uses_semaphore=True))
        worker.step.start(worker)
        assert len(worker.entries) == 1
        worker.step.stop(worker)

    def test_a_store_that_is_away(self, caplog: pytest.LogCaptureFixture) -> None:
        """The worker starts with an error in its log, and publishes sweeps: the store may be back for them."""

        class Away(MemoryStore):
            def check(self) -> Any:
                raise StoreUnavailable("It is away; wait.", operation="check")

        worker = Worker(store=Away())
        worker.step.start(worker)
        assert [(record.levelname, record.message) for record in caplog.records if hasattr(record, "action")] == [
            ("ERROR", "It is away; wait.")
        ]
        assert len(worker.fired()) == 1
        worker.step.stop(worker)

    def test_a_store_that_cannot_be_used(self) -> None:
        """Any other error ends the worker before its first message, and the connections of the check are closed."""
        closed: list[bool] = []

        class Broken(MemoryStore):
            def check(self) -> Any:
                raise ConfigurationError("No.", setting="process_backend", value="x")

            def close(self) -> None:
                closed.append(True)

        worker = Worker(store=Broken())
        with pytest.raises(ConfigurationError):
            worker.step.start(worker)
        assert worker.entries == []
        assert closed == [True]

    def test_warnings_of_the_store(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each is a line of the worker's log."""

        class Warned(MemoryStore):
            def check(self) -> Any:
                return (StoreWarning("It forgets.", "Keep it."), StoreWarning("It is old.", "Renew it."))

        worker = Worker(store=Warned())
        with caplog.at_level(logging.WARNING):
            worker.step.start(worker)
        lines = [(record.levelname, record.message) for record in caplog.records if hasattr(record, "action")]
        assert [level for level, _ in lines] == ["WARNING"] * 2
        assert ["It forgets." in lines[0][1], "It is old." in lines[1][1]] == [True, True]
        worker.step.stop(worker)

    def test_a_check_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The worker waits a few seconds for the store, and starts."""
        waited: list[tuple[float, str]] = []

        def hangs(seconds: float, call: Any, *, operation: str) -> Any:
            waited.append((seconds, operation))
            raise StoreUnavailable("It hangs.", operation=operation)

        monkeypatch.setattr(module, "within", hangs)
        worker = Worker()
        worker.step.start(worker)
        assert waited == [(module.STARTS_WITHIN, "check")]
        assert len(worker.entries) == 1
        worker.step.stop(worker)


class TestTheTask:
    def test_it_sweeps(self) -> None:
        """An item whose worker died is published again; the task keeps no result, and is this app's alone."""
        clock = MovableClock()
        worker = Worker(store=MemoryStore(clock=clock))
        process = worker.processes.process("p", schedule=60)(lambda work: None)
        process.register_work("a")
        run = process.run_now()
        assert len(worker.messages()) == 1
        worker.store.claim("p", run.id, ["a"], token="dead", lease=process.definition.lease, max_attempts=3)
        task = worker.app.tasks[SWEEP_TASK]
        clock.advance(process.definition.lease / 2)
        assert task.apply().successful()
        assert worker.messages() == []
        clock.advance(process.definition.lease)
        assert task.apply().successful()
        assert [message.payload[1]["work"] for message in worker.messages()] == ["a"]
        assert (task.ignore_result, task.trail) == (True, False)
        assert SWEEP_TASK not in Celery("other", set_as_current=False).tasks

    def test_a_store_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """It is a line, and no error of the task's."""
        worker = Worker()

        def fails(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("It is away; wait.", operation="begin_sweep")

        worker.processes.process("p", schedule=60)(lambda work: None)
        monkeypatch.setattr(worker.store, "begin_sweep", fails)
        assert worker.app.tasks[SWEEP_TASK].apply().successful()
        [line] = [record for record in caplog.records if getattr(record, "action", "") == "sweep_failed"]
        assert line.levelname == "WARNING"
        assert "It is away" in line.getMessage()
