"""What the page of a process shows."""

from __future__ import annotations

from celery import Celery

from celery_process import Processes
from celery_process.monitor.details import read_details
from celery_process.monitor.secrets import Reader
from celery_process.stores.memory import MemoryStore
from celery_process.text.masking import MASK


def test_a_panel_has_the_failing_items_of_the_run() -> None:
    """Each item that errors are kept of stands there once with its state; errors of the run stand under no name."""
    app = Celery("panel", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore())

    @processes.process("checks", schedule=None, settings={"api_key": "x", "limit": 2})
    def check(work) -> None:
        if work.name == "bad":
            work.run.add_error("of the run")
            work.add_error("one")
            work.add_error("two")

    check.register_works({"bad": None, "good": None})
    check.run_now()
    check.update_settings({"limit": 3}, by="ann")
    details = read_details(check, Reader.ADMIN)
    assert {(one.work, len(one.errors), one.state) for one in details.failing} == {("bad", 2, "COMPLETED"), (None, 1, None)}
    assert [(one.name, one.value, one.stored) for one in details.settings] == [("api_key", MASK, False), ("limit", 3, True)]
    assert details.run is not None
    assert [run.id for run in details.runs] == [details.run.id]
    assert (details.overview.done, details.overrides.by, details.shared) == (2, "ann", False)
