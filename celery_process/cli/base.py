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
from celery_process.monitor.secrets import Reader, mask_for
from celery_process.process import Process
from celery_process.protocol.model import Pause
from celery_process.text.commands import with_app_name
from celery_process.text.printable import printable, printable_json, printable_value

T = TypeVar("T")

_SHOWN = click.IntRange(1, 1_000_000)
"""How many lines a command may be asked to show."""


@click.group(name="process", help="Processes: look at them, run them, pause them, change their work and settings.")
@click.pass_context
@handle_preload_options
def process(ctx: click.Context) -> None:
    """Load the app's modules, so that its processes are known."""
    app = ctx.obj.app
    app.loader.import_default_modules()
    app.finalize()


def with_processes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the app's registry to a command as its first argument; errors become one line and exit status 1."""

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
            _refuse(with_app_name(str(error), ctx.obj.app))
        finally:
            with suppress(ProcessError):  # a store that could not be opened was reported above
                registry.store.close()

    return wrapped


def _refuse(message: str) -> NoReturn:
    raise click.ClickException(printable(message))


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
process_name = click.argument("name", metavar="PROCESS")
reveal = click.option("--reveal", is_flag=True, help="Show secrets as they are; without it they are masked.")
limit = click.option("-n", "--limit", default=20, show_default=True, type=_SHOWN, help="How many to show.")


def visible(value: T, *, reveal: bool = False, json_: bool = False) -> T:
    """Return a value that was read as the terminal shows it: without its secrets, unless `reveal` asks for them.

    Control characters are replaced, so that no text acts on the terminal; for JSON they stay, and `print_json` escapes them.
    """
    masked: T = value if reveal else mask_for(value, Reader.CLI)
    return masked if json_ else printable_value(masked)


def find_process(processes: Processes, name: str) -> Process | RemovedProcess:
    """Return a process of the app, or else one with an open run that only the store knows."""
    if name in processes:
        return processes[name]
    return next((removed for removed in processes.removed() if removed.name == name), None) or processes[name]


def current_user() -> str:
    """Return the user at the terminal, for the ledger: the login name, or the number of a user without one."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user often has no entry in passwd
        return f"cli:uid-{os.getuid()}"


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, one document."""
    click.echo(printable_json(plain(value), indent=indent))


def wide() -> int | None:
    """Return the columns of the terminal; None where the output goes elsewhere, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def coloured(text: str, colour: str | None = None, *, bold: bool = False) -> str:
    """Return text in a colour; without it where the output is no terminal, or with NO_COLOR or Celery's --no-color."""
    ctx = click.get_current_context(silent=True)
    plainly = os.environ.get("NO_COLOR") or getattr(ctx and ctx.obj, "no_color", False) or not sys.stdout.isatty()
    return text if plainly else click.style(text, fg=colour, bold=bold or None)


def cut(text: str, width: int | None) -> str:
    """Return text on one line of at most `width` columns, without characters that act on the terminal."""
    line = printable(" ".join(text.split()))
    if width is None or columns(line) <= width:
        return line
    while line and columns(line) >= width:
        line = line[: -max(1, (columns(line) - width) // 2)]
    return line + "…"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: most Asian characters and emoji take two each."""
    return max(wcswidth(text), 0) if not text.isascii() else len(text)


def padded(text: str, width: int) -> str:
    """Return text filled with spaces at its end, up to a number of columns."""
    return text + " " * (width - columns(text))


def print_text(text: str, *, first: str = "", indent: int = 0) -> None:
    """Print a text after `first`, which takes `indent` columns; on a terminal, fold it between words."""
    lines = folded(text, max((wide() or 10_000) - indent, 20))
    click.echo(first + lines[0])
    for line in lines[1:]:
        click.echo(" " * indent + line)


def folded(text: str, width: int) -> list[str]:
    """Return a text as lines, folded between words by its columns on a terminal; colours take no columns."""
    lines = [""]
    for match in _WORD.finditer(text.strip()):
        gap, word = match.groups()
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
"""Matches a space and a word; an instant counts as one word."""


def fact(label: str, text: str) -> None:
    """Print a text behind its label; an empty label continues the one before."""
    print_text(text, first=f"{label:<9}", indent=9)


STATES = {"COMPLETED": "green", "ACTIVE": "cyan", "ABORTING": "yellow", "INCOMPLETE": "yellow", "ABORTED": "red"}
"""The colours of states, the same wherever a state is printed."""


def state_of(state: str, reason: str = "") -> str:
    """Return a state in its colour, with its reason."""
    return coloured(state, STATES.get(state)) + (f" ({reason})" if reason else "")


def json_of(text: str, *, option: str) -> Any:
    """Return the value of an option that takes a JSON object."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
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
    """Return an instant to the second, in UTC, with a Z."""
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


__all__ = [
    "Processes",
    "as_json",
    "coloured",
    "current_user",
    "cut",
    "fact",
    "find_process",
    "json_of",
    "limit",
    "numbers",
    "pause_text",
    "plain",
    "print_json",
    "print_text",
    "process",
    "process_name",
    "reveal",
    "state_of",
    "visible",
    "when",
    "wide",
]
