"""State documents of the original, read: a whole one, the shapes that proto JSON allows, and what cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from celery_process import Process, Processes, RunState
from celery_process.exceptions import InvalidValue
from celery_process.monitor.original import document
from celery_process.protocol.states import WorkList
from celery_process.stores.memory import MemoryStore
from celery_process.transfer.from_original import parsed, read

GCKEYS: dict[str, Any] = {
    "processName": "gckeys",
    "instance": "6f1a1ac5-8e0f-4f6b-9f43-1f0a8f6fd5f2",
    "scheduleFrequency": "43200s",
    "activeWork": {
        "project-1": {
            "modified": "2020-03-02T10:00:00.123456789Z",
            "params": {"intParams": {"keysPerAccount": "10", "keyTtl": 2592000}, "stringParams": {"region": "eu"}},
            "status": {"startTime": "2020-05-01T00:00:00Z", "state": "COMPLETED", "totalErrors": "0"},
        },
        "project-2": {"modified": "2020-03-03T10:00:00+02:00", "params": {}, "status": {"state": "NEW"}},
    },
    "cleanupWork": {"project-3": "2020-04-01T00:00:00Z"},
    "droppedWork": {"project-4": "2020-02-01T00:00:00.5Z"},
    "settings": {"intParams": {"maxAccounts": "9007199254740993"}, "stringParams": {"mode": "fast"}},
    "settingsTime": "2020-04-01T00:00:00Z",
    "processStatus": {"startTime": "2020-05-01T00:00:00Z", "stats": {"runs": 1}, "state": "COMPLETED"},
    "aggregateStats": {"runs": 993, "duration": 4900.25, "errors": 10, "work.keysRemoved": 2003, "state.completed": 990},
}


def shop(module: str, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Return an app with a process `gckeys`, in a module that the command line finds."""
    import sys
    from types import ModuleType

    from celery import Celery

    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore())
    processes.process("gckeys", schedule=3600, settings={"mode": "slow"})(lambda work: work.add_stats("keysRemoved", 7))
    made = ModuleType(module)
    made.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, made)
    return processes


def call(module: str, *arguments: str) -> Any:
    from celery.bin.celery import celery

    return CliRunner().invoke(celery, ["-A", f"{module}:app", "process", *arguments])


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    from celery import current_app

    before = current_app._get_current_object()
    yield shop("cp_original_here", monkeypatch)
    before.set_current()


def change(**parts: Any) -> dict[str, Any]:
    return {**GCKEYS, **parts}


def test_a_whole_document() -> None:
    """Each part of the message becomes what it is here: lists, params, times, settings, schedule, aggregates."""
    reading = read(GCKEYS)
    stored, works = reading.stored, {work.name: work for work in reading.works}
    assert (stored.name, stored.epoch, stored.last_slot) == ("gckeys", 0, None)
    assert json.loads(stored.overrides.settings or "") == {"maxAccounts": 9007199254740993, "mode": "fast"}
    assert json.loads(stored.overrides.schedule or "") == {"interval": 43200.0}
    assert stored.overrides.changed_at == datetime(2020, 4, 1, tzinfo=UTC)
    assert stored.aggregate_stats == GCKEYS["aggregateStats"]
    assert isinstance(stored.aggregate_stats["runs"], int)
    assert works["project-1"].params == {"keysPerAccount": 10, "keyTtl": 2592000, "region": "eu"}
    assert works["project-1"].changed_at == datetime(2020, 3, 2, 10, 0, 0, 123456, tzinfo=UTC)
    assert works["project-2"].changed_at == datetime(2020, 3, 3, 8, tzinfo=UTC)
    assert {name: work.on for name, work in works.items()} == {
        "project-1": WorkList.ACTIVE,
        "project-2": WorkList.ACTIVE,
        "project-3": WorkList.CLEANUP,
        "project-4": WorkList.DROPPED,
    }


def test_each_key_that_is_not_carried_is_named() -> None:
    """What has no place here is named, known or unknown, wherever it stands."""
    work = {**GCKEYS["activeWork"]["project-1"], "colour": 1, "params": {"floatParams": {}}}
    skipped = " ".join(read(change(activeWork={"a": work}, futureField=1, settings={"boolParams": {}})).skipped)
    for key in ("instance", "processStatus", "futureField", "['a'].colour", "params.floatParams", "settings.boolParams"):
        assert key in skipped
    assert "status of 1 items" in skipped


