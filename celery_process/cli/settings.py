"""`process settings`, which reads unless it is told what to store."""

from __future__ import annotations

import json
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, print_json, process_name, who, with_processes
from celery_process.exceptions import InvalidValue
from celery_process.frequency import read, shown


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
            schedule=None if schedule is None else read(schedule),
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
