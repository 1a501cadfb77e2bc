"""The command about limits."""

from __future__ import annotations

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, current_user, print_json, process_name, visible, when, with_processes
from celery_process.protocol.limits import Limits


def limits_text(limits: Limits) -> str:
    """Return limits in one line, with the user who stored them."""
    stored = "" if limits.at is None else f", stored {when(limits.at)} by {limits.by or 'somebody'}"
    return f"{limits.max_in_flight:,} in flight, {limits.rate_limit or 'no rate limit'}{stored}"


@click.command()
@process_name
@click.option("--max-in-flight", metavar="N", type=int, help="Items of a run in flight at once.")
@click.option("--rate-limit", metavar="RATE", help='Items sent, by all workers together: "50/s", "10/m", "5/h"; 0: none.')
@click.option("--reset", is_flag=True, help="Delete the stored limits first, so that the code's apply again.")
@as_json
@with_processes
def limits(
    processes: Processes, name: str, *, max_in_flight: int | None, rate_limit: str | None, reset: bool, json_: bool
) -> None:
    """Show the limits in force, or store new ones.

    A run that is under way heeds them too.
    """
    process = processes[name]
    if reset or max_in_flight is not None or rate_limit is not None:
        process.update_limits(max_in_flight=max_in_flight, rate_limit=rate_limit, reset=reset, by=current_user())
    found = visible(process.state().limits, json_=json_)
    if json_:
        print_json(found)
    else:
        click.echo(f"{name}: {limits_text(found)}")
