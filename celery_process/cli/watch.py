"""`process watch`: the overviews of all processes, refreshed in place on a terminal, or a line of JSON each time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, coloured, cut, pause_text, print_json, reveal, visible, with_processes
from celery_process.cli.tables import lines_of
from celery_process.exceptions import StoreUnavailable
from celery_process.monitor.columns import PROCESSES
from celery_process.monitor.overview import Overview, read_overview
from celery_process.monitor.secrets import Reader
from celery_process.process import Process

KEEP = ("process", "states", "progress", "rate", "remaining", "tolerance")
"""The columns that are kept on a terminal of any width."""


@click.command()
@click.argument("names", metavar="[PROCESS]...", nargs=-1)
@click.option("--every", default=2.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds between two reads.")
@click.option("-n", "--count", type=click.IntRange(1), help="How many reads; without it until Ctrl-C.")
@reveal
@as_json
@click.pass_context
@with_processes
def watch(
    processes: Processes,
    ctx: click.Context,
    *,
    names: Sequence[str],
    every: float,
    count: int | None,
    reveal: bool,
    json_: bool,
) -> None:
    """Watch processes on the move, all by default.

    State, progress, rate, time left and errors; with --json a line each time.
    """
    watched = [processes[name] for name in names] or list(processes)
    try:
        if json_:
            for reading in _readings(watched, every, count, reveal=reveal, json_=True):
                print_json(_document(reading), indent=None)
        else:
            _live(watched, every, count, reveal=reveal, no_color=getattr(ctx.obj, "no_color", False))
    except KeyboardInterrupt:
        return


def _document(reading: list[Overview] | str) -> dict[str, Any]:
    if isinstance(reading, str):
        return {"error": reading}
    return {"processes": [PROCESSES.as_json(one, Reader.CLI) for one in reading]}


def _readings(
    watched: Sequence[Process], every: float, count: int | None, *, reveal: bool = False, json_: bool = False
) -> Iterator[list[Overview] | str]:
    """Yield the overviews repeatedly; while the store is out of reach, yield the text of its error."""
    earlier: dict[str, Overview] = {}
    while True:
        try:
            earlier = {process.name: read_overview(process, earlier=earlier.get(process.name)) for process in watched}
            yield visible(list(earlier.values()), reveal=reveal, json_=json_)
        except StoreUnavailable as error:
            yield visible(str(error), json_=json_)
        count = None if count is None else count - 1
        if count == 0:
            return
        time.sleep(every)


def _live(watched: Sequence[Process], every: float, count: int | None, *, reveal: bool, no_color: bool) -> None:
    try:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.live import Live  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"watch needs the package {error.name!r}; run pip install 'celery-process[watch]' first, or use --json."
        ) from error
    console = Console(no_color=no_color or bool(os.environ.get("NO_COLOR")) or None, highlight=False)
    if not console.is_terminal:
        for reading in _readings(watched, every, count, reveal=reveal):
            for line in _lines(reading):
                click.echo(line)
        return
    # What stands in for standard output meanwhile says, before rich 15, that it is no terminal.
    with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
        for reading in _readings(watched, every, count, reveal=reveal):
            live.update(_frame(reading), refresh=True)


def _frame(reading: list[Overview] | str) -> Any:
    from rich.console import Group  # noqa: PLC0415 - an extra
    from rich.text import Text  # noqa: PLC0415

    return Group(*(Text.from_ansi(line, no_wrap=True, overflow="ellipsis") for line in _lines(reading)))


def _lines(reading: list[Overview] | str) -> list[str]:
    if isinstance(reading, str):
        return [coloured(reading, "red")]
    return [*lines_of(PROCESSES, reading, keep=KEEP, bars=True), *_notes(reading)]


def _notes(reading: Sequence[Overview]) -> Iterator[str]:
    for one in reading:
        if one.paused is not None:
            yield pause_text(one.process, one.paused)
        if one.last_error is not None:
            item = f"{one.last_error.work}: " if one.last_error.work else ""
            yield f"{one.process}  {item}{cut(one.last_error.text, 200)}"
