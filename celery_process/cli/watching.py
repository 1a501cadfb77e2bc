"""The commands for looking closely: `watch` all processes live, `work` one item, `errors` of a run."""

from __future__ import annotations

import json
import time
from itertools import count as counting
from typing import TYPE_CHECKING, Any

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, plain, print_json, process_name, when, with_processes
from celery_process.overview import Overview, overview
from celery_process.process import Process

if TYPE_CHECKING:
    from rich.table import Table


class Watch:
    """Gives the overview of a process again and again; counts its items anew at each run only, as that may be slow."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._run: str | None = None
        self._listed: int | None = None

    def look(self) -> Overview:
        """Read the store once more."""
        process = self.process
        store = process.dispatch.store
        newest = store.runs(process.name, before=None, limit=2)
        run = newest[0].id if newest else None
        if self._listed is None or run != self._run:
            self._run, self._listed = run, sum(process.work_counts().values())
        now, current = store.now(), process.dispatch.current()
        return overview(
            process.name,
            newest,
            now=now,
            listed=self._listed,
            tolerance=process.definition.tolerance,
            paused=store.process(process.name).paused is not None,
            next_slot=None if current is None else current.occurrences.following(now),
        )


def _table(seen: list[Overview]) -> Table:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - an extra
    from rich.table import Table  # noqa: PLC0415 - the same

    rows = [
        (
            "PAUSED" if item.paused else "never ran" if item.state is None else item.state.value,
            f"{item.done}/{item.total}",
            "-" if item.rate is None else f"{item.rate:,.1f}",
            "-" if item.remaining is None else f"{item.remaining.total_seconds():,.0f} s",
            f"{item.errors}/{'∞' if item.tolerated is None else item.tolerated}",
            "-" if item.next_slot is None else f"{item.next_slot:%H:%M:%S}",
        )
        for item in seen
    ]
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    # Of all columns the name alone gives way where the terminal is narrow.
    table.add_column("PROCESS", overflow="ellipsis", no_wrap=True, ratio=1)
    for index, header in enumerate(("STATE", "ITEMS", "/S", "LEFT", "ERRORS", "NEXT")):
        width = max(len(header), *(len(row[index]) for row in rows)) if rows else len(header)
        table.add_column(header, justify="right" if index else "left", no_wrap=True, width=width)
        if index == 0:
            table.add_column("", width=8)
    for item, (state, *rest) in zip(seen, rows, strict=True):
        table.add_row(item.process, state, ProgressBar(total=1, completed=item.fraction, width=8), *rest)
    return table


@click.command()
@click.argument("names", metavar="[PROCESS]...", nargs=-1)
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between two looks.")
@click.option("--count", type=click.IntRange(1), help="Stop after that many looks.")
@as_json
@with_processes
def watch(processes: Processes, names: tuple[str, ...], *, every: float, count: int | None, json_: bool) -> None:
    """Show processes live, all by default, until Ctrl-C; with --json a line a look. Times are UTC."""
    watches = [Watch(processes[name]) for name in names or [process.name for process in processes]]
    looks = range(count) if count is not None else counting()
    if json_:
        for index in looks:
            if index:
                time.sleep(every)
            lines: list[Any] = [{**plain(seen), "fraction": seen.fraction} for seen in (item.look() for item in watches)]
            click.echo(json.dumps(lines, ensure_ascii=False))
        return
    try:
        from rich.live import Live  # noqa: PLC0415 - an extra
    except ImportError:
        raise click.ClickException("The live table needs rich: pip install 'celery-process[cli]'; or use --json.") from None
    with Live(auto_refresh=False) as live:
        for index in looks:
            if index:
                time.sleep(every)
            live.update(_table([item.look() for item in watches]), refresh=True)


@click.command()
@process_name
@click.argument("item", metavar="NAME")
@as_json
@with_processes
def work(processes: Processes, name: str, item: str, *, json_: bool) -> None:
    """Show one work item: its params, and how its last run went."""
    info = processes[name].work(item)
    if json_:
        print_json(info)
        return
    status = info.status
    click.echo(f"{info.name}: {info.on.value} since {when(info.listed_at)}, changed {when(info.changed_at)}")
    click.echo(f"params   {json.dumps(dict(info.params), ensure_ascii=False)}")
    click.echo(f"status   {status.state.value}, attempt {status.attempt}, {status.total_errors} errors")
    click.echo(f"         started {when(status.started_at)}, finished {when(status.finished_at)}")
    click.echo(f"stats    {json.dumps(dict(status.stats))}")
    for error in status.errors:
        click.echo(f"error    {when(error.at)}  {error.text}")


@click.command()
@process_name
@click.argument("run_id", metavar="[RUN]", required=False)
@as_json
@with_processes
def errors(processes: Processes, name: str, run_id: str | None, *, json_: bool) -> None:
    """Show the recorded errors of a run, by default of the open or last one."""
    process = processes[name]
    run = process.state().run if run_id is None else process.dispatch.store.run(process.name, run_id)
    if json_:
        print_json(
            {"run": run and run.id, "total_errors": run.total_errors if run else 0, "errors": run.errors if run else ()}
        )
        return
    if run is None:
        click.echo(f"{name}: never ran")
        return
    click.echo(f"{name}: {run.total_errors} errors, {len(run.errors)} recorded, in run {run.id} ({run.state.value})")
    for error in run.errors:
        click.echo(f"{when(error.at)}  {f'{error.work}: ' if error.work else ''}{error.text}")