def test_a_sparse_document() -> None:
    """Proto JSON leaves out what has no value: a document with a name alone, or with that in its file's name, is whole."""
    reading = read({"processName": "gckeys"})
    assert (reading.stored.overrides.settings, reading.stored.overrides.schedule, reading.works) == (None, None, ())
    assert read({"aggregateStats": {}}, name="gckeys").stored.name == "gckeys"
    with pytest.raises(InvalidValue, match="processName"):
        read({"aggregateStats": {}})


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("processName", {"processName": "a b"}),
        ("processName", {"processName": 3}),
        ("scheduleFrequency", {"scheduleFrequency": 3600}),
        ("scheduleFrequency", {"scheduleFrequency": "1h"}),
        ("scheduleFrequency", {"scheduleFrequency": "-5s"}),
        ("settingsTime", {"settingsTime": "yesterday"}),
        ("settingsTime", {"settingsTime": "2020-04-01T00:00:00"}),
        ("settings", {"settings": {"intParams": {"a": "1.5"}}}),
        ("settings", {"settings": {"intParams": {"a": "9223372036854775808"}}}),
        ("settings", {"settings": {"intParams": {"a": True}}}),
        ("settings", {"settings": {"stringParams": {"a": 1}}}),
        ("settings", {"settings": {"intParams": {"a": 1}, "stringParams": {"a": "1"}}}),
        ("settings", {"settings": [1]}),
        ("aggregateStats", {"aggregateStats": {"runs": "NaN"}}),
        ("aggregateStats", {"aggregateStats": {"runs": None}}),
        ("activeWork['a']", {"activeWork": {"a": 3}}),
        ("activeWork['a'].modified", {"activeWork": {"a": {"modified": 3}}}),
        ("activeWork['a'].params", {"activeWork": {"a": {"params": {"intParams": {"x": "y"}}}}}),
        ("activeWork[''", {"activeWork": {"": {}}}),
        ("cleanupWork['a']", {"cleanupWork": {"a": {}}}),
        ("droppedWork['project-3']", {"droppedWork": {"project-3": "2020-02-01T00:00:00Z"}}),
        ("page", {"next": "project-1"}),
    ],
)
def test_what_cannot_be_read(place: str, parts: dict[str, Any]) -> None:
    """The error names the place, and says that nothing was written."""
    with pytest.raises(InvalidValue, match="nothing was written") as caught:
        read(change(**parts))
    assert place in str(caught.value)


def test_what_is_no_such_document() -> None:
    """Text that is not JSON, not an object, or has none of the message's keys is something else."""
    assert [parsed(text) for text in ("", "[1]", "{", '{"a": 1}', "[" * 100_000)] == [None] * 5
    assert parsed(json.dumps(GCKEYS)) == GCKEYS


def test_there_and_back(here: Processes) -> None:
    """What a process has here is read back from the original's document as it was."""
    process: Process = here["gckeys"]
    process.register_works({"a": {"n": 2**60, "s": "x"}, "b": None, "c": None})
    process.update_settings({"maxAccounts": 7, "mode": "fast"}, schedule=7200)
    process.run_now()
    process.unregister_work("c")
    stored = here.store.process("gckeys")
    reading = read(json.loads(json.dumps(document(here.store, process, limit=None))))
    assert reading.stored.aggregate_stats == stored.aggregate_stats
    assert json.loads(reading.stored.overrides.settings or "") == {"maxAccounts": 7, "mode": "fast"}
    assert reading.stored.overrides.schedule == stored.overrides.schedule
    assert reading.stored.overrides.changed_at == stored.overrides.changed_at
    for work in reading.works:
        there = process.work(work.name)
        assert (work.on, work.params) == (there.on, {} if work.on is WorkList.CLEANUP else there.params)
        assert work.listed_at == there.listed_at


def test_import_at_the_command_line(here: Processes, tmp_path: Path) -> None:
    """`import` knows the document by itself; the aggregates come over and grow from there, and a repeat changes nothing."""
    file = tmp_path / "process_master_gckeys_latest.json"
    file.write_text(json.dumps({key: value for key, value in GCKEYS.items() if key != "processName"}, indent=2))
    for _ in range(2):
        done = call("cp_original_here", "import", str(file))
        assert (done.exit_code, done.stdout) == (0, "gckeys: 4 items imported\n"), done.output
        assert "not imported: processStatus" in done.stderr
    process = here["gckeys"]
    assert process.schedule_frequency == timedelta(hours=12)
    assert process.state().settings["mode"] == "fast"
    run = process.run_now()
    assert run.state is RunState.COMPLETED
    totals = process.state().aggregate_stats
    assert (totals["runs"], totals["work.keysRemoved"], totals["state.completed"]) == (994, 2003 + 14, 991)


def test_nothing_is_written_when_something_is_wrong(here: Processes, tmp_path: Path) -> None:
    """A document with one bad item, or of a process that the app does not define, leaves the store as it was."""
    file = tmp_path / "state.json"
    for message in (change(droppedWork={"z": "soon"}), change(processName="other")):
        file.write_text(json.dumps(message))
        done = call("cp_original_here", "import", str(file))
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert set(here["gckeys"].work_counts().values()) == {0}
        assert here.store.process("gckeys").overrides.version == 0


def test_export_at_the_command_line(here: Processes, tmp_path: Path) -> None:
    """`export --format original` writes one process, and names what becomes text."""
    process = here["gckeys"]
    process.register_works({"a": {"ratio": 0.5, "n": 3}})
    process.pause("lunch")
    file = tmp_path / "out.json"
    done = call("cp_original_here", "export", "--format", "original", "-o", str(file))
    assert done.exit_code == 0, done.output
    message = json.loads(file.read_text())
    assert message["activeWork"]["a"]["params"] == {"intParams": {"n": "3"}, "stringParams": {"ratio": "0.5"}}
    assert "ratio of a" in done.stderr
    assert "not exported: its pause" in done.stderr
    here.process("second", schedule=60)(lambda work: None)
    refused = call("cp_original_here", "export", "--format", "original")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "one process" in refused.stderr
