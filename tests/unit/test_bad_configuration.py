"""Bad options of processes, bad settings of the app and bad URLs of stores: a typed error that says what to do."""

from __future__ import annotations

import traceback
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from celery import Celery

from celery_process import ProcessError, Processes, Tolerance, Work, Worker, shared, shared_process, stores
from celery_process.config import read_config
from celery_process.exceptions import (
    ConfigurationError,
    DuplicateProcess,
    InvalidType,
    InvalidValue,
    MissingBackend,
    MissingDriver,
    UnknownSetting,
)
from celery_process.stores.memory import MemoryStore

from .refusals import refused


class NeedsArguments(Worker):
    """A worker that cannot be made by the library."""

    def __init__(self, client: object) -> None:
        self.client = client


class NoWorker:
    """A class that has none of the methods."""


@pytest.fixture
def app() -> Celery:
    """Give an app without any setting of the library."""
    return Celery("bad-configuration", set_as_current=False)


@pytest.fixture
def processes(app: Celery) -> Processes:
    """Give a registry over a memory store."""
    return Processes(app, backend=MemoryStore())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (5, InvalidType),
        (None, InvalidType),
        (["key-gc"], InvalidType),
        ("", InvalidValue),
        ("key gc", InvalidValue),
        (".key", InvalidValue),
        ("key/gc", InvalidValue),
        ("schlüssel", InvalidValue),
        ("x" * 101, InvalidValue),
        ("key\n", InvalidValue),
        ("celery_process", InvalidValue),
    ],
)
def test_names_of_processes(processes: Processes, name: Any, error: type[ProcessError]) -> None:
    """A process's name can be part of the names of its tasks."""
    refused(lambda: processes.process(name, schedule=60)(lambda work: None), error)
    assert len(processes) == 0


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        *((option, value, InvalidType) for option in ("batch_size", "max_in_flight") for value in ("1", 1.0, True)),
        *((option, value, InvalidValue) for option in ("batch_size", "max_in_flight") for value in (0, -1, 10**9)),
        *(
            ("rate_limit", value, error)
            for value, error in (("fast", InvalidValue), (-1, InvalidValue), (True, InvalidType))
        ),
        *(
            (option, value, error)
            for option in ("lease", "time_limit", "progress_frequency", "min_schedule_frequency")
            for value, error in (("30", InvalidType), (True, InvalidType), (0, InvalidValue), (-1, InvalidValue))
        ),
        *(
            (option, value, error)
            for option in ("initial_wait", "jitter")
            for value, error in (
                ("1", InvalidType),
                (-1, InvalidValue),
                (float("nan"), InvalidValue),
                (10**400, InvalidValue),
            )
        ),
        ("tolerance", 10, InvalidType),
        ("tolerance", (10, 25), InvalidType),
        ("overlap", "steal", InvalidValue),
        ("overlap", 5, InvalidType),
        ("overlap", ["skip"], InvalidType),
        ("rerun_on_change", "no", InvalidType),
        ("rerun_on_change", 1, InvalidType),
        ("task_options", "queue", InvalidType),
        ("task_options", {1: 2}, InvalidType),
        ("task_options", {"name": "mine"}, InvalidValue),
        ("task_options", {"ignore_result": False}, InvalidValue),
        ("task_options", {"shared": True}, InvalidValue),
    ],
)
def test_options(processes: Processes, option: str, value: Any, error: type[ProcessError]) -> None:
    """An option that cannot be used is refused where the process is defined, and names the option."""
    refusal = refused(lambda: processes.process("key-gc", schedule=60, **{option: value})(lambda work: None), error)
    assert refusal.argument == option
    assert option in str(refusal)
    assert len(processes) == 0


@pytest.mark.parametrize("target", [5, None, "handler", NoWorker, NoWorker(), NeedsArguments])
def test_handlers(processes: Processes, target: Any) -> None:
    """What is decorated can be called with a work, or is a worker."""
    refused(lambda: processes.process("key-gc", schedule=60)(target), InvalidType)
    assert len(processes) == 0


def test_a_second_process_of_one_name(processes: Processes) -> None:
    """The first process of a name stays."""
    first = processes.process("key-gc", schedule=60)(lambda work: None)
    error = refused(lambda: processes.process("key-gc", schedule=90)(lambda work: None), DuplicateProcess)
    assert error.process == "key-gc"
    assert processes["key-gc"] is first


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, InvalidValue),
        ({"schedule": 0}, InvalidValue),
        ({"schedule": 60, "lease": "x"}, InvalidType),
        ({"schedule": 60, "shedule": 60}, InvalidType),
    ],
)
def test_shared_processes(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], error: type[ProcessError]) -> None:
    """A mistake of a shared process is told where it is made, before any app knows of it."""
    monkeypatch.setattr(shared, "_pending", [])
    refused(lambda: shared_process("key-gc", **options)(lambda work: None), error)
    assert shared._pending == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"per_work": -1}, InvalidValue),
        ({"per_run": "25"}, InvalidType),
        ({"percent": 101}, InvalidValue),
        ({"percent": float("nan")}, InvalidValue),
        ({"percent": "5"}, InvalidType),
        ({"ignore": 5}, InvalidType),
        ({"ignore": None}, InvalidType),
        ({"fail": (int,)}, InvalidType),
        ({"fail": "KeyError"}, InvalidType),
    ],
)
def test_tolerances(options: dict[str, Any], error: type[ProcessError]) -> None:
    """A tolerance names the argument that cannot be used."""
    assert refused(lambda: Tolerance(**options), error).argument == next(iter(options))


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((5,), {}, InvalidType),
        (("",), {}, InvalidValue),
        (("a", 5), {}, InvalidType),
        (("a", {"x": float("nan")}), {}, InvalidValue),
        (("a",), {"settings": [1]}, InvalidType),
        (("a",), {"attempt": 0}, InvalidValue),
        (("a",), {"attempt": "1"}, InvalidType),
        (("a",), {"attempt": True}, InvalidType),
        (("a",), {"tolerance": 10}, InvalidType),
    ],
)
def test_works(arguments: tuple[Any, ...], options: dict[str, Any], error: type[ProcessError]) -> None:
    """A work made for a unit test takes what a run would give it."""
    refused(lambda: Work(*arguments, **options), error)


