"""S10: how long the item of a SIGKILLed worker waits until another worker starts it again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from benchmarks.workers import bench, end, start

PATIENCE = 120.0


def _waited(options: Options, *, lease: float, sweep: float) -> float:
    """Return the seconds between SIGKILL to a whole worker and the second start of its item."""
    with servers.redis() as redis:
        more = {"BENCHMARKS_LEASE": f"{lease:g}", "BENCHMARKS_SWEEP": f"{sweep:g}"}
        starts = Path(os.environ.setdefault("BENCHMARKS_STARTS", f"/tmp/benchmarks-starts-{os.getpid()}"))  # noqa: S108
        starts.write_text("")
        broker, store = options.broker or f"{redis}/0", options.store or f"{redis}/1"
        with bench(broker=broker, store=store, results=f"{redis}/2", more=more) as at:
            at.app.processes["lost"].register_work("item")
            at.app.processes["lost"].run_now()
            _wait_for(starts, 1)
            other = start(at.folder)
            try:
                killed = time.time()
                end(at.worker, signal.SIGKILL)
                second = _wait_for(starts, 2)
            finally:
                end(other)
                starts.unlink()
    return second - killed


def _wait_for(starts: Path, number: int) -> float:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = starts.read_text().splitlines()
        if len(lines) >= number:
            return float(lines[number - 1].split()[1])
        time.sleep(0.05)
    raise click.ClickException(f"The item was not started {number} times in {PATIENCE:g} s.")


def recovery(options: Options) -> list[Figure]:
    """S10: a SIGKILLed worker's item runs again; the defaults take a minute and are measured with --slow."""
    figures = [spread("S10", "lease 2 s, sweep 1 s", [_waited(options, lease=2, sweep=1)], unit="s", most=5)]
    if options.slow:
        figures.append(spread("S10", "lease 30 s, sweep 10 s", [_waited(options, lease=30, sweep=10)], unit="s", most=45))
    return figures
