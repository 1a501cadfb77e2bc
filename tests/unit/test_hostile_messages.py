"""Messages that no publisher of this version sends: each is refused whole, or names nothing that there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery.exceptions import Ignore
from kombu.serialization import dumps, loads

from celery_process.tasks.publish import SCHEMA
from celery_process.testing.clock import MovableClock
from tests.hostile import NOW, TEXTS, VALUES, payloads
from tests.snapshots import snapshot

from .test_messages import Office

OF_JSON = [value for value in VALUES if value is None or isinstance(value, bool | int | float | str | list | dict)]
"""What a message of JSON may have for an argument."""


@pytest.fixture
def office() -> Any:
    """Give an app whose process has an open run, under a clock that stands still."""
    office = Office()
    office.process.store._clock = MovableClock(NOW)
    office.process.run_now()
    office.messages()
    return office


def refused(office: Office, kwargs: dict[str, Any], *, kind: str = "work", headers: Any = None) -> str:
    """Deliver a message, and return how its task ended; nothing was worked on, and the store is as it was."""
    before = snapshot(office.process.store)
    try:
        ended = office.deliver(kwargs, headers=headers, kind=kind)
    except Ignore as ignored:
        ended = f"ignored {ignored}"
    assert office.worked == []
    assert snapshot(office.process.store) == before
    return ended


@pytest.mark.parametrize("kind", ["work", "cleanup", "schedule"])
@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"self": 1},
        {"task": "os.system"},
        {"handler": "os.system"},
        {"__class__": "x"},
        {"args": [], "kwargs": {}},
        {"module": "os", "name": "system"},
        {"priority": 9, "deadline": "2026-01-01"},
    ],
    ids=str,
)
def test_arguments_of_another_version(office: Office, kind: str, change: dict[str, Any], caplog: Any) -> None:
    """An argument that this version does not have refuses the message with one line, not with a traceback."""
    kwargs = {"run": office.process.state().run.id} if kind == "schedule" else office.of("a")
    task = office.app.tasks[f"p.{kind}"]
    task.push_request(id="t", headers=None, kwargs=kwargs, is_eager=False, hostname="w")
    try:
        assert task.run(**kwargs, **change) == "refused"
    finally:
        task.pop_request()
    assert [record.action for record in caplog.records] == ["message_refused"]
    assert caplog.records[0].exc_info is None
    assert office.worked == []


@pytest.mark.parametrize("missing", ["process", "run"])
def test_an_argument_is_missing(office: Office, missing: str) -> None:
    """A message that was cut is refused."""
    kwargs = office.of("a")
    del kwargs[missing]
    assert refused(office, kwargs) == "refused"


def test_positional_arguments(office: Office) -> None:
    """No message of this library has any."""
    task = office.app.tasks["p.work"]
    task.push_request(id="t", headers=None, is_eager=False, hostname="w")
    try:
        assert task.run("p", office.process.state().run.id, "a") == "refused"
    finally:
        task.pop_request()
    assert office.worked == []


def test_who_calls_a_task_is_told_at_once(office: Office) -> None:
    """Celery checks the arguments of `delay` by the signature of the task."""
    for kind in ("schedule", "work", "cleanup"):
        with pytest.raises(TypeError):
            office.app.tasks[f"p.{kind}"].delay(nonsense=1)
    assert office.messages() == []


@pytest.mark.parametrize("argument", ["process", "run", "work", "works", "schedule run", "schedule token"])
def test_any_value_of_an_argument(office: Office, argument: str) -> None:
    """A wrong type is refused; a text that names nothing finds nothing."""
    kind, _, name = argument.rpartition(" ")
    run = office.process.state().run.id
    others = {"work": {}, "works": {}}.get(name, {"works": ["a"]})
    usual = {"run": run} if kind else {"process": "p", "run": run, **others}
    for value in OF_JSON:
        if value in ("a", "b") or (isinstance(value, list) and "a" in value):
            continue  # they are registered
        if kind and (value is None or (name == "token" and isinstance(value, str))):
            continue  # a trigger, and a caller that opens the next page
        ended = refused(office, {**usual, name: value}, kind=kind or "work")
        texts = value if name == "works" and isinstance(value, list) else [value]
        expected = ("advanced" if kind else "ignored") if texts and all(isinstance(one, str) for one in texts) else "refused"
        assert ended.split()[0] == ("refused" if name == "process" or (name, texts) == ("works", [value]) else expected), (
            value
        )


@pytest.mark.parametrize("kind", ["work", "schedule"])
@pytest.mark.parametrize("schema", [SCHEMA + 1, 99, 10**30, "1", "", None, 1.5, [1], {"v": 1}], ids=repr)
def test_a_newer_version(office: Office, kind: str, schema: Any) -> None:
    """The scheduling task refuses it as those of items do."""
    kwargs = {} if kind == "schedule" else office.of("a")
    assert refused(office, kwargs, kind=kind, headers={"cp_schema": schema}) == "refused"


@pytest.mark.parametrize("header", ["cp_tries", "cp_sent_at", "cp_late_slot", "celery_beat_task", "another"])
def test_any_value_of_a_header(header: str) -> None:
    """What a header of another program has ends no task."""
    office = Office()
    for value in OF_JSON:
        assert office.deliver({}, headers={header: value}, kind="schedule").split()[0] in ("claimed", "lost", "overlapped")
    office.messages()


@pytest.mark.parametrize("text", [text for text in payloads() if "." in text or "(" in text][:40], ids=ascii)
def test_nothing_is_imported_by_a_name(office: Office, text: str) -> None:
    """A name in a message is looked up among what was defined."""
    assert refused(office, {**office.of("a"), "process": text}) == "refused"
    assert refused(office, {**office.of(), "works": [text]}).startswith("ignored")
    assert refused(office, {**office.of("a"), "run": text}).startswith("ignored")
    assert f"{text}.work" not in office.app.tasks


def test_messages_of_items_are_read_as_json_alone(office: Office) -> None:
    """What is published is JSON through and through, whatever the names are."""
    names = [text for text in TEXTS if type(text) is str and text.isprintable() and 0 < len(text) <= 191]
    office.process.cancel_run()
    office = Office(batch_size=50)
    office.process.register_works(dict.fromkeys(names))
    office.process.run_now()
    found: list[str] = []
    for message in office.messages():
        assert message.content_type == "application/json"
        _, kwargs, _ = json.loads(message.body if isinstance(message.body, str) else message.body.decode())
        found += kwargs.get("works") or [kwargs["work"]]
    assert sorted(found) == sorted({*names, *"abcd"})


def test_a_pickle_is_no_message(office: Office) -> None:
    """An app that accepts JSON, as it must, does not unpickle."""
    content_type, encoding, data = dumps([[], office.of("a"), {}], serializer="pickle")
    with pytest.raises(Exception, match="untrusted content of type pickle"):
        loads(data, content_type, encoding, accept=office.app.conf.accept_content)
