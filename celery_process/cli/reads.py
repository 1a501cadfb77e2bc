"""The commands that read, and `settings`, which reads unless it is told what to store."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import click
from celery.schedules import crontab

from celery_process.app import Processes
from celery_process.cli.base import as_json, limit, print_json, print_table, process_name, when, who, with_processes
from celery_process.exceptions import InvalidValue
from celery_process.frequency import shown
from celery_process.model import RunStatus
from celery_process.process import Process
from celery_process.states import WorkList


def _progress(run: RunStatus | None) -> str:
    return "-" if run is None else f"{run.counts.ended}/{run.counts.enlisted}"


@click.command(name="list")
@as_json
@with_processes
def list_(processes: Processes, *, json_: bool) -> None:
    """List the processes of this app with their open or last run."""
    states = [process.state() for process in processes]
    if json_:
        print_json(states)
        return
    print_table(
        ("PROCESS", "SCHEDULE", "RUN", "ITEMS", "ERRORS", "SLOT", "NOTE"),
        (
            (
                state.name,
                shown(state.schedule_frequency),
                state.run.state.value if state.run else "never ran",
                _progress(state.run),
                state.run.total_errors if state.run else "-",
                when(state.run.slot if state.run else None),
                f"paused: {state.paused.note}" if state.paused else "",
            )
            for state in states
        ),
    )


@click.command()
@process_name
@click.option("--on", type=click.Choice([item.value for item in WorkList]), help="Show the items of one list.")
@click.option("--work", "work_name", help="Show one work item.")
@limit
@as_json
@with_processes
def show(processes: Processes, name: str, *, on: str | None, work_name: str | None, limit: int, json_: bool) -> None:
    """Show a process: its run, settings and totals; or its items with --on or --work."""
    process = processes[name]
    if work_name is not None:
        info = process.work(work_name)
        if json_:
            print_json(info)
            return
        click.echo(f"{info.name}  on {info.on.value} since version of {when(info.changed_at)}")
        click.echo(f"params   {json.dumps(dict(info.params), ensure_ascii=False)}")
        click.echo(f"status   {info.status.state.value}, attempt {info.status.attempt}, {info.status.total_errors} errors")
        click.echo(f"stats    {_numbers(info.status.stats)}")
        for error in info.status.errors:
            click.echo(f"error    {when(error.at)}  {error.text}")
        return
    if on is not None:
        infos = list(islice(process.works(on), limit))
        if json_:
            print_json(infos)
            return
        print_table(
            ("WORK", "STATE", "ERRORS", "FINISHED", "STATS"),
            (
                (
                    info.name,
                    info.status.state.value,
                    info.status.total_errors,
                    when(info.status.finished_at),
                    _numbers(info.status.stats),
                )
                for info in infos
            ),
        )
        return
    _show(process, json_=json_)


def _show(process: Process, *, json_: bool) -> None:
    state, counts = process.state(), process.work_counts()
    if json_:
        print_json({"state": state, "work_counts": dict(counts)})
        return
    click.echo(f"{state.name}: every {shown(state.schedule_frequency)}, settings version {state.settings_version}")
    if state.paused is not None:
        click.echo(f"paused   {when(state.paused.at)} by {state.paused.by or 'somebody'}: {state.paused.note or 'no note'}")
    click.echo(f"settings {json.dumps(dict(state.settings), ensure_ascii=False)}")
    click.echo("items    " + ", ".join(f"{count} {on.value}" for on, count in counts.items()))
    run = state.run
    if run is None:
        click.echo("run      never ran")
        return
    reason = f" ({run.reason})" if run.reason else ""
    click.echo(f"run      {run.id} {run.state.value}{reason}, slot {when(run.slot)}, generation {run.generation}")
    click.echo(f"         started {when(run.started_at)}, finished {when(run.finished_at)}")
    click.echo(f"         {_progress(run)} items ended, {run.total_errors} errors")
    click.echo(f"stats    {_numbers(run.stats)}")
    click.echo(f"total    {_numbers(state.aggregate_stats)}")
    for error in run.errors:
        click.echo(f"error    {when(error.at)}  {f'{error.work}: ' if error.work else ''}{error.text}")


def _numbers(stats: Any) -> str:
    return (
        ", ".join(f"{name} {count:,}" if isinstance(count, int) else f"{name} {count:,.3f}" for name, count in stats.items())
        or "-"
    )


@click.command()
@process_name
@limit
@as_json
@with_processes
def runs(processes: Processes, name: str, *, limit: int, json_: bool) -> None:
    """List the runs of a process, newest first."""
    found = list(islice(processes[name].runs(), limit))
    if json_:
        print_json(found)
        return
    print_table(
        ("SLOT", "GEN", "STATE", "ITEMS", "ERRORS", "REASON", "RUN"),
        (
            (when(run.slot), run.generation, run.state.value, _progress(run), run.total_errors, run.reason or "-", run.id)
            for run in found
        ),
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
                when(entry.slot) if entry.after is None else f"after {when(entry.after)} to {when(entry.slot)}",
                entry.end.value,
                entry.by or "-",
                entry.run_id or "-",
            )
            for entry in found
        ),
    )


@click.command()
@process_name
@click.option(
    "--set", "new", metavar="JSON", help="Replace the stored settings by this JSON object; {} goes back to the code's."
)
@click.option("--schedule", metavar="SECONDS|CRON", help="Store a schedule: seconds, or five crontab fields in quotes.")
@click.option("--expected-version", type=int, help="Refuse unless the settings are at this version.")
@as_json
@with_processes
def settings(
    processes: Processes, name: str, *, new: str | None, schedule: str | None, expected_version: int | None, json_: bool
) -> None:
    """Show the settings in force, or store new ones."""
    process = processes[name]
    if new is not None or schedule is not None:
        document = None if new is None else _object(new)
        process.update_settings(
            document,
            schedule=None if schedule is None else _schedule(schedule),
            expected_version=expected_version,
            by=who(),
        )
    state = process.state()
    if json_:
        print_json(
            {"settings": dict(state.settings), "schedule": state.schedule_frequency, "version": state.settings_version}
        )
        return
    click.echo(f"version  {state.settings_version}")
    click.echo(f"schedule {shown(state.schedule_frequency)}")
    for key, value in sorted(state.settings.items()):
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValue(
            f"--set takes a JSON object, such as '{{\"key_ttl\": 60}}', and this is none: {error}.",
            argument="set",
            value=text,
        ) from None


def _schedule(text: str) -> Any:
    fields = text.split()
    if len(fields) == 5:
        try:
            names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
            return crontab(**dict(zip(names, fields, strict=True)))
        except Exception as error:
            raise InvalidValue(
                f"{text!r} is no crontab: {error}; give five fields, m h dom mon dow.", argument="schedule", value=text
            ) from error
    try:
        return float(text)
    except ValueError:
        raise InvalidValue(
            f"{text!r} is neither seconds nor five crontab fields, such as '*/10 * * * *'.", argument="schedule", value=text
        ) from None
