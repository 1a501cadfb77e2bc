"""The commands about single items: the facts of one item, and the errors of a run with their items."""

from __future__ import annotations

import json

import click

from celery_process.app import Processes
from celery_process.cli.base import (
    as_json,
    fact,
    numbers,
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
from celery_process.cli.tables import print_rows


@click.command()
@process_name
@click.argument("work_name", metavar="WORK")
@reveal
@as_json
@with_processes
def work(processes: Processes, name: str, *, work_name: str, reveal: bool, json_: bool) -> None:
    """Show one work item and how its last run went."""
    info = visible(processes[name].work(work_name), reveal=reveal, json_=json_)
    if json_:
        print_json(info)
        return
    status = info.status
    print_text(info.name)
    fact("list", f"{info.on.value} since {when(info.listed_at)}, changed {when(info.changed_at)}")
    fact("params", json.dumps(dict(info.params), ensure_ascii=False))
    fact("status", f"{state_of(status.state)}, attempt {status.attempt}, {status.total_errors} errors")
    if status.waits_in:
        fact("", f"waits in run {status.waits_in}; the rest is of the run before")
    fact("", f"started {when(status.started_at)}, finished {when(status.finished_at)}")
    if status.task_id:
        fact("", f"Celery task {status.task_id}")
    fact("stats", numbers(status.stats))
    for error in status.errors:
        fact("error", f"{when(error.at)}  {error.text}")


@click.command()
@process_name
@click.argument("run_id", metavar="[RUN]", required=False)
@reveal
@as_json
@with_processes
def errors(processes: Processes, name: str, *, run_id: str | None, reveal: bool, json_: bool) -> None:
    """Show the errors of a run and the items that had them.

    Of the open or last run, if none is named. The texts of the first 25 errors are kept.
    """
    process = processes[name]
    run = process.state().run if run_id is None else process.store.run(process.name, run_id)
    run = visible(run, reveal=reveal, json_=json_)
    if json_:
        about = {"run": run and run.id, "state": run and run.state.value, "total_errors": run.total_errors if run else 0}
        print_json({**about, "errors": plain(run.errors) if run else []})
        return
    if run is None:
        print_text(f"{process.name} never ran")
        return
    first = f", the first {len(run.errors)}" if run.total_errors > len(run.errors) else ""
    print_text(
        f"run {run.id} {state_of(run.state, run.cause)} started {when(run.started_at)}: {run.total_errors} errors{first}"
    )
    if run.errors:
        print_rows(("AT", "WORK", "ERROR"), ((when(error.at), error.work or "-", error.text) for error in run.errors))
