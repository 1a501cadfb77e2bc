"""The group, and what all commands share: finding the registry, turning errors into one line, printing."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click
from celery.bin.base import handle_preload_options
from wcwidth import wcswidth

from celery_process.app import Processes, registry_of
from celery_process.engine.removed import RemovedProcess
from celery_process.exceptions import InvalidValue, ProcessError
from celery_process.monitor.jsonable import plain
from celery_process.monitor.secrets import Reader, as_shown
from celery_process.process import Process
from celery_process.protocol.model import Pause
from celery_process.text.commands import pasted
from celery_process.text.printable import printable, printable_json, printable_value

T = TypeVar("T")


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
            _refuse(pasted(str(error), ctx.obj.app))
        finally:
            with suppress(ProcessError):  # a store that could not be opened has been told of already
                registry.store.close()

    return wrapped


def _refuse(message: str) -> NoReturn:
    raise click.ClickException(printable(message))


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
process_name = click.argument("name", metavar="PROCESS")
reveal = click.option("--reveal", is_flag=True, help="Show secrets as they are; without it they are masked.")
limit = click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="How many to show.")


def visible(value: T, *, reveal: bool = False, json_: bool = False) -> T:
    """Return what reading gave as the terminal shows it: without its secrets, unless they are asked for.

    Nothing in its texts acts on the terminal; in JSON they stay what they are, and `print_json` escapes them.
    """
    seen: T = value if reveal else as_shown(value, Reader.CLI)
    return seen if json_ else printable_value(seen)


def found(processes: Processes, name: str) -> Process | RemovedProcess:
    """Return a process of the app, or else one that the store alone knows and that has an open run."""
    if name in processes:
        return processes[name]
    return next((gone for gone in processes.removed() if gone.name == name), None) or processes[name]


def who() -> str:
    """Return who is at the terminal, for the ledger: the login name, or the number of a user who has none."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user, whom no passwd names
        return f"cli:uid-{os.getuid()}"


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, one document."""
    click.echo(printable_json(plain(value), indent=indent))


def wide() -> int | None:
    """Return the columns of the terminal; None where the output goes elsewhere, which nothing is cut for."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def coloured(text: str, colour: str | None = None, *, bold: bool = False) -> str:
    """Return text in a colour, on a terminal that was not told otherwise by NO_COLOR or Celery's --no-color."""
    ctx = click.get_current_context(silent=True)
    plainly = os.environ.get("NO_COLOR") or getattr(ctx and ctx.obj, "no_color", False) or not sys.stdout.isatty()
    return text if plainly else click.style(text, fg=colour, bold=bold or None)


def cut(text: str, width: int | None) -> str:
    """Return text on one line, at most `width` columns of it, with nothing in it that acts on the terminal."""
    line = printable(" ".join(text.split()))
    if width is None or columns(line) <= width:
        return line
    while line and columns(line) >= width:
        line = line[: -max(1, (columns(line) - width) // 2)]
    return line + "…"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: of most Asian characters and emoji, each takes two."""
    return max(wcswidth(text), 0) if not text.isascii() else len(text)


def padded(text: str, width: int) -> str:
    """Return text with spaces behind it, up to a number of columns."""
    return text + " " * (width - columns(text))


def said(text: str, *, first: str = "", indent: int = 0) -> None:
    """Print a text after `first`, which takes `indent` columns; on a terminal, folded between words."""
    lines = folded(text, max((wide() or 10_000) - indent, 20))
    click.echo(first + lines[0])
    for line in lines[1:]:
        click.echo(" " * indent + line)


def folded(text: str, width: int) -> list[str]:
    """Return the lines of a text that is folded between words, by the columns that it takes: colours take none."""
    lines = [""]
    for found in _WORD.finditer(text.strip()):
        gap, word = found.groups()
        if lines[-1] and columns(click.unstyle(lines[-1] + gap + word)) > width:
            lines.append("")
        lines[-1] += gap + word if lines[-1] else word
        while columns(click.unstyle(lines[-1])) > width:  # a word that is longer than a line
            head = lines[-1]
            while columns(click.unstyle(head)) > width:
                head = head[:-1]
            lines[-1:] = [head, lines[-1][len(head) :]]
    return lines


_WORD = re.compile(r"(\s*)(\S+(?: \d\d:\d\d:\d\dZ\S*)?)")
"""A space and a word; an instant is one word."""


def fact(label: str, text: str) -> None:
    """Print what belongs to a label, or more of the one before."""
    said(text, first=f"{label:<9}", indent=9)


STATES = {"COMPLETED": "green", "ACTIVE": "cyan", "ABORTING": "yellow", "INCOMPLETE": "yellow", "ABORTED": "red"}
"""The colours of states, whatever they are of."""


def state_of(state: str, reason: str = "") -> str:
    """Return a state in its colour, with its reason."""
    return coloured(state, STATES.get(state)) + (f" ({reason})" if reason else "")


def json_of(text: str, *, option: str) -> Any:
    """Return what an option that takes a JSON object says."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValue(
            f"--{option} takes a JSON object, such as '{{\"key_ttl\": 60}}', and this is none: {error}.",
            argument=option,
            value=text,
        ) from None


def pause_text(process: str, pause: Pause) -> str:
    """Return who paused a process, and why."""
    return f"{process} is paused by {pause.by or 'somebody'}: {cut(pause.note, 200) or 'no note'}"


def numbers(stats: Any) -> str:
    """Return stats in one line."""
    listed = (f"{name} {count:,}" if isinstance(count, int) else f"{name} {count:,.3f}" for name, count in stats.items())
    return ", ".join(listed) or "-"


def when(instant: datetime | None) -> str:
    """Return an instant as people read it, to the second, in UTC, which the Z says."""
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


__all__ = [
    "Processes",
    "as_json",
    "coloured",
    "cut",
    "fact",
    "found",
    "json_of",
    "limit",
    "numbers",
    "pause_text",
    "plain",
    "print_json",
    "process",
    "process_name",
    "reveal",
    "said",
    "state_of",
    "visible",
    "when",
    "who",
    "wide",
]
