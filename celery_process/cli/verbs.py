"""The commands that act: one for each verb, and those about the whole store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from celery_process.app import Processes
from celery_process.cli.base import current_user, find_process, json_of, print_text, process_name, when, with_processes
from celery_process.exceptions import InvalidValue
from celery_process.monitor.secrets import Fact, Reader, mask_fact
from celery_process.monitor.verbs import VERBS, Done, Request, Takes, Verb
from celery_process.text.printable import printable


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(
            f"--slot takes an instant in ISO 8601, not {text!r}: {error}.", argument="slot", value=text
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


_ARGUMENTS: Mapping[Takes, Any] = {
    Takes.SLOT: click.option("--slot", metavar="ISO8601", help="Name a past slot, such as 2026-01-31T12:00:00Z."),
    Takes.NOTE: click.option("--note", default="", help="Why; everybody who looks at the process sees it."),
    Takes.RUN: click.argument("run", metavar="RUN"),
    Takes.WORKS: click.argument("works", metavar="WORK...", nargs=-1, required=True),
    Takes.PARAMS: click.option("--params", metavar="JSON", default="{}", help="The items' own params, a JSON object."),
}
_READ: Mapping[str, Callable[[Any], Any]] = {
    "slot": lambda text: None if text is None else _instant(text),
    "params": partial(json_of, option="params"),
}


def command_of(verb: Verb) -> click.Command:
    """Return the command of a verb."""

    def act(processes: Processes, name: str, **arguments: Any) -> None:
        request = Request(
            by=current_user(), **{key: _READ[key](value) if key in _READ else value for key, value in arguments.items()}
        )
        process = find_process(processes, name) if verb.removed else processes[name]
        _report(name, verb, verb.act(process, request))

    command: Any = with_processes(act)
    for takes in reversed(Takes):
        command = _ARGUMENTS[takes](command) if takes in verb.takes else command
    more = "\n\nAlso of a process that is no longer in the code." if verb.removed else ""
    return click.command(name=verb.name, help=f"{verb.label}.\n\n{verb.question}{more}")(process_name(command))


def _report(name: str, verb: Verb, done: Done | None) -> None:
    if done is None:
        print_text(f"{name}: {verb.nothing}")
        return
    run, text = done.run, mask_fact(str(done.text), Fact.NOTES, Reader.CLI)
    details = "" if run is None else f", {run.state.value}, slot {when(run.slot)}, generation {run.generation}"
    print_text(printable(f"{name}: {text}{details}"))


commands = [command_of(verb) for verb in VERBS.values()]


@click.command()
@click.option("--force", is_flag=True, help="Even if the last sweep was less than process_sweep_interval ago.")
@with_processes
def sweep(processes: Processes, *, force: bool) -> None:
    """Repair open runs now, as the workers' timers do.

    Expired leases, unpublished items, runs that nobody closed.
    """
    swept = processes.sweep(force=force)
    click.echo(f"swept {', '.join(swept)}" if swept else "nothing to repair, or a sweep has just passed")


@click.command()
@with_processes
def migrate(processes: Processes) -> None:
    """Migrate the store's tables to this version."""
    for line in processes.migrate() or ("nothing to do",):
        click.echo(line)
