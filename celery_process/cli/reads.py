"""The commands that read processes, their runs and their slots."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import (
    as_json,
    fact,
    find_process,
    limit,
    numbers,
    pause_text,
    plain,
    print_json,
    print_text,
    process_name,
    reveal,
    state_of,
    visible,
    when,
    with_processes,
)
from celery_process.cli.limits import limits_text
from celery_process.cli.tables import print_table
from celery_process.engine.removed import RemovedProcess
from celery_process.monitor.cells import Table
from celery_process.monitor.columns import ITEMS, PROCESSES, RUNS, SLOTS
from celery_process.monitor.overview import read_overview
from celery_process.monitor.secrets import Reader
from celery_process.process import Process
from celery_process.protocol.states import WorkList
from celery_process.schedule.frequency import describe
from celery_process.text.commands import command


@click.command(name="list")
@reveal
@as_json
@with_processes
def list_(processes: Processes, *, reveal: bool, json_: bool) -> None:
    """List the processes with their open or last run.

    Also those with an open run that are no longer in the code.
    """
    every = [*processes, *processes.removed()]
    states = visible([process.state() for process in every], reveal=reveal, json_=json_)
    found = visible([read_overview(process) for process in every], reveal=reveal, json_=json_)
    if json_:
        rows = (PROCESSES.as_json(one, Reader.CLI) for one in found)
        print_json([{**plain(state), **row} for state, row in zip(states, rows, strict=True)])
        return
    print_table(PROCESSES, found, keep=("process", "schedule", "states", "progress", "tolerance"), more=("slot",))
    for one in found:
        if one.paused is not None:
            print_text(pause_text(one.process, one.paused))


@click.command()
@process_name
@click.option("--on", type=click.Choice([item.value for item in WorkList]), help="Show the items of one list.")
@limit
@reveal
@as_json
@with_processes
def show(processes: Processes, name: str, *, on: str | None, limit: int, reveal: bool, json_: bool) -> None:
    """Show a process, or the items of one of its lists."""
    process = find_process(processes, name) if on is None else processes[name]
    if isinstance(process, Process) and on is not None:
        infos = visible(list(islice(process.works(on), limit)), reveal=reveal, json_=json_)
        if json_:
            print_json([ITEMS.as_json(info, Reader.CLI) for info in infos])
            return
        print_table(ITEMS, infos, keep=("name", "state", "total_errors", "finished_at", "stats"))
        return
    _show(process, processes, reveal=reveal, json_=json_)


def _show(process: Process | RemovedProcess, processes: Processes, *, reveal: bool, json_: bool) -> None:
    state, counts = visible(process.state(), reveal=reveal, json_=json_), process.work_counts()
    if json_:
        print_json({"state": state, "work_counts": dict(counts)})
        return
    schedule = describe(state.schedule_frequency) if state.defined else "not in this code"
    print_text(f"{state.name}: {schedule}, settings version {state.settings_version}")
    if state.paused is not None:
        fact("paused", f"{when(state.paused.at)} by {state.paused.by or 'somebody'}: {state.paused.note or 'no note'}")
    fact("settings", json.dumps(dict(state.settings), ensure_ascii=False))
    if state.defined:
        fact("limits", limits_text(state.limits))
    fact("items", ", ".join(f"{count} {on.value}" for on, count in counts.items()))
    run = state.run
    if run is None:
        fact("run", "never ran")
        return
    fact("run", f"{run.id} {state_of(run.state, run.cause)}, slot {when(run.slot)}, generation {run.generation}")
    fact("", f"started {when(run.started_at)}, finished {when(run.finished_at)}")
    fact("", f"{run.counts.ended} of {run.counts.enlisted} items ended, {run.total_errors} errors")
    fact("stats", numbers(run.stats))
    fact("total", numbers(state.aggregate_stats))
    for error in run.errors[:5]:
        fact("error", f"{when(error.at)}  {f'{error.work}: ' if error.work else ''}{error.text}")
    if len(run.errors) > 5:
        fact("", f"… `{command(processes.app, 'errors', state.name)}` shows more")


@click.command()
@process_name
@limit
@reveal
@as_json
@with_processes
def runs(processes: Processes, name: str, *, limit: int, reveal: bool, json_: bool) -> None:
    """List the runs of a process, newest first."""
    found = visible(list(islice(processes[name].runs(), limit)), reveal=reveal, json_=json_)
    _print(
        RUNS,
        found,
        json_=json_,
        keep=("id", "slot", "state", "items", "total_errors"),
    )


@click.command()
@process_name
@limit
@as_json
@with_processes
def slots(processes: Processes, name: str, *, limit: int, json_: bool) -> None:
    """List how the slots of a process ended, newest first."""
    _print(SLOTS, islice(processes[name].slots(), limit), json_=json_, keep=("slot", "end", "by", "run_id"))


def _print(table: Table, rows: Iterable[Any], *, json_: bool, keep: Collection[str]) -> None:
    if json_:
        print_json([table.as_json(row, Reader.CLI) for row in rows])
    else:
        print_table(table, rows, keep=keep)
