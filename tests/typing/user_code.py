"""What a user writes, as the type checker sees it: checked by `tox -e types`, never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, assert_type

from celery import Celery

from celery_process import ErrorAction, Process, Processes, Progress, Tolerance, Work, Worker, shared_process
from celery_process.protocol.model import ProcessState, RunStatus, SettingsVersion, SlotEntry, WorkInfo
from celery_process.shared import SharedProcess

app = Celery("typed")
processes = Processes(app, backend="memory://")


@processes.process("typed", schedule=timedelta(hours=1), settings={"ttl": 1}, tolerance=Tolerance(per_run=None, percent=5))
def handler(work: Work) -> None:
    assert_type(work.name, str)
    assert_type(work.params, dict[str, Any])
    assert_type(work.add_error(ValueError("no")), ErrorAction)
    assert_type(work.run.add_error("no"), ErrorAction)
    assert_type(work.progress(), Progress)
    work.add_stats("keys", 2.5)


assert_type(handler, Process)


@handler.cleanup
def remove(work: Work) -> None: ...


@handler.cleanup(gone=(KeyError,))
def remove_again(work: Work) -> None: ...


@processes.process("a-class", schedule=None)
class ByClass(Worker):
    def process_active_work(self, work: Work) -> None: ...


@shared_process("shared", schedule=60)
def anywhere(work: Work) -> None: ...


assert_type(anywhere, SharedProcess)
assert_type(handler.register_work("a", {"ttl": 2}), bool)
assert_type(handler.register_works({"a": None}), tuple[str, ...])
assert_type(handler.update_settings({"ttl": 3}, schedule=30), int)
assert_type(handler.settings_history(), tuple[SettingsVersion, ...])
assert_type(handler.run_now(), RunStatus)
assert_type(handler.state(), ProcessState)
assert_type(handler.works("cleanup"), Iterator[WorkInfo])
assert_type(handler.slots(), Iterator[SlotEntry])
assert_type(handler.state().aggregate_stats, Mapping[str, int | float])
assert_type(processes["typed"], Process)
