"""What a message of a process carries, which messages a worker refuses, and how the task of one ends."""

from __future__ import annotations

import ast
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import Ignore

from celery_process import Process, Processes, WorkState
from celery_process.exceptions import WorkFailed
from celery_process.protocol.states import WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.publish import LATE_SLOT, SCHEMA, batched


class Office:
    """An app over a broker in memory, with a process of four items, and what stands in its queue."""

    def __init__(self, **options: Any) -> None:
        self.app = Celery("messages", set_as_current=False, broker="memory://")
        self.app.conf.task_default_queue = f"q-{uuid4().hex}"
        self.process: Process = Processes(self.app, backend=MemoryStore()).process("p", schedule=60, **options)(self.handle)
        self.process.register_works(dict.fromkeys("abcd"))
        self.worked: list[str] = []

    def handle(self, work: Any) -> None:
        self.worked.append(work.name)
        if work.name == "d":
            raise ValueError("d is broken")

    def messages(self) -> list[Any]:
        """Take all messages out of the queue."""
        found = []
        with self.app.connection_for_read() as connection:
            queue = self.app.amqp.queues[self.app.conf.task_default_queue].bind(connection.default_channel)
            while (message := queue.get(no_ack=True)) is not None:
                found.append(message)
        return found

    def deliver(self, kwargs: dict[str, Any], *, headers: Any = None, kind: str = "work") -> str:
        """Run the task of a message as a worker does."""
        task = self.app.tasks[f"p.{kind}"]
        task.push_request(id="t", headers=headers, kwargs=kwargs, is_eager=False, hostname="w")
        try:
            return task.run(**kwargs)
        finally:
            task.pop_request()

    def of(self, *names: str, **more: Any) -> dict[str, Any]:
        return {"process": "p", "run": self.process.state().run.id, "works": list(names), **more}


@pytest.fixture
def office() -> Iterator[Office]:
    """Give an app whose process has an open run."""
    office = Office()
    office.process.run_now()
    yield office
    office.messages()


def kwargs_of(message: Any) -> dict[str, Any]:
    args, kwargs, _ = message.payload
    assert args == []
    return kwargs