@pytest.mark.parametrize("backend", [5, b"memory://", MemoryStore, ["memory://"]])
def test_backends(app: Celery, backend: Any) -> None:
    """A backend is a URL or an open store; anything else is refused at once."""
    refused(lambda: Processes(app, backend=backend), InvalidType)
    Processes(app)  # nothing of the first stays behind


def test_apps(app: Celery) -> None:
    """A registry has one app and an app one registry."""
    for value in ("shop", 5, Celery):
        refused(lambda value=value: Processes(value), InvalidType)  # type: ignore[misc]
    processes = Processes()
    refused(lambda: processes.app, ConfigurationError)
    processes.init_app(app)
    refused(lambda: processes.init_app(app), ConfigurationError)
    refused(lambda: Processes(app), ConfigurationError)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("process_backed", "process_backend"),
        ("process_pagesize", "process_page_size"),
        ("process_sweep_intervall", "process_sweep_interval"),
        ("process_attempts", "process_max_attempts"),
        ("process_retain", "process_retention"),
        ("process_tableprefix", "process_table_prefix"),
    ],
)
def test_unknown_settings(app: Celery, processes: Processes, key: str, nearest: str) -> None:
    """A setting that does not exist is refused with the nearest one that does."""
    app.conf[key] = 1
    error = refused(processes.check, UnknownSetting)
    assert (error.setting, error.nearest) == (key, nearest)
    assert nearest in str(error)


def test_unknown_settings_of_a_namespace() -> None:
    """In a namespace, as Django projects have one, the key is as it was written there."""
    app = Celery("django-like", set_as_current=False)
    app.config_from_object({"CELERY_PROCESS_PAGE_SIZ": 5, "CELERY_TIMEZONE": "UTC"}, namespace="CELERY")
    error = refused(lambda: read_config(app), UnknownSetting)
    assert (error.setting, error.nearest) == ("CELERY_PROCESS_PAGE_SIZ", "CELERY_PROCESS_PAGE_SIZE")


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        *(("page_size", value, ConfigurationError) for value in (0, 501, "5", 5.0, True)),
        *(("max_attempts", value, ConfigurationError) for value in (0, -1, "3", 60_001)),
        *((key, "10", InvalidType) for key in ("sweep_interval", "redispatch_after")),
        *((key, value, InvalidValue) for key in ("sweep_interval", "redispatch_after") for value in (0, -1)),
        ("retention", 5, ConfigurationError),
        ("retention", {"drop": 5}, ConfigurationError),
        ("retention", {"runs": 0}, ConfigurationError),
        ("retention", {"slots": "5"}, ConfigurationError),
        ("retention", {"dropped_for": "a month"}, InvalidType),
        ("retention", {"dropped_for": -1}, InvalidValue),
        *((key, value, ConfigurationError) for key in ("table_prefix", "key_prefix") for value in (5, "", "x" * 32, "a\nb")),
    ],
)
def test_settings(app: Celery, processes: Processes, key: str, value: Any, error: type[ProcessError]) -> None:
    """A setting that cannot be used is named."""
    app.conf[f"process_{key}"] = value
    assert f"process_{key}" in str(refused(processes.check, error))


@pytest.mark.parametrize("value", [None, ""])
def test_no_backend(app: Celery, value: Any) -> None:
    """Without process_backend there is no store; the broker's URL is never taken for it."""
    app.conf.broker_url = "redis://localhost/0"
    app.conf.process_backend = value
    processes = Processes(app)
    refused(lambda: processes.store, MissingBackend)
    refused(processes.check, MissingBackend)


@pytest.mark.parametrize(
    "url", ["memory", "memory:/", "nope://", "://", "nope://ada:s3cr3t@host/1", "memory://x", "memory+nope", 5, b"memory://"]
)
def test_urls(app: Celery, url: Any) -> None:
    """A URL that leads to no store is refused at the first use, and no password is in what is printed."""
    app.conf.process_backend = url
    processes = Processes(app)
    error = refused(lambda: processes.store, ConfigurationError)
    assert "s3cr3t" not in "".join(traceback.format_exception(error)) + repr(error.facts)


def test_a_driver_that_is_not_installed(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that brings the driver, and no password."""
    point = EntryPoint("nosuch", "celery_process_has_no_such_driver:Store [nosuch]", stores.GROUP)
    monkeypatch.setattr(stores, "entry_points", lambda group: [point])
    app.conf.process_backend = "nosuch://ada:s3cr3t@host/1"
    processes = Processes(app)
    error = refused(lambda: processes.store, MissingDriver)
    assert (error.package, error.command) == (
        "celery_process_has_no_such_driver",
        "pip install 'celery-process[nosuch]'",
    )
    assert error.command in str(error)
    assert "s3cr3t" not in str(error) + error.url
