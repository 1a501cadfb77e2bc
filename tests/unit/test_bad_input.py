"""Bad input to the verbs of a process and of a work: a typed error that says what to do, and a store as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab, schedule

from celery_process import Process, ProcessError, Processes, Work
from celery_process.exceptions import (
    AlreadyUsed,
    CannotJoin,
    InvalidType,
    InvalidValue,
    ProcessNotFound,
    ProcessPaused,
    RunNotFound,
    RunOpen,
    SettingsChanged,
    WorkNotFound,
)
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

from .refusals import refused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEEP: dict[str, Any] = {}
for _ in range(70):
    DEEP = {"in": DEEP}


def never(days: set[int], months: set[int]) -> crontab:
    """Return a crontab that no day fits, which Celery itself refuses only since 5.7."""
    made = crontab(minute=0, hour=0)
    made.day_of_month, made.month_of_year = days, months
    return made


class Unprintable:
    """An object whose repr is long."""

    def __repr__(self) -> str:
        return "x" * 10_000


@pytest.fixture
def app() -> Celery:
    """Give an eager app."""
    made = Celery("bad-input", set_as_current=False)
    made.conf.task_always_eager = True
    return made


@pytest.fixture
def processes(app: Celery) -> Processes:
    """Give a registry over a memory store."""
    return Processes(app, backend=MemoryStore(clock=MovableClock(NOW)))


@pytest.fixture
def process(processes: Processes) -> Iterator[Process]:
    """Give a process with an item on each list and a run behind it; at the end the store is as it was."""
    made = processes.process("key-gc", schedule=3600, settings={"ttl": 1})(lambda work: None)
    made.register_works({"a": {"x": 1}, "b": None})
    made.unregister_works(["gone"])
    made.run_now()
    made.unregister_work("b")
    made.update_settings({"ttl": 2})
    before = deepcopy(processes.store.kept)
    yield made
    assert processes.store.kept == before


BAD_NAMES = [
    (5, InvalidType),
    (None, InvalidType),
    (b"a", InvalidType),
    (["a"], InvalidType),
    ({}, InvalidType),
    (Unprintable(), InvalidType),
    ("", InvalidValue),
    ("x" * 192, InvalidValue),
    ("a\0b", InvalidValue),
    ("a\nb", InvalidValue),
    ("\x85", InvalidValue),
    ("\ud800", InvalidValue),
]


@pytest.mark.parametrize("verb", ["register_work", "unregister_work", "work"])
@pytest.mark.parametrize(("name", "error"), BAD_NAMES)
def test_names_of_work_items(process: Process, verb: str, name: object, error: type[ProcessError]) -> None:
    """No verb takes what cannot name a work item."""
    refused(lambda: getattr(process, verb)(name), error)


@pytest.mark.parametrize(("name", "error"), [pair for pair in BAD_NAMES if not isinstance(pair[0], list | dict)])
def test_one_bad_name_among_good_ones(process: Process, name: Any, error: type[ProcessError]) -> None:
    """One bad name refuses the whole call."""
    refused(lambda: process.register_works({"c": None, name: None}), error)
    refused(lambda: process.unregister_works(["a", name]), error)


BAD_PARAMS = [
    (5, InvalidType),
    ("x", InvalidType),
    ([("a", 1)], InvalidType),
    ({1: 2}, InvalidType),
    ({None: 2}, InvalidType),
    ({"a": {2: 3}}, InvalidType),
    ({"a": b"x"}, InvalidType),
    ({"a": (1, 2)}, InvalidType),
    ({"a": {1, 2}}, InvalidType),
    ({"a": NOW}, InvalidType),
    ({"a": timedelta(1)}, InvalidType),
    ({"a": Unprintable()}, InvalidType),
    ({"a": [object()]}, InvalidType),
    ({"a": 1j}, InvalidType),
    ({"a": float("nan")}, InvalidValue),
    ({"a": [float("inf")]}, InvalidValue),
    ({"a": -float("inf")}, InvalidValue),
    ({"a": "x" * 70_000}, InvalidValue),
    ({"a": 10**5_000}, InvalidValue),
    (DEEP, InvalidValue),
]


@pytest.mark.parametrize(("params", "error"), BAD_PARAMS)
def test_params(process: Process, params: Any, error: type[ProcessError]) -> None:
    """Params are JSON that comes back as it went in, and not too much of it."""
    refused(lambda: process.register_work("c", params), error)
    refused(lambda: process.register_works({"c": None, "d": params}), error)


@pytest.mark.parametrize(("settings", "error"), BAD_PARAMS)
def test_settings(processes: Processes, process: Process, settings: Any, error: type[ProcessError]) -> None:
    """Settings are what params may be, as an override and as a default."""
    refused(lambda: process.update_settings(settings), error)
    refused(lambda: processes.process("other", schedule=60, settings=settings)(lambda work: None), error)
    assert "other" not in processes


BAD_SCHEDULES = [
    ("60", InvalidType),
    (True, InvalidType),
    ([60], InvalidType),
    (object(), InvalidType),
    (NOW, InvalidType),
    (0, InvalidValue),
    (-1, InvalidValue),
    (0.0, InvalidValue),
    (float("nan"), InvalidValue),
    (float("inf"), InvalidValue),
    (timedelta(0), InvalidValue),
    (timedelta(seconds=-1), InvalidValue),
    (timedelta.max, InvalidValue),
    (10**300, InvalidValue),
    (schedule(0), InvalidValue),
    (never({30}, {2}), InvalidValue),
    (never({31}, {2, 4, 6, 9, 11}), InvalidValue),
]


@pytest.mark.parametrize(("given", "error"), BAD_SCHEDULES)
def test_schedules(processes: Processes, process: Process, given: Any, error: type[ProcessError]) -> None:
    """A schedule comes some time, and not more often than always."""
    refused(lambda: process.update_settings({"ttl": 3}, schedule=given), error)
    refused(lambda: processes.process("other", schedule=given)(lambda work: None), error)
    assert "other" not in processes


@pytest.mark.parametrize(
    ("verb", "arguments", "options", "error"),
    [
        ("register_works", (["c"],), {}, InvalidType),
        ("register_works", (None,), {}, InvalidType),
        ("register_works", ("c",), {}, InvalidType),
        ("unregister_works", ("a",), {}, InvalidType),
        ("unregister_works", (5,), {}, InvalidType),
        ("unregister_works", (None,), {}, InvalidType),
        ("unregister_works", (b"a",), {}, InvalidType),
        ("register_work", ("c",), {"using": object()}, CannotJoin),
        ("register_works", ({"c": None},), {"using": "default"}, CannotJoin),
        ("unregister_work", ("a",), {"using": object()}, CannotJoin),
        ("unregister_works", (["a"],), {"using": object()}, CannotJoin),
        ("update_settings", ({"ttl": 3},), {"using": object()}, CannotJoin),
        ("update_settings", ({"ttl": 3},), {"expected_version": 7}, SettingsChanged),
        ("update_settings", ({"ttl": 3},), {"expected_version": "1"}, InvalidType),
        ("update_settings", ({"ttl": 2},), {"expected_version": 1.0}, InvalidType),
        ("update_settings", ({"ttl": 3},), {"expected_version": True}, InvalidType),
        ("update_settings", ({"ttl": 3},), {"by": 5}, InvalidType),
        ("update_settings", ({"ttl": 3},), {"by": "x" * 1_001}, InvalidValue),
        ("settings_history", ("20",), {}, InvalidType),
        ("settings_history", (True,), {}, InvalidType),
        ("settings_history", (0,), {}, InvalidValue),
        ("update_flow_control", (1, 1, 1), {}, AlreadyUsed),
        ("pause", (5,), {}, InvalidType),
        ("pause", (None,), {}, InvalidType),
        ("pause", ("x" * 1_001,), {}, InvalidValue),
        ("pause", ("a\0b",), {}, InvalidValue),
        ("pause", ("\ud800",), {}, InvalidValue),
        ("pause", ("note",), {"by": b"me"}, InvalidType),
        ("run_now", ("12:00",), {}, InvalidType),
        ("run_now", (1_772_452_800,), {}, InvalidType),
        ("run_now", (NOW.date(),), {}, InvalidType),
        ("run_now", (datetime(2026, 3, 2, 12),), {}, InvalidValue),  # noqa: DTZ001
        ("run_now", (NOW + timedelta(hours=1),), {}, InvalidValue),
        ("run_now", (datetime.max.replace(tzinfo=UTC),), {}, InvalidValue),
        ("run_now", (), {"by": 5}, InvalidType),
        ("run_now", (), {"by": "\0"}, InvalidValue),
        ("redrive", (5,), {}, InvalidType),
        ("redrive", (None,), {}, InvalidType),
        ("redrive", ("",), {}, RunNotFound),
        ("redrive", ("1-nope",), {}, RunNotFound),
        ("redrive", ("99999999999999999999-x",), {}, RunNotFound),
        ("redrive", ("x" * 10_000,), {}, RunNotFound),
        ("redrive", ("1-nope",), {"by": 5}, InvalidType),
        ("works", ("nope",), {}, InvalidValue),
        ("works", (5,), {}, InvalidValue),
        ("works", ([],), {}, InvalidValue),
        ("works", (None,), {}, InvalidValue),
        ("work", ("nobody",), {}, WorkNotFound),
        ("cleanup", (5,), {}, InvalidType),
        ("cleanup", (), {"gone": 5}, InvalidType),
        ("cleanup", (), {"gone": "KeyError"}, InvalidType),
        ("cleanup", (), {"gone": (int,)}, InvalidType),
        ("cleanup", (), {"gone": [KeyError, None]}, InvalidType),
        ("wait", (5,), {}, InvalidType),
        ("wait", (None,), {}, InvalidType),
    ],
)
def test_verbs(
    process: Process, verb: str, arguments: tuple[Any, ...], options: dict[str, Any], error: type[ProcessError]
) -> None:
    """Each verb refuses what it cannot use."""
    refused(lambda: getattr(process, verb)(*arguments, **options), error)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("value", ["1", None, True, -1, float("nan"), timedelta(days=40_000)])
def test_flow_control(processes: Processes, number: int, value: object) -> None:
    """Flow control takes durations, and leaves the definition as it was otherwise."""
    process = processes.process("fresh", schedule=3600)(lambda work: None)
    before = process.definition
    arguments: list[Any] = [1, 1, 1]
    arguments[number] = value
    error = InvalidValue if isinstance(value, int | float | timedelta) and value is not True else InvalidType
    refused(lambda: process.update_flow_control(*arguments), error)
    assert process.definition is before


def test_a_process_that_is_not_defined(processes: Processes, process: Process) -> None:
    """An unknown process is named, with those that are known."""
    error = refused(lambda: processes["key-cg"], ProcessNotFound)
    assert (error.process, error.known) == ("key-cg", ("key-gc",))
    assert "key-gc" in str(error)


def test_a_paused_process_does_not_run(processes: Processes) -> None:
    """run_now and redrive of a paused process change nothing, and say who paused it and why."""
    process = processes.process("resting", schedule=3600)(lambda work: None)
    run = process.run_now()
    process.pause("move of the database", by="ada")
    before = deepcopy(processes.store.kept)
    for call in (process.run_now, lambda: process.redrive(run.id)):
        error = refused(call, ProcessPaused)
        assert (error.process, error.note, error.by) == ("resting", "move of the database", "ada")
    assert processes.store.kept == before


def test_an_open_run_is_in_the_way(processes: Processes) -> None:
    """run_now and redrive during a run change nothing, and carry the status of that run."""
    seen: list[ProcessError] = []

    def handler(work: Work) -> None:
        before = deepcopy(processes.store.kept)
        seen.extend(refused(call, RunOpen) for call in (process.run_now, lambda: process.redrive(work.run.id)))
        assert processes.store.kept == before

    process = processes.process("busy", schedule=3600)(handler)
    process.register_work("a")
    run = process.run_now()
    assert [error.run.id for error in seen] == [run.id, run.id]


@pytest.mark.parametrize(
    ("name", "count", "error"),
    [
        (5, 1, InvalidType),
        (None, 1, InvalidType),
        (["a"], 1, InvalidType),
        ("", 1, InvalidValue),
        ("x" * 101, 1, InvalidValue),
        ("a\nb", 1, InvalidValue),
        ("errors", 1, InvalidValue),
        ("state.x", 1, InvalidValue),
        ("keys", "1", InvalidType),
        ("keys", None, InvalidType),
        ("keys", True, InvalidType),
        ("keys", 1j, InvalidType),
        ("keys", float("nan"), InvalidValue),
        ("keys", float("inf"), InvalidValue),
        ("keys", 10**400, InvalidValue),
    ],
)
def test_stats(name: Any, count: Any, error: type[ProcessError]) -> None:
    """A stat has a name of its own and a finite count; what was counted before stays."""
    work = Work("a")
    work.add_stats("keys", 2)
    refused(lambda: work.add_stats(name, count), error)
    refused(lambda: work.run.add_stats(name, count), error)
    assert work.stats == {"keys": 2}


@pytest.mark.parametrize("value", [None, 5, b"text", ValueError, ["broken"]])
def test_errors(value: Any) -> None:
    """An error is an exception or a text; anything else is not counted."""
    work = Work("a")
    refused(lambda: work.add_error(value), InvalidType)
    refused(lambda: work.run.add_error(value), InvalidType)
    assert work.total_errors == 0