class TestWhatOneCarries:
    def test_an_item(self, office: Office) -> None:
        """Process, run and item as keyword arguments, the version of these, and a text of them for monitors."""
        run, messages = office.process.state().run, office.messages()
        assert [kwargs_of(message) for message in messages] == [
            {"process": "p", "run": run.id, "work": name} for name in "abcd"
        ]
        for message in messages:
            assert message.headers["task"] == "p.work"
            assert message.headers["cp_schema"] == SCHEMA == 1
            assert ast.literal_eval(message.headers["kwargsrepr"]) == kwargs_of(message)
            assert (message.headers["shadow"], message.headers["ignore_result"], message.content_type) == (
                None,
                True,
                "application/json",
            )

    def test_several_items(self) -> None:
        """Names travel under `works`; one that is left over under `work`."""
        office = Office(batch_size=3)
        office.process.run_now()
        assert [set(kwargs_of(message)) - {"process", "run"} for message in office.messages()] == [{"works"}, {"work"}]

    def test_many_items(self) -> None:
        """The text for monitors is a dict that Celery does not cut, with the first of the names."""
        office, names = Office(batch_size=90), [f"a-long-name-of-an-item-{number:03}" for number in range(90)]
        office.process.register_works(dict.fromkeys(names))
        office.process.run_now()
        message = office.messages()[0]
        shown = ast.literal_eval(message.headers["kwargsrepr"])
        assert len(kwargs_of(message)["works"]) == 90
        assert shown["works"][:20] == kwargs_of(message)["works"][:20]
        assert shown["works"][-1].endswith("more")

    def test_an_item_to_be_cleaned(self) -> None:
        """It has the name of the other task, and the same arguments."""
        office = Office()
        office.process.dispatch.port.send(WorkList.CLEANUP, ("a", "b"), "1-r")
        messages = office.messages()
        assert [message.headers["task"] for message in messages] == ["p.cleanup"] * 2
        assert [kwargs_of(message) for message in messages] == [
            {"process": "p", "run": "1-r", "work": name} for name in "ab"
        ]

    def test_all_items_of_a_page_have_one_root(self, office: Office) -> None:
        """Where no task began the run, the first item's is the root and the parent of the others."""
        first, *others = [message.headers for message in office.messages()]
        assert (first["root_id"], first["parent_id"]) == (first["id"], None)
        assert {(one["root_id"], one["parent_id"]) for one in others} == {(first["id"], first["id"])}

    @pytest.mark.parametrize(("root", "expected"), [("root", "root"), (None, "trigger")])
    def test_the_task_that_began_the_run_is_the_root(
        self, root: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its own root, or itself if it has none, so that monitors show a run as one tree."""
        office = Office()
        request = Context(id="trigger", root_id=root, is_eager=False, hostname="w", delivery_info={})
        monkeypatch.setattr(Celery, "current_worker_task", SimpleNamespace(request=request))
        office.process.run_now()
        headers = [message.headers for message in office.messages()]
        assert len(headers) == 4
        assert {(one["root_id"], one["parent_id"]) for one in headers} == {(expected, expected)}

    def test_where_it_goes(self) -> None:
        """Options of publishing are those of the process; those of a task are not sent along."""
        queue = f"q-{uuid4().hex}"
        office = Office(task_options={"queue": queue, "priority": 7, "rate_limit": "1/s"})
        office.process.run_now()
        assert office.messages() == []
        office.app.conf.task_default_queue = queue
        office.app.amqp.queues.select_add(queue)
        assert [message.properties["priority"] for message in office.messages()] == [7] * 4


class TestRefusals:
    @pytest.mark.parametrize(
        "headers", [{"cp_schema": SCHEMA + 1}, {"cp_schema": 99}, {"cp_schema": "1"}, {"cp_schema": None}], ids=repr
    )
    def test_a_newer_message(self, office: Office, headers: Any, caplog: pytest.LogCaptureFixture) -> None:
        """A worker takes no message whose version it does not know: nothing of it is claimed, and one line says so."""
        with caplog.at_level(logging.ERROR):
            assert office.deliver(office.of("a"), headers=headers) == "refused"
        assert office.worked == []
        assert office.process.state().run.counts.claimed == 0
        [line] = [record for record in caplog.records if getattr(record, "action", "") == "message_refused"]
        assert line.process_name == "p"
        assert f"{headers['cp_schema']}" in line.getMessage()

    @pytest.mark.parametrize("headers", [None, {}, {"cp_schema": SCHEMA}, {"cp_schema": SCHEMA - 1}], ids=repr)
    def test_a_known_message(self, office: Office, headers: Any) -> None:
        """One without a version is somebody's own message of today's, and an older one is known."""
        assert office.deliver(office.of("a"), headers=headers) == "COMPLETED"
        assert office.worked == ["a"]

    @pytest.mark.parametrize(
        "change",
        [{"process": "q"}, {"process": None}, {"run": 7}, {"works": "ab"}, {"works": ["a", 7]}, {"works": None}],
        ids=repr,
    )
    def test_other_arguments(self, office: Office, change: dict[str, Any]) -> None:
        """A message for another process, or with arguments of other types, is refused whole."""
        assert office.deliver({**office.of("a", "b"), **change}) == "refused"
        assert office.worked == []


class TestEnds:
    def test_it_completed(self, office: Office) -> None:
        """The result is the store's word for the item, or counts the items; the item is done by then."""
        assert office.deliver(office.of(work="a")) == "COMPLETED"
        assert office.deliver(office.of("b", "c")) == "2 COMPLETED"
        assert office.process.state().run.counts.completed == 3

    def test_it_failed(self, office: Office) -> None:
        """The error names the item with the command that shows it, and the handler's own is its cause."""
        with pytest.raises(WorkFailed, match=r"'d' ended INCOMPLETE: ValueError: d is broken.*process work p d") as caught:
            office.deliver(office.of("d"))
        assert isinstance(caught.value.__cause__, ValueError)
        assert office.process.work("d").status.state is WorkState.INCOMPLETE

    def test_it_was_done_already(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """A copy of a message is neither a success nor a failure, and monitors hear that it did nothing."""
        events: list[tuple[str, dict[str, Any]]] = []
        task = office.app.tasks["p.work"]
        monkeypatch.setattr(task, "send_event", lambda kind, **fields: events.append((kind, fields)))
        office.deliver(office.of("a"))
        assert events == []
        with pytest.raises(Ignore, match="done"):
            office.deliver(office.of("a"))
        assert events == [("task-revoked", {"terminated": False, "signum": None, "expired": False})]
        assert office.worked == ["a"]

    def test_no_event_where_none_is_wanted(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """A project that switched events of its tasks off gets none."""
        events: list[str] = []
        task = office.app.tasks["p.work"]
        monkeypatch.setattr(task, "send_event", lambda kind, **fields: events.append(kind))
        monkeypatch.setattr(task, "send_events", False)
        office.deliver(office.of("a"))
        with pytest.raises(Ignore):
            office.deliver(office.of("a"))
        assert events == []

    def test_an_event_that_cannot_be_sent(
        self, office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It changes nothing of how the task ends."""

        def fails(kind: str, **_: Any) -> None:
            raise OSError("nobody is there")

        monkeypatch.setattr(office.app.tasks["p.work"], "send_event", fails)
        office.deliver(office.of("a"))
        with pytest.raises(Ignore):
            office.deliver(office.of("a"))
        assert [record.action for record in caplog.records if hasattr(record, "action")] == ["event_unsent"]

    def test_a_part_was_done_already(self, office: Office) -> None:
        """Of a batch only what was worked on here counts."""
        office.deliver(office.of("a"))
        assert office.deliver(office.of("a", "b")) == "COMPLETED"
        assert office.worked == ["a", "b"]

    def test_its_task_is_kept_with_the_item(self, office: Office) -> None:
        """The id of the task leads to its lines in the worker's log."""
        office.deliver(office.of("a"))
        assert office.process.work("a").status.task_id == "t"


class TestTriggers:
    def test_the_next_page(self, office: Office) -> None:
        """The scheduling task comes back after a while with run and token, and does not expire before that."""
        office.messages()
        before = datetime.now(UTC)
        office.process.dispatch.port.come_back("1-r", "token", timedelta(seconds=90))
        [message] = office.messages()
        assert message.headers["task"] == "p.schedule"
        assert kwargs_of(message) == {"run": "1-r", "token": "token"}
        assert message.headers["expires"] is None
        eta = datetime.fromisoformat(message.headers["eta"])
        assert timedelta(seconds=89) < eta - before < timedelta(seconds=120)

    def test_a_late_slot(self, office: Office) -> None:
        """Its trigger says that no beat sent it, and is valid for as long as the slot is."""
        office.messages()
        before = datetime.now(UTC)
        office.process.dispatch.port.publish_trigger(timedelta(minutes=10))
        deadline, found = time.monotonic() + 20, office.messages()
        while not found and time.monotonic() < deadline:  # a thread sends it
            time.sleep(0.01)
            found = office.messages()
        [message] = found
        assert (message.headers["task"], kwargs_of(message), message.headers[LATE_SLOT]) == ("p.schedule", {}, True)
        expires = datetime.fromisoformat(message.headers["expires"])
        assert timedelta(minutes=9) < expires - before < timedelta(minutes=11)

    @pytest.mark.parametrize(("seconds", "whole"), [(0.2, 1), (1.2, 2), (3, 3)])
    def test_a_broker_that_delays_by_whole_seconds(
        self, office: Office, seconds: float, whole: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With quorum queues Celery refuses a part of a second: then it is the next whole one."""
        sent: list[tuple[float, dict[str, Any]]] = []

        def apply_async(*, kwargs: dict[str, Any], countdown: float, **_: Any) -> None:
            if countdown != int(countdown) or countdown < 1:
                raise ValueError("whole seconds")
            sent.append((countdown, kwargs))

        monkeypatch.setattr(office.app.tasks["p.schedule"], "apply_async", apply_async)
        office.process.dispatch.port.come_back("1-r", "token", timedelta(seconds=seconds))
        assert sent == [(whole, {"run": "1-r", "token": "token"})]

    def test_it_claims_a_slot_and_advances_a_run(self) -> None:
        """The result of the scheduling task says what it did, for whoever looks at it in a monitor."""
        office = Office(max_in_flight=2)
        claimed = office.deliver({}, kind="schedule")
        run = office.process.state().run
        assert claimed.split() == ["claimed", run.id]
        assert len(office.messages()) == 2
        assert office.deliver({"run": run.id, "token": ""}, kind="schedule") == f"advanced {run.id}"


def test_an_eager_item_that_fails_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks run in place, a project's `task_eager_propagates` does not end the page that sends them."""
    office = Office()
    office.app.conf.update(task_always_eager=True, task_eager_propagates=True)
    assert office.process.run_now().counts.incomplete == 1


class TestOneRoundTrip:
    def test_where_the_transport_can(self) -> None:
        """A producer that can send many messages at once is asked to."""
        entered: list[str] = []

        @contextmanager
        def batch() -> Iterator[None]:
            entered.append("in")
            yield
            entered.append("out")

        with batched(SimpleNamespace(batch=batch)):
            assert entered == ["in"]
        assert entered == ["in", "out"]

    def test_where_it_cannot(self) -> None:
        """Any other sends them one by one."""
        with batched(SimpleNamespace()) as nothing:
            assert nothing is None
