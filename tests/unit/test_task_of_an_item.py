"""The Celery task of an item's last attempt is kept with it, so that its lines in the worker's log are found."""

from __future__ import annotations

from datetime import timedelta

from celery import Celery

from celery_process import Processes, WorkState


def test_task_of_a_failed_item() -> None:
    """The id is that of the task in which the handler ran, alone and in a batch."""
    app = Celery("tasks-of-items", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend="memory://")
    ids: dict[str, str] = {}

    def fail(work):
        ids[work.name] = app.current_worker_task.request.id
        raise ValueError(work.name)

    for name, size in (("alone", 1), ("batched", 2)):
        process = processes.process(name, schedule=timedelta(hours=1), batch_size=size)(fail)
        names = [f"{name}-{number}" for number in range(3)]
        process.register_works(dict.fromkeys(names))
        process.run_now()
        for item in names:
            status = process.work(item).status
            assert (status.state, status.task_id) == (WorkState.INCOMPLETE, ids[item])
    assert len({ids[f"alone-{number}"] for number in range(3)}) == 3
    assert len({ids[f"batched-{number}"] for number in range(3)}) == 2
