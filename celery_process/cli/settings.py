"""`process settings`, which reads unless it is told what to store."""

from __future__ import annotations

import json
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, limit, print_json, print_table, process_name, when, who, with_processes
from celery_process.exceptions import InvalidValue
from celery_process.frequency import read, shown
from celery_process.model import SettingsVersion


@click.command()
@process_name
@click.option(
    "--set", "new", metavar="JSON", help="Replace the stored settings by this JSON object; {} goes back to the code's."
)
@click.option("--schedule", metavar="SECONDS|CRON", help="Store a schedule: seconds, or five crontab fields in quotes.")
@click.option("--expected-version", type=int, help="Refuse unless the settings are at this version.")
@click.option("--history", is_flag=True, help="Show the stored versions instead, newest first.")
@limit
@as_json
@with_processes
def settings(
    processes: Processes,
    name: str,
    *,
    new: str | None,
    schedule: str | None,
    expected_version: int | None,
    history: bool,
    limit: int,
    json_: bool,
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
    if history:
        _history(process.settings_history(limit), json_=json_)
        return
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


def _history(versions: tuple[SettingsVersion, ...], *, json_: bool) -> None:
    if json_:
        print_json(versions)
        return
    print_table(
        ("VERSION", "STORED", "BY", "SCHEDULE", "SETTINGS"),
        (
            (
                version.version,
                when(version.changed_at),
                version.by or "-",
                "-" if version.schedule_frequency is None else shown(version.schedule_frequency),
                "-" if version.settings is None else json.dumps(version.settings, ensure_ascii=False),
            )
            for version in versions
        ),
    )


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValue(
            f"--set takes a JSON object, such as '{{\"key_ttl\": 60}}', and this is none: {error}.",
            argument="set",
            value=text,
        ) from None
