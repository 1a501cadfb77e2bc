"""What a worker's log and its monitors hear of items that fail, and of messages that meet an outage."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore

from celery_process import Process, Processes, Tolerance
from celery_process.app import registries
from celery_process.exceptions import AccessDenied, CorruptData, RefusedValue, SchemaMismatch, StoreError, StoreUnavailable
from celery_process.signals import work_finished
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.factory import LONGEST_WAIT, MAX_TRIES, TRIES
from celery_process.tasks.shutdown import ShutdownNote, shutting_down


class Line(MemoryStore):
    """The memory store behind a line that can be cut for some operations."""

    cut: frozenset[str] = frozenset()

    def _pass(self, operation: str) -> None:
        if operation in self.cut:
            raise StoreUnavailable(f"{operation} did not answer; check that the store is up.", operation=operation)

    def claim(self, *given, **named):
        self._pass("claim")
        return super().claim(*given, **named)

    def report(self, *given, **named):
        self._pass("report")
        return super().report(*given, **named)

    def open_page(self, *given, **named):
        self._pass("open_page")
        return super().open_page(*given, **named)


def boom(work: Any) -> None:
    work.add_stats("seen")
    if work.name in ("b", "c"):
        raise ValueError(f"{work.name} is broken")


def make(handler: Any = boom, *, eager: bool = True, **options: Any) -> Process:
    app = Celery("logs", set_as_current=False, broker="memory://")
    app.conf.task_always_eager = eager
    process = Processes(app, backend=Line()).process("p", schedule=60, **options)(handler)
    process.register_works(dict.fromkeys("abcd"))
    return process


@pytest.mark.parametrize("size", [1, 4], ids=["alone", "in a batch"])
def test_each_failed_item_is_one_warning(size: int, caplog: pytest.LogCaptureFixture) -> None:
    """It has the item's name, its error and its handler's traceback; Celery adds a line a message, with no traceback."""
    process = make(batch_size=size)
    with caplog.at_level(logging.INFO):
        process.run_now()
    failed = [record for record in caplog.records if getattr(record, "action", "") == "item_failed"]
    assert [(record.levelname, record.work_name, record.process_name) for record in failed] == [
        ("WARNING", "b", "p"),
        ("WARNING", "c", "p"),
    ]
    assert [record.exc_info[1].args[0] for record in failed] == ["b is broken", "c is broken"]
    assert "b ended INCOMPLETE in attempt 1: ValueError: b is broken" in failed[0].getMessage().replace(" of p", "")
    assert all(record.run_id for record in failed)
    others = [record for record in caplog.records if record.exc_info and record not in failed]
    assert others == []
    assert "raised unexpected" not in caplog.text
    assert caplog.text.count("raised expected") == (2 if size == 1 else 1)


def test_an_item_that_only_recorded_errors_has_its_last_one(caplog: pytest.LogCaptureFixture) -> None:
    """Without an exception there is no traceback, and the text says it."""
    process = make(lambda work: [work.add_error(f"no {number}") for number in range(2)], tolerance=Tolerance(1, 25))
    with caplog.at_level(logging.WARNING):
        process.run_now()
    failed = [record for record in caplog.records if getattr(record, "action", "") == "item_failed"]
    assert failed[0].getMessage() == "Item a of p ended ABORTED in attempt 1: no 1"
    assert failed[0].exc_info is None


def test_the_signal_has_what_the_handler_raised() -> None:
    """A receiver of `work_finished` may send it on, as to an error tracker."""
    heard = []

    def hear(error: BaseException | None = None, work: str = "", **_: Any) -> None:
        heard.append((work, type(error)))

    work_finished.connect(hear)
    try:
        make().run_now()
    finally:
        work_finished.disconnect(hear)
    assert heard == [("a", type(None)), ("b", ValueError), ("c", ValueError), ("d", type(None))]


class Office:
    """An app that does not run eagerly, with a run of four items of its process; notes what tasks publish."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.process = make(eager=False, batch_size=4)
        self.store: Any = self.process.dispatch.store
        self.published: list[dict[str, Any]] = []
        monkeypatch.setattr("celery_process.tasks.publish.CeleryPort.send", lambda *_, **__: None)
        self.run_id = self.process.run_now().id
        for kind in ("work", "schedule"):
            task = registry_of_process(self.process)[f"p.{kind}"]
            monkeypatch.setattr(task, "apply_async", partial(self._publish, task.name))

    def _publish(self, task: str, **options: Any) -> None:
        self.published.append({"task": task, **options})

    def deliver(
        self, kind: str, kwargs: dict[str, Any], headers: dict[str, Any], ends: type[BaseException] = Ignore
    ) -> None:
        """Run a task as a worker does; it ends as one that did nothing, or with another error."""
        task = registry_of_process(self.process)[f"p.{kind}"]
        task.push_request(headers=headers, kwargs=kwargs, is_eager=False, root_id="root", parent_id="root", hostname="w")
        try:
            with pytest.raises(ends):
                task.run(**kwargs)
        finally:
            task.pop_request()


def registry_of_process(process: Process) -> Any:
    (registry,) = [made for made in registries() if process.name in made and made[process.name] is process]
    return registry.app.tasks


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    """Give an app with an open run."""
    return Office(monkeypatch)


