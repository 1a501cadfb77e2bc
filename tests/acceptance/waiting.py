"""Waiting for what happens in another operating-system process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

from celery_process import Process
from celery_process.protocol.model import RunStatus

T = TypeVar("T")


def wait_for(condition: Callable[[], T], *, within: float = 90, what: str, every: float = 0.05) -> T:
    """Return the first true answer of `condition`; fail with `what` was waited for after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}; the last answer was {answer!r:.300}")
        time.sleep(every)
    return answer


def closed_runs(process: Process) -> list[RunStatus]:
    """Return the runs that have ended, oldest first."""
    return sorted((run for run in process.runs() if not run.state.is_open), key=lambda run: run.epoch)


def wait_for_end(process: Process, run_id: str, *, within: float = 90) -> RunStatus:
    """Return a run once it has ended."""
    return wait_for(
        lambda: next((run for run in closed_runs(process) if run.id == run_id), None),
        within=within,
        what=f"the end of run {run_id} of {process.name}",
    )


def wait_for_runs(process: Process, count: int, *, within: float = 90) -> list[RunStatus]:
    """Return the runs once at least `count` have ended."""

    def enough() -> list[RunStatus] | None:
        found = closed_runs(process)
        return found if len(found) >= count else None

    return wait_for(enough, within=within, what=f"{count} runs of {process.name}", every=0.2)


def wait_for_quiet(process: Process, *, within: float = 90) -> list[RunStatus]:
    """Return all runs once none is open and none has begun for a second."""

    def quiet() -> list[RunStatus] | None:
        before = [run.id for run in process.runs()]
        time.sleep(1)
        found = closed_runs(process)
        return found if sorted(before) == sorted(run.id for run in found) else None

    return wait_for(quiet, within=within, what=f"{process.name} to be quiet")


def end(*programs: subprocess.Popen[Any]) -> None:
    """End programs, all at once, and wait for it; what does not end by itself is killed."""
    for program in programs:
        program.terminate()
    for program in programs:
        try:
            program.wait(15)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
