"""Two deployments on one store under one prefix: the second one is told, by its worker and by doctor."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import Celery, current_app
from celery.bin.celery import celery
from click.testing import CliRunner

from celery_process import Processes
from celery_process.exceptions import ConfigurationError
from celery_process.monitor import health
from celery_process.tasks.deployment import adopt, deployment_of
from celery_process.tasks.sweep_timer import SweepTimer


def processes_of(url: str, broker: str, **settings: Any) -> Processes:
    return Processes(Celery("shop", set_as_current=False, broker=broker, **settings), backend=url)


def start_worker(processes: Processes) -> None:
    """Take the step of a worker's start that looks at the store."""
    timer = SimpleNamespace(call_repeatedly=lambda *_: SimpleNamespace(cancel=lambda: None))
    parent = SimpleNamespace(app=processes.app, pool=None, timer=timer, task_consumer=SimpleNamespace(queues=[]))
    step = SweepTimer(parent)
    step.start(parent)
    step.stop(parent)


def finding_of(processes: Processes) -> health.Finding:
    (found,) = (one for one in health.examine(processes, patience=None) if one.check == "deployment")
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'process.db'}"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "belongs to the deployment" in record.message]


def test_the_second_deployment_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A worker with another broker starts, with a warning, and doctor says what to do; the first one is content."""
    production, staging = processes_of(url, "redis://one/0"), processes_of(url, "redis://two/0")
    with caplog.at_level(logging.WARNING):
        assert finding_of(staging).ok
        start_worker(production)
        start_worker(production)
        assert not warnings(caplog)
        start_worker(staging)
    assert len(warnings(caplog)) == 1
    assert finding_of(production).ok
    found = finding_of(staging)
    assert not found.ok
    kept = deployment_of(production.app)
    for said in (kept, "process_key_prefix", "process_table_prefix", "process doctor --adopt"):
        assert said in found.text + found.cure


def test_a_prefix_of_its_own_is_enough(url: str) -> None:
    """The id is of a store and a prefix."""
    production = processes_of(url, "redis://one/0")
    staging = processes_of(url, "redis://two/0", process_table_prefix="staging_")
    start_worker(production)
    start_worker(staging)
    assert finding_of(production).ok
    assert finding_of(staging).ok


def test_a_broker_that_moved(url: str) -> None:
    """The id may be set to the one that is kept, or the new one be adopted."""
    before = processes_of(url, "redis://one/0")
    start_worker(before)
    kept = deployment_of(before.app)
    assert finding_of(processes_of(url, "redis://two/0", process_deployment=kept)).ok
    after = processes_of(url, "redis://two/0")
    assert adopt(after.app, after.store) == deployment_of(after.app)
    assert finding_of(after).ok
    assert not finding_of(before).ok


def test_doctor_adopts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`process doctor --adopt` lets the store be kept for this deployment; without it doctor changes nothing."""
    start_worker(processes_of(url, "redis://one/0", process_deployment="one"))
    module = ModuleType("celery_process_deployments")
    two = processes_of(url, "memory://", process_deployment="two")
    module.app = two.app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before = current_app._get_current_object()
    try:
        for options, ok in (((), False), (("--adopt",), True), ((), True)):
            command = ["-A", f"{module.__name__}:app", "process", "doctor", "--patience", "0", "--json", *options]
            findings = json.loads(CliRunner().invoke(celery, command).output)["findings"]
            assert [one["ok"] for one in findings if one["check"] == "deployment"] == [ok]
    finally:
        before.set_current()
    assert two.store.deployment() == "two"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("redis://ada:secret@host/0", "redis://host:6379"),
        ("amqp://ada:secret@host//", "pyamqp://HOST:5672//"),
        ("amqp://one//;amqp://two//", "amqp://bob@two//;amqp://one//"),
    ],
)
def test_what_makes_no_difference(one: str, other: str) -> None:
    """Credentials, defaults that are written out, and the order of a failover list are no part of the id."""
    ids = {deployment_of(processes_of("memory://", broker).app) for broker in (one, other)}
    assert len(ids) == 1
    assert ids != {""}


@pytest.mark.parametrize(
    ("one", "other"),
    [("redis://host/0", "redis://host/1"), ("amqp://host/a", "amqp://host/b"), ("redis://host:1/0", "redis://host:2/0")],
)
def test_what_makes_a_difference(one: str, other: str) -> None:
    """Each place that messages can be in is one of its own, and so is each name of an app."""
    ids = {deployment_of(processes_of("memory://", broker).app) for broker in (one, other)}
    ids.add(deployment_of(Celery("other", set_as_current=False, broker=one)))
    assert len(ids) == 3


def test_where_there_is_no_id(caplog: pytest.LogCaptureFixture) -> None:
    """A broker in memory and eager mode are nobody else's: nothing is noted, nothing told, and nothing can be adopted."""
    for settings in ({"broker": "memory://"}, {"broker": "redis://host/0", "task_always_eager": True}):
        processes = processes_of("memory://", **settings)  # type: ignore[arg-type]
        assert deployment_of(processes.app) == ""
        start_worker(processes)
        assert processes.store.deployment() == ""
        assert finding_of(processes).ok
        with pytest.raises(ConfigurationError, match="set process_deployment"):
            adopt(processes.app, processes.store)


def test_a_bad_id_is_refused() -> None:
    """An id is short and printable."""
    for wrong in ("", "x" * 32, "é", 5):
        processes = processes_of("memory://", "memory://", process_deployment=wrong)
        with pytest.raises(ConfigurationError, match="process_deployment is a str"):
            deployment_of(processes.app)
