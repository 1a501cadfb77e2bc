"""What all scenes share: the project's processes in eager mode, without broker and worker, and how they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import transaction

from celery_process import Process
from celery_process.protocol.model import RunStatus
from example_project.access.celery import app, processes

app.conf.task_always_eager = True
key_gc, operations = processes["key-gc"], processes["operations"]


def lists(process: Process) -> dict[str, list[str]]:
    """Return the names of each list."""
    return {on: [work.name for work in process.works(on)] for on in ("active", "cleanup", "dropped")}


def trigger(process: Process) -> str:
    """Trigger the process as beat does; return how its newest slot ended."""
    app.tasks[f"{process.name}.schedule"].apply(headers={"celery_beat_task": True}, throw=True)
    return str(next(process.slots()).end.value)


def rolled_back(change: Callable[[], object]) -> None:
    """Make a change in a transaction that is rolled back."""
    with suppress(KeyError), transaction.atomic():
        change()
        raise KeyError


def told(run: RunStatus) -> dict[str, Any]:
    """Return what a run says, without its duration."""
    return {"state": run.state.value, **{name: count for name, count in run.stats.items() if name != "duration"}}
