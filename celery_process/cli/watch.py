"""`process watch`: all processes on the move, refreshed in place on a terminal, or a line of JSON each time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import STATES, as_json, cut, print_json, reveal, visible, with_processes
from celery_process.exceptions import StoreUnavailable
from celery_process.monitor.overview import Overview, humanize, read_overview
from celery_process.process import Process

BAR = 12
"""Columns of a progress bar."""


@click.command()
@click.argument("names", metavar="[PROCESS]...", nargs=-1)
@click.option("--every", default=2.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds between two looks.")
@click.option("-n", "--count", type=click.IntRange(1), help="How often to look; without it until Ctrl-C.")
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
            for look in _looks(watched, every, count, reveal=reveal, json_=True):
                print_json({"error": look} if isinstance(look, str) else {"processes": look}, indent=None)
        else:
            _live(watched, every, count, reveal=reveal, no_color=getattr(ctx.obj, "no_color", False))
    except KeyboardInterrupt:
        return


def _looks(
    watched: Sequence[Process], every: float, count: int | None, *, reveal: bool = False, json_: bool = False
) -> Iterator[list[Overview] | str]:
    """Give the overviews again and again; where the store is out of reach, what it said."""
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
        for look in _looks(watched, every, count, reveal=reveal):
            console.print(_frame(look))
        return
    with Live(console=console, auto_refresh=False) as live:
        for look in _looks(watched, every, count, reveal=reveal):
            live.update(_frame(look), refresh=True)


def _frame(look: list[Overview] | str) -> Any:
    from rich.console import Group  # noqa: PLC0415 - an extra
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if isinstance(look, str):
        return Text(look, style="red")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("PROCESS", max_width=24)  # the one column that gives way
    table.add_column("STATE", no_wrap=True)
    table.add_column("PROGRESS", width=BAR, no_wrap=True)
    for title in ("", "ITEMS", "RATE", "LEFT", "ERRORS"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in look:
        state = "never ran" if one.state is None else one.state.value
        colour = STATES.get(state, "cyan")  # rich's own is a pink that 16 colours show as bright red
        bar: Any = "-"
        if one.fraction is not None:
            bar = ProgressBar(
                total=1.0,
                completed=one.fraction,
                width=BAR,
                style="bright_black",
                complete_style=colour,
                finished_style=colour,
            )
        table.add_row(
            Text(one.process, no_wrap=True, overflow="ellipsis"),
            Text("paused" if one.paused and not one.is_open else state, style=STATES.get(state, "")),
            bar,
            "" if one.fraction is None else f"{int(one.fraction * 100)}%",
            f"{one.done:,}/{one.total:,}",
            "-" if one.rate is None or not one.is_open else f"{one.rate:,.1f}/s",
            _left(one),
            Text(f"{one.errors}/{one.limit if one.limit is not None else '∞'}", style="red" if one.errors else ""),
        )
    return Group(table, *(Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in _notes(look)))


def _left(one: Overview) -> str:
    if one.is_open:
        return "?" if one.remaining is None else humanize(one.remaining)
    return "-" if one.next_slot is None else f"in {humanize(max(one.next_slot - one.at, timedelta(0)))}"


def _notes(look: Sequence[Overview]) -> Iterator[str]:
    for one in look:
        if one.paused is not None:
            yield f"{one.process} is paused by {one.paused.by or 'somebody'}: {cut(one.paused.note, 200) or 'no note'}"
        if one.last_error is not None:
            item = f"{one.last_error.work}: " if one.last_error.work else ""
            yield f"{one.process}  {item}{cut(one.last_error.text, 200)}"
