"""The app of a web shop: `app.py` of every worker, once pytest-celery has filled in the three lines that it looks for.

`CP_TEST_CODE` is the version of the code, for two that run side by side.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

from celery import Celery

from celery_process import Processes, Tolerance
from tests.acceptance.apps.witness import FOLDER, witnessed

imports = None

app = Celery("celery_test_app")
config = None

if config:
    app.config_from_object(config)

processes = Processes(app)

CODE = int(os.environ.get("CP_TEST_CODE", "1"))
LEASE = 2
WINDOW = 500


class Broken(Exception):
    """What a handler raises for an item that its params call broken."""


@processes.process("prices", schedule=timedelta(seconds=CODE), settings={"step": CODE}, lease=LEASE)
def check_prices(work):
    """Take a millisecond; the only process with a schedule."""
    with witnessed(work):
        time.sleep(0.001)
        work.add_stats("checked")
        work.add_stats("units", work.params.get("units", 1))


@processes.process("stock", schedule=None, max_in_flight=WINDOW)
def count_stock(work):
    """Take a millisecond; thousands of items, which `task_routes` gives a queue of their own."""
    with witnessed(work):
        time.sleep(0.001)
        work.add_stats("counted")


@processes.process("mirror", schedule=None, lease=LEASE)
def mirror(work):
    """Take as long as the params say."""
    with witnessed(work):
        time.sleep(work.params.get("seconds", 0.2))
        work.add_stats("mirrored")


@processes.process("export", schedule=None, lease=LEASE)
def export(work):
    """Wait for a file, where the params name one."""
    with witnessed(work):
        gate = work.params.get("gate")
        while gate and not (FOLDER / gate).exists():
            time.sleep(0.02)
        work.add_stats("exported")


@processes.process("imports", schedule=None, lease=LEASE, tolerance=Tolerance(per_work=10, per_run=2))
def import_feed(work):
    """Raise for broken items; the third error of a run is one too many."""
    with witnessed(work):
        time.sleep(0.05)
        if work.params.get("broken"):
            raise Broken(work.name)
        work.add_stats("imported")


@processes.process("thumbnails", schedule=None, lease=LEASE)
def draw_thumbnail(work):
    """Die with its operating-system process, where the params call it poison."""
    with witnessed(work):
        if work.params.get("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        work.add_stats("drawn")


@processes.process("crawl", schedule=None, lease=LEASE, time_limit=LEASE)
def crawl(work):
    """Hang in its first attempt, where the params say so."""
    with witnessed(work):
        while work.params.get("hangs") and work.attempt == 1:
            time.sleep(0.1)
        work.add_stats("crawled")


@processes.process("labels", schedule=None, lease=LEASE, batch_size=20, tolerance=Tolerance(per_work=0, per_run=0))
def print_label(work):
    """Take a little, wait for a file, or raise, as the params say; twenty items a message."""
    with witnessed(work):
        gate = work.params.get("gate")
        while gate and not (FOLDER / gate).exists():
            time.sleep(0.02)
        time.sleep(work.params.get("seconds", 0.12))
        if work.params.get("torn"):
            raise Broken(work.name)
        work.add_stats("printed")
