"""The commands that read processes, their runs and their slots."""

from __future__ import annotations

import json
from itertools import islice

import click

from celery_process.app import Processes
from celery_process.cli.base import (
    as_json,
    fact,
    found,
    limit,
    numbers,
    print_json,
    print_table,
    process_name,
    progress,
    reveal,
    said,
    state_of,
    visible,
    when,
    with_processes,
)
from celery_process.cli.limits import limits_text
from celery_process.engine.removed import RemovedProcess
from celery_process.process import Process
from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import WorkList
from celery_process.schedule.frequency import describe, described
from celery_process.text.commands import command


@click.command(name="list")
@reveal
@as_json
@with_processes
def list_(processes: Processes, *, reveal: bool, json_: bool) -> None:
    """List the processes with their open or last run.

    Also those with an open run that are no longer in the code.
    """
    states = visible([process.state() for process in (*processes, *processes.removed())], reveal=reveal, json_=json_)
    if json_:
        print_json(states)
        return
    print_table(
        ("PROCESS", "SCHEDULE", "STATE", "ITEMS", "ERRORS", "SLOT"),
        (
            (
                state.name,
                describe(state.schedule_frequency) if state.defined else "not in this code",
                state.run.state.value if state.run else "never ran",
                progress(state.run),
                state.run.total_errors if state.run else "-",
                when(state.run.slot if state.run else None),
            )
            for state in states
        ),
    )
    for state in states:
        if state.paused is not None:
            said(f"{state.name} is paused by {state.paused.by or 'somebody'}: {state.paused.note or 'no note'}")


@click.command()
@process_name
@click.option("--on", type=click.Choice([item.value for item in WorkList]), help="Show the items of one list.")
@limit
@reveal
@as_json
@with_processes
def show(processes: Processes, name: str, *, on: str | None, limit: int, reveal: bool, json_: bool) -> None:
    """Show a process, or the items of one of its lists."""
    process = found(processes, name) if on is None else processes[name]
    if isinstance(process, Process) and on is not None:
        infos = visible(list(islice(process.works(on), limit)), reveal=reveal, json_=json_)
        if json_:
            print_json(infos)
            return
        print_table(
            ("WORK", "STATE", "ERRORS", "FINISHED", "STATS"),
            (
                (
                    info.name,
                    info.status.state.value + (", waits" if info.status.waits_in else ""),
                    info.status.total_errors,
                    when(info.status.finished_at),
                    numbers(info.status.stats),
                )
                for info in infos
            ),
        )
        return
    _show(process, processes, reveal=reveal, json_=json_)


def _show(process: Process | RemovedProcess, processes: Processes, *, reveal: bool, json_: bool) -> None:
    state, counts = visible(process.state(), reveal=reveal, json_=json_), process.work_counts()
    if json_:
        print_json({"state": state, "work_counts": dict(counts)})
        return
    schedule = described(state.schedule_frequency) if state.defined else "not in this code"
    said(f"{state.name}: {schedule}, settings version {state.settings_version}")
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
    fact("", f"{progress(run)} items ended, {run.total_errors} errors")
    fact("stats", numbers(run.stats))
    fact("total", numbers(state.aggregate_stats))
    for error in run.errors[:5]:
        fact("error", f"{when(error.at)}  {f'{error.work}: ' if error.work else ''}{error.text}")
    if len(run.errors) > 5:
        fact("", f"… `{command(processes.app, 'errors', state.name)}` tells more")


@click.command()
@process_name
@limit
@reveal
@as_json
@with_processes
def runs(processes: Processes, name: str, *, limit: int, reveal: bool, json_: bool) -> None:
    """List the runs of a process, newest first."""
    found = visible(list(islice(processes[name].runs(), limit)), reveal=reveal, json_=json_)
    if json_:
        print_json(found)
        return
    print_table(
        ("RUN", "SLOT", "STATE", "ITEMS", "ERRORS", "NOTE"),
        ((run.id, when(run.slot), run.state.value, progress(run), run.total_errors, _note(run)) for run in found),
    )


@click.command()
@process_name
@limit
@as_json
@with_processes
def slots(processes: Processes, name: str, *, limit: int, json_: bool) -> None:
    """List how the slots of a process ended, newest first."""
    found = list(islice(processes[name].slots(), limit))
    if json_:
        print_json(found)
        return
    print_table(
        ("SLOT", "END", "BY", "RUN"),
        (
            (
                when(entry.slot),
                entry.end.value,
                entry.by or "-",
                entry.run_id or (f"all after {when(entry.after)}" if entry.after else "-"),
            )
            for entry in found
        ),
    )


def _note(run: RunStatus) -> str:
    return ", ".join(filter(None, (run.cause, f"generation {run.generation}" if run.generation else "")))