def test_a_message_that_meets_an_outage_comes_again(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """The same names are published with a countdown that doubles, so often at most; each time one line says so."""
    office.store.cut = frozenset({"claim"})
    kwargs: dict[str, Any] = {"process": "p", "run": office.run_id, "works": list("abcd")}
    headers: dict[str, Any] = {"cp_schema": 1}
    with caplog.at_level(logging.INFO):
        for _ in range(MAX_TRIES + 1):
            office.deliver("work", kwargs, headers)
            headers = office.published[-1]["headers"]
    assert [message["countdown"] for message in office.published] == [2, 4, 8, 16, *[LONGEST_WAIT] * (MAX_TRIES - 4)]
    assert all(message["kwargs"] == kwargs and message["task"] == "p.work" for message in office.published)
    assert {message["root_id"] for message in office.published} == {"root"}
    assert [message["headers"][TRIES] for message in office.published] == list(range(1, MAX_TRIES + 1))
    lines = [record for record in caplog.records if record.name.startswith("celery_process")]
    assert [record.levelname for record in lines] == ["WARNING"] * (MAX_TRIES + 1)
    assert all(record.exc_info is None for record in lines)
    assert "the sweep publishes its items" in lines[-1].getMessage()
    office.store.cut = frozenset()


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (StoreUnavailable("Away.", operation="check"), True),
        (SchemaMismatch("Of version 9.", operation="check"), True),
        (SchemaMismatch("A table is missing.", operation="claim"), True),
        (AccessDenied("May not.", operation="claim"), True),
        (CorruptData("Broken.", operation="claim"), False),
        (RefusedValue("Too long.", operation="claim"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_message_whose_claim_was_refused(
    office: Office, error: StoreError, again: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes again where tables or rights may be there by then, as in a rolling deployment, and is not eaten."""

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(office.store, "claim", refuse)
    kwargs = {"process": "p", "run": office.run_id, "works": list("abcd")}
    office.deliver("work", kwargs, {"cp_schema": 1}, Ignore if again else type(error))
    assert [(message["kwargs"], message["countdown"]) for message in office.published] == ([(kwargs, 2)] if again else [])
    assert str(error) in caplog.text


def test_the_message_of_a_next_page_comes_again(office: Office) -> None:
    """An outage when a page is due costs seconds: the token under which it is awaited goes along."""
    office.store.cut = frozenset({"open_page"})
    office.deliver("schedule", {"run": office.run_id, "token": "t"}, {})
    (message,) = office.published
    assert (message["task"], message["kwargs"]) == ("p.schedule", {"run": office.run_id, "token": "t"})
    assert message["countdown"] == 2


def test_a_header_that_is_no_number_ends_it(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """A foreign message does not come again for ever."""
    office.store.cut = frozenset({"claim"})
    kwargs = {"process": "p", "run": office.run_id, "work": "a"}
    office.deliver("work", kwargs, {TRIES: "x"})
    assert [message["headers"][TRIES] for message in office.published] == [MAX_TRIES]


def test_an_outage_at_a_report_is_no_claim_s(office: Office) -> None:
    """Items that were begun are somebody's until their leases end: their message does not come again."""
    office.store.cut = frozenset({"report"})
    task = registry_of_process(office.process)["p.work"]
    assert issubclass(StoreUnavailable, task.throws)
    task.push_request(headers={}, is_eager=False)
    try:
        with pytest.raises(StoreUnavailable):
            task.run(process="p", run=office.run_id, work="a")
    finally:
        task.pop_request()
    assert office.published == []


def test_throws_of_the_project_stay() -> None:
    """What a project expects of its tasks is expected still."""
    process = make(task_options={"throws": (KeyError,)})
    assert {KeyError, StoreError} <= set(registry_of_process(process)["p.work"].throws)


@pytest.mark.parametrize(
    ("conf", "options", "limits"),
    [
        ({}, {}, (None, None)),
        ({"task_soft_time_limit": 30, "task_time_limit": 60}, {}, (30, 60)),
        ({"task_soft_time_limit": 30}, {"task_options": {"soft_time_limit": 10, "time_limit": 20}}, (10, 20)),
        ({"task_time_limit": 60}, {"time_limit": 5}, (None, 5)),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_has_the_limits_of_its_items(
    conf: dict[str, Any], options: dict[str, Any], limits: tuple[Any, Any], when: str
) -> None:
    """Soft and hard limits, of the project, of the task or of the process, are of one item; a message has as many times."""
    app = Celery("limits", set_as_current=False, broker="memory://")
    app.conf.update(conf)
    if when == "after":
        app.finalize()
    Processes(app, backend=MemoryStore()).process("p", schedule=60, batch_size=4, **options)(boom)
    app.finalize()
    task = app.tasks["p.work"]
    assert (task.soft_time_limit, task.time_limit) == tuple(limit and limit * 4 for limit in limits)


def test_an_eager_run_knows_no_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note of a worker that stopped in this interpreter is of its app's tasks in a worker, not of an eager run."""
    process = make(lambda work: None, batch_size=2)
    tasks = registry_of_process(process)
    app = tasks["p.work"].app
    note = ShutdownNote(SimpleNamespace(app=app))
    note.close(SimpleNamespace(app=app))
    try:
        assert process.run_now().counts.completed == 4
        assert not shutting_down(app)
        in_worker = SimpleNamespace(request=SimpleNamespace(is_eager=False))
        monkeypatch.setattr(Celery, "current_worker_task", in_worker)
        assert shutting_down(app)
        assert not shutting_down(Celery("other", set_as_current=False))
    finally:
        note.start(SimpleNamespace(app=app))
