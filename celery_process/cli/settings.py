"""`process settings`, which reads unless an option names what to store."""

from __future__ import annotations

import click

from celery_process.app import Processes
from celery_process.cli.base import (
    as_json,
    current_user,
    json_of,
    limit,
    print_json,
    process_name,
    reveal,
    visible,
    with_processes,
)
from celery_process.cli.tables import print_table
from celery_process.jsontext import decode
from celery_process.monitor.columns import VERSIONS
from celery_process.monitor.secrets import Reader
from celery_process.schedule.frequency import describe, parse
from celery_process.text.masking import unmasked
from celery_process.text.printable import printable, printable_json


@click.command()
@process_name
@click.option(
    "--set", "new", metavar="JSON", help="Replace the stored settings by this JSON object; {} goes back to the code's."
)
@click.option("--schedule", metavar="SECONDS|CRON", help="Store a schedule: seconds, or five crontab fields in quotes.")
@click.option("--expected-version", type=int, help="Refuse unless the settings are at this version.")
@click.option("--history", is_flag=True, help="Show the stored versions instead, newest first.")
@limit
@reveal
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
    reveal: bool,
    json_: bool,
) -> None:
    """Show the settings in force, or store new ones.

    A masked value that --set has as it was shown stays what it is.
    """
    process = processes[name]
    if new is not None or schedule is not None:
        stored = decode(process.store.overrides(name).settings)
        document = None if new is None else unmasked(json_of(new, option="set"), stored, argument="settings")
        process.update_settings(
            document,
            schedule=None if schedule is None else parse(schedule),
            expected_version=expected_version,
            by=current_user(),
        )
    if history:
        versions = visible(process.settings_history(limit), reveal=reveal, json_=json_)
        if json_:
            print_json([VERSIONS.as_json(version, Reader.CLI) for version in versions])
        else:
            print_table(VERSIONS, versions, keep=[column.key for column in VERSIONS.columns])
        return
    state = visible(process.state(), reveal=reveal, json_=json_)
    if json_:
        print_json(
            {"settings": dict(state.settings), "schedule": state.schedule_frequency, "version": state.settings_version}
        )
        return
    click.echo(f"version  {state.settings_version}")
    click.echo(f"schedule {describe(state.schedule_frequency)}")
    for key, value in sorted(state.settings.items()):
        click.echo(f"{printable(key)} = {printable_json(value)}")
