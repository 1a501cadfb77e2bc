"""Run the quickstart: a real `celery worker`, a real `celery beat`, live progress, and a table of what was found.

Ends after the first full run, with exit status 0 if that COMPLETED.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager

from celery_process import RunState
from celery_process.protocol.model import RunStatus
from example_project.programs import running
from example_project.quickstart import FOLDER, register_installed, verify

PATIENCE = 300
"""Seconds to wait for the run; a slow disk may need them."""
SHOWN = 12
"""Rows of the table: all with errors, then the largest."""


def celery(*arguments: str) -> AbstractContextManager[object]:
    """Run a `celery` command of the quickstart's app inside the block."""
    line = ("-m", "celery", "-A", "example_project.quickstart", *arguments, "-l", "INFO")
    return running(*line, log=FOLDER / f"{arguments[0]}.log")


def started_after(epoch: int) -> RunStatus | None:
    """Wait for the first run after `epoch`, which beat's next slot brings; None if none comes."""
    print("waiting for beat to bring the next slot (every 10 seconds) …", flush=True)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = verify.state().run
        if run is not None and run.epoch > epoch:
            return run
        time.sleep(0.1)
    return None


def ended(run: RunStatus) -> bool:
    """Show the progress of a run until it has ended; return whether it did."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, total = run.counts.ended, run.counts.enlisted
        bar = "#" * (30 * done // max(total, 1))
        text = f"slot {run.slot:%H:%M:%S}  [{bar:<30}] {done}/{total} packages, {run.stats.get('work.files', 0):,} files"
        if text != shown:
            print(text, flush=True)
            shown = text
        if not run.state.is_open:
            return True
        time.sleep(0.25)
        run = verify.state().run or run
    return False


def summary() -> bool:
    """Print what the run found; return whether it COMPLETED."""
    run = verify.state().run
    assert run is not None
    items = sorted(verify.works(), key=lambda work: (-work.status.total_errors, -work.status.stats.get("bytes", 0)))
    print(f"\n{'PACKAGE':<32} {'STATE':<11} {'FILES':>7} {'MiB':>7} {'ERRORS':>7}")
    faulty = sum(work.status.total_errors > 0 for work in items)
    for work in items[: max(SHOWN, faulty)]:
        stats = work.status.stats
        size = stats.get("bytes", 0) / 2**20
        state = work.status.state.value
        print(f"{work.name:<32} {state:<11} {stats.get('files', 0):>7,} {size:>7.1f} {work.status.total_errors:>7}")
        for error in work.status.errors:
            print(f"    {error.text}")
    if len(items) > max(SHOWN, faulty):
        print(f"… and {len(items) - max(SHOWN, faulty)} more, smaller ones without errors")
    size = run.stats.get("work.bytes", 0) / 2**20
    took = run.stats.get("duration", 0)
    print(
        f"\n{run.state.value}: {run.stats.get('workItems', 0)} packages, {run.stats.get('work.files', 0):,} files, "
        f"{size:,.1f} MiB, {run.total_errors} errors in {took:.1f} s"
    )
    print("Look again: celery -A example_project.quickstart process show verify-packages")
    return run.state is RunState.COMPLETED


def main() -> int:
    """Run the quickstart once."""
    last = verify.state().run
    print(
        f"verify-packages: {register_installed()} installed packages are registered as work items, in {FOLDER}", flush=True
    )
    with celery("worker"):
        with celery("beat", "--pidfile="):
            run = started_after(last.epoch if last is not None else 0)
        if run is None or not ended(run):
            print(f"The run did not end; the logs are in {FOLDER}.", file=sys.stderr)
            return 1
    return 0 if summary() else 1


if __name__ == "__main__":
    sys.exit(main())
