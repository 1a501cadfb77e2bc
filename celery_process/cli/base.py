"""The group, and what all commands share: finding the registry, turning errors into one line, printing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn

import click
from celery.bin.base import handle_preload_options

from celery_process.app import Processes, registry_of
from celery_process.documents import plain
from celery_process.exceptions import ProcessError


@click.group(name="process", help="Processes: look at them, run them, pause them, change their work and settings.")
@click.pass_context
@handle_preload_options
def process(ctx: click.Context) -> None:
    """Load the app's modules, so that its processes are known."""
    app = ctx.obj.app
    app.loader.import_default_modules()
    app.finalize()


def with_processes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the registry of the app as its first argument; errors become one line and exit status 1."""

    @click.pass_context
    @wraps(command)
    def wrapped(ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
        registry = registry_of(ctx.obj.app)
        if registry is None:
            _refuse(
                "This app has no processes; make a Processes(app) in the module that -A names, or in one that it imports."
            )
        try:
            return command(registry, *args, **kwargs)
        except ProcessError as error:
            _refuse(str(error))
        finally:
            with suppress(ProcessError):  # a store that could not be opened has been told of already
                registry.store.close()

    return wrapped


def _refuse(message: str) -> NoReturn:
    raise click.ClickException(message)


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
process_name = click.argument("name", metavar="PROCESS")
limit = click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="How many to show.")


def who() -> str:
    """Return who is at the terminal, for the ledger: the login name, if the system tells one."""
    return f"cli:{os.environ.get('USER') or os.environ.get('LOGNAME') or 'unknown'}"


def print_json(value: Any) -> None:
    """Print a value as JSON, one document."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows in columns; the last column is cut where the line would be longer than 100 characters."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.echo(text if len(text) <= 100 else text[:99] + "…")


def when(instant: datetime | None) -> str:
    """Return an instant as people read it, to the second, in UTC."""
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}"


__all__ = ["Processes", "as_json", "limit", "plain", "print_json", "print_table", "process", "process_name", "when", "who"]
