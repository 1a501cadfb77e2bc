"""The process `verify-packages`: it checks that what is installed is what was shipped.

Each work item is a distribution on this machine. Its files are checked against the sha256 sums of its RECORD; each
missing or altered file is an error of that item. `python -m example_project` runs it with a real worker and beat.
"""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import metadata
from pathlib import Path

from celery import Celery

from celery_process import Processes, Work
from example_project.development import development_broker

FOLDER = Path(os.environ.get("QUICKSTART_FOLDER", ".quickstart")).resolve()

app = Celery("quickstart")
app.conf.update(development_broker(FOLDER), worker_concurrency=2, beat_schedule_filename=str(FOLDER / "beat"))
processes = Processes(app, backend=f"sqlite:///{FOLDER / 'process.db'}")


@processes.process("verify-packages", schedule=10, settings={"algorithms": ["sha256", "sha384", "sha512"]})
def verify(work: Work) -> None:
    """Check every file of the distribution `work.name` that has a sum in its RECORD."""
    for file in metadata.distribution(work.name).files or []:
        if file.hash is None or file.hash.mode not in work.params["algorithms"]:
            continue  # RECORD itself, and what was compiled at installation
        path = Path(str(file.locate()))
        if not path.is_file():
            work.add_error(f"{file} is missing")
            continue
        content = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest()).rstrip(b"=").decode()
        if digest != file.hash.value:
            work.add_error(f"{file} was altered")
        work.add_stats("files")
        work.add_stats("bytes", len(content))
        work.progress()
    report(work.name).write_text(f"verified, {work.total_errors} errors\n")


@verify.cleanup
def forget(work: Work) -> None:
    """Remove the report of a distribution that is not installed any more."""
    report(work.name).unlink(missing_ok=True)


def report(name: str) -> Path:
    """Return the file that says how the last check of a distribution went."""
    folder = FOLDER / "reports"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.txt"


def register_installed() -> int:
    """Register the distributions that are installed now, unregister those that are gone; return how many there are."""
    installed = {name for found in metadata.distributions() if (name := found.metadata["Name"])}
    verify.unregister_works([work.name for work in verify.works() if work.name not in installed])
    verify.register_works(dict.fromkeys(installed))
    return len(installed)
