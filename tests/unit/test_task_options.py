"""Options and classes of tasks that a project has for its own work, and what becomes of them on the tasks of a process."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery, Task

from celery_process import Processes
from celery_process.exceptions import InvalidValue


class Locked(Task):
    """As celery-singleton and celery-once do: who finds a lock publishes nothing. A killed worker left this one behind."""

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Publish nothing."""
        return self.AsyncResult("the one that holds the lock")


class Retrying(Task):
    """A project's class with retries, an attribute of its own and a method that is called around each run."""

    abstract = True
    autoretry_for = (Exception,)
    retry_backoff = True
    team = "billing"
    calls: list[str] = []  # noqa: RUF012

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Note the call."""
        self.calls.append(self.name)
        return super().__call__(*args, **kwargs)


def processes_of(**settings: Any) -> Processes:
    task_cls = settings.pop("task_cls", None)
    app = Celery("options", set_as_current=False, broker="memory://", **({"task_cls": task_cls} if task_cls else {}))
    app.conf.update(settings)
    return Processes(app, backend="memory://")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("autoretry_for", (OSError,)),
        ("max_retries", 3),
        ("retry_backoff", True),
        ("default_retry_delay", 5),
        ("countdown", 10),
        ("eta", datetime(2030, 1, 1, tzinfo=UTC)),
        ("expires", datetime(2020, 1, 1, tzinfo=UTC)),
        ("expires", -1),
        ("expires", 0),
        ("apply_async", print),
        ("lazy", False),
    ],
)
def test_what_could_not_work_is_refused(option: str, value: Any) -> None:
    """An option that would do nothing, or harm, is refused where the process is defined, by name."""
    processes = processes_of()
    with pytest.raises(InvalidValue, match=option):
        processes.process("p", schedule=60, task_options={option: value})(lambda work: None)
    assert "p" not in processes


@pytest.mark.parametrize(
    "options",
    [{"expires": 600}, {"acks_late": True, "track_started": True}, {"queue": "q", "priority": 3}, {"base": Retrying}],
)
def test_what_works_is_taken(options: dict[str, Any]) -> None:
    """Other options reach the tasks."""
    processes = processes_of()
    processes.process("p", schedule=60, task_options=options)(lambda work: None)
    assert processes.app.tasks["p.work"].ignore_result


def test_a_class_with_a_lock_is_refused() -> None:
    """A class that decides what is published is refused for a process that names it."""
    processes = processes_of()
    with pytest.raises(InvalidValue, match=r"Locked.*needs no lock"):
        processes.process("p", schedule=60, task_options={"base": Locked})(lambda work: None)
    assert "p" not in processes


def test_a_lock_of_the_projects_class_does_not_hold_an_item_back() -> None:
    """Where all tasks of a project have such a class, the messages of a process are published all the same."""
    # All apps of a program share the queues of the memory broker.
    processes = processes_of(task_cls=Locked, task_default_queue="locked")
    process = processes.process("p", schedule=60)(lambda work: None)
    process.register_works({"a": None, "b": None})
    process.run_now()
    with processes.app.connection_for_read() as connection:
        queue = connection.SimpleQueue("locked")
        assert {queue.get(timeout=1).headers["task"] for _ in range(2)} == {"p.work"}


@pytest.mark.parametrize("by", ["class", "annotations"])
def test_retries_of_the_project_have_no_effect(by: str) -> None:
    """An item that fails is an error of its run, not a message to be tried again; the class is used for the rest."""
    settings: dict[str, Any] = (
        {"task_cls": Retrying} if by == "class" else {"task_annotations": {"*": {"autoretry_for": (OSError,)}}}
    )
    processes = processes_of(**settings, task_always_eager=True)
    attempts = []

    @processes.process("p", schedule=60)
    def fail(work: Any) -> None:
        attempts.append(work.name)
        raise OSError("no")

    fail.register_work("a")
    Retrying.calls.clear()
    run = fail.run_now()
    assert attempts == ["a"]
    assert run.total_errors == 1
    assert not hasattr(processes.app.tasks["p.work"], "_orig_run")
    if by == "class":
        assert processes.app.tasks["p.work"].team == "billing"
        assert Retrying.calls == ["p.work"]
