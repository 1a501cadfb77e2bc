"""A broker that is away: what the library publishes is tried twice at most, whatever policy the project has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from celery_process import Process, Processes
from celery_process.engine.patience import within
from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.states import WorkList
from celery_process.stores.memory import MemoryStore


def a_page(app: Celery, process: Process) -> None:
    assert not process.dispatch.publish("7-abc", WorkList.ACTIVE, ("a",))


def its_comeback(app: Celery, process: Process) -> None:
    process.dispatch.port.come_back("7-abc", "3f2a", timedelta(seconds=1))


def a_trigger_that_is_put_off(app: Celery, process: Process) -> None:
    def unavailable(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("it is away", operation="now")

    process.dispatch.store.now = unavailable  # type: ignore[method-assign]
    with pytest.raises(OSError):
        app.tasks["p.schedule"].apply(throw=True)


@pytest.mark.parametrize("broker", ["amqp://127.0.0.1:1//", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize("act", [a_page, its_comeback, a_trigger_that_is_put_off])
def test_a_project_that_tries_for_ever(broker: str, act: Callable[[Celery, Process], None]) -> None:
    """Its callers are no longer held than two attempts take."""
    app = Celery("away", broker=broker, set_as_current=False)
    app.conf.task_publish_retry_policy = {"max_retries": None, "interval_start": 0.1}
    app.conf.broker_connection_timeout = 60
    process = Processes(app, backend=MemoryStore()).process("p", schedule=60)(lambda work: None)
    within(15, lambda: act(app, process), operation=f"{act.__name__} {broker}")
