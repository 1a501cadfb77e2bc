"""The project's Celery app and its process. What an item does stands in its params."""

import os
import time

from celery import Celery

from celery_process import Processes, Tolerance

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
app = Celery("office")
app.config_from_object("django.conf:settings", namespace="CELERY")
processes = Processes(app)


class Broken(Exception):
    """What the handler raises for an item that its params call broken, until somebody mends it."""


@processes.process(
    "feeds",
    schedule=3600,
    settings={"url": "https://example.org/feed", "pause": 0.02, "api_key": "s3cret"},
    tolerance=Tolerance(per_work=2, per_run=5),
    lease=5,
)
def feed(work):
    """Wait for a file, or a moment; then fail, as the params say."""
    from settings import FOLDER

    gate = work.params.get("gate")
    while gate and not (FOLDER / gate).exists():
        time.sleep(0.02)
    time.sleep(work.params["pause"])
    if work.params.get("broken") and not (FOLDER / "mended").exists():
        raise Broken(f"{work.name}: the upstream answers 503")


@processes.process("reports", schedule=86_400)
def report(work):
    """Do nothing."""
