"""An app to be watched in Flower: `watched.py` of a worker, a Flower and a command line, which share a folder.

Broker and store come from the environment; the store is a file of the folder unless it is named. What an item does stands
in its params.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from celery import Celery

from celery_process import Processes, Tolerance

FOLDER = Path(os.environ["CP_TEST_FOLDER"])

app = Celery("watched")
app.conf.update(
    broker_url=os.environ["CP_TEST_BROKER"],
    broker_transport_options={"global_keyprefix": f"{FOLDER.name}:"},
    broker_connection_retry_on_startup=True,
    task_default_queue=FOLDER.name,
    process_sweep_interval=1,
    worker_prefetch_multiplier=1,
)
processes = Processes(app, backend=os.environ.get("CP_TEST_STORE", f"sqlite:///{FOLDER}/process.db"))


class Broken(Exception):
    """What a handler raises for an item that its params call broken."""


def do(work):
    """Wait, for a time or for a file; then record errors, and raise, as the params say."""
    gate = work.params.get("gate")
    while gate and not (FOLDER / gate).exists():
        time.sleep(0.02)
    time.sleep(work.params.get("seconds", 0))
    for number in range(work.params.get("errors", 0)):
        work.add_error(f"error {number + 1} of {work.name}")
    if work.params.get("broken"):
        raise Broken(f"{work.name} is broken")


@processes.process("checks", schedule=None, lease=5, tolerance=Tolerance(per_work=2, per_run=25))
def check(work):
    """One task an item."""
    do(work)


@processes.process("bulk", schedule=None, lease=5, batch_size=25, max_in_flight=100_000)
def bulk(work):
    """Twenty-five items a task."""
    do(work)


@processes.process("quiet", schedule=None, lease=5, task_options={"send_events": False})
def quiet(work):
    """Items that send no events."""
    do(work)


@processes.process(
    "feeds",
    schedule=timedelta(hours=1),
    settings={"url": "https://example.org/feed", "api_key": "s3cret", "login": {"password": "s3cret", "user": "ann"}},
    tolerance=Tolerance(per_work=2, per_run=5),
    lease=5,
)
def feed(work):
    """Do it under a schedule and settings."""
    do(work)


if heading := os.environ.get("CP_TEST_COLUMN"):  # one column more in each list, and one verb more
    from celery_process.monitor.cells import Column, Kind
    from celery_process.monitor.columns import TABLES
    from celery_process.monitor.verbs import VERBS, Done, Verb
    from celery_process.text.sentences import Sentence

    def tidy(process, request):
        process.pause("to tidy up", by=request.by)
        return Done(Sentence("Tidied %(process)s", {"process": process.name}))

    for table in TABLES.values():
        new = Column("kept_since", heading, Kind.TEXT, lambda row: "since Monday")
        object.__setattr__(table, "columns", (*table.columns, new))
    VERBS["tidy"] = Verb("tidy", "Tidy up", "What lies about goes away.", "process", tidy, destroys=True)
