"""Settings of Celery with which no item would ever be worked."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu import Queue

from celery_process import Processes
from celery_process.exceptions import ConfigurationError
from celery_process.monitor import health


def processes_of(task_options: dict[str, Any] | None = None, **settings: Any) -> Processes:
    app = Celery("required", set_as_current=False, broker="memory://", **settings)
    processes = Processes(app, backend="memory://")
    processes.process("p", schedule=60, task_options=task_options)(lambda work: None)
    return processes


def start_worker(app: Celery) -> None:
    """Take the step of a worker's start that looks at the app."""
    step = next(step for step in app.steps["worker"] if step.__name__ == "StartCheck")
    step(None).start(None)


ONLY = {"task_queues": [Queue("celery"), Queue("slow")], "task_create_missing_queues": False}


@pytest.mark.parametrize(
    ("settings", "task_options", "said"),
    [
        ({"accept_content": ["pickle"]}, None, "add 'json'"),
        ({"accept_content": ["yaml", "pickle"], "task_serializer": "pickle"}, None, "add 'json'"),
        (ONLY, {"queue": "nowhere"}, r"p\.schedule.*task_create_missing_queues"),
        ({**ONLY, "task_routes": {"p.work": "nowhere"}}, None, r"p\.work.*correct task_routes"),
        ({**ONLY, "task_routes": {"celery_process.sweep": "nowhere"}}, None, r"celery_process\.sweep"),
    ],
)
def test_a_worker_refuses_to_start(settings: dict[str, Any], task_options: dict[str, Any] | None, said: str) -> None:
    """What makes work impossible is told as a worker starts, with what to set; and by doctor."""
    processes = processes_of(task_options, **settings)
    with pytest.raises(ConfigurationError, match=said):
        start_worker(processes.app)
    finding = health.examine(processes, patience=None)[0]
    assert (finding.check, finding.ok) == ("settings", False)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accept_content": ["pickle", "application/json"]},
        {**ONLY, "task_routes": {"p.*": "slow"}},
        {"task_queues": [Queue("slow")]},
    ],
)
def test_what_is_enough(settings: dict[str, Any]) -> None:
    """Other settings are the project's own matter."""
    processes = processes_of(**settings)
    start_worker(processes.app)
    assert health.examine(processes, patience=None)[0].ok
