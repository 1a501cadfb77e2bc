"""The commands that export and import processes, in this library's document or in the original's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from celery_process.app import Processes
from celery_process.cli.base import with_processes
from celery_process.exceptions import InvalidValue
from celery_process.monitor import original
from celery_process.process import Process
from celery_process.protocol import rules
from celery_process.text.printable import printable
from celery_process.transfer import from_original as original_reading
from celery_process.transfer import lines as transfer


@click.command()
@click.argument("names", metavar="[PROCESS]...", nargs=-1)
@click.option("-o", "--output", type=click.File("w", encoding="utf-8", atomic=True), default="-", help="A file to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["lines", "original"]),
    default="lines",
    show_default=True,
    help="Lines of JSON, or the document of the Go package process, one process a document.",
)
@with_processes
def export(processes: Processes, names: tuple[str, ...], *, output: TextIO, form: str) -> None:
    """Write items, settings, pause and totals to a file.

    Of all processes by default; not their runs. All values are as they are, secrets too.

    To change the store: pause the processes, export, set process_backend, migrate, import, resume.
    """
    chosen = [processes[name] for name in names] or list(processes)
    click.echo("The export has all values unmasked, secrets too; protect it as you protect the store.", err=True)
    if form == "lines":
        for process in chosen:
            output.writelines(f"{line}\n" for line in transfer.export(processes.store, process.name))
        return
    if len(chosen) != 1:
        raise InvalidValue(
            f"A document of the original holds one process, not {len(chosen)}; name one, and export each to a file.",
            argument="names",
            value=names,
        )
    _export_original(processes, chosen[0], output)


def _export_original(processes: Processes, process: Process, output: TextIO) -> None:
    stored = processes.store.process(process.name, live=False)
    if stored.run is not None and stored.run.state.is_open:
        raise rules.run_open(process.name, stored.run)
    json.dump(original.document(processes.store, process, limit=None), output, indent=2)
    output.write("\n")
    lost = {"its pause": stored.paused is not None, "its schedule, a crontab": _is_crontab(process)}
    for what, is_set in lost.items():
        if is_set:
            click.echo(f"not exported: {what}", err=True)
    settings = process.state().settings
    texts = [f"settings.{name}" for name, value in settings.items() if not original.fits(value)]
    for work in process.works():
        texts += [f"{name} of {work.name}" for name, value in work.params.items() if not original.fits(value)]
    for text in texts[:20]:
        click.echo(f"exported as text, since it is neither an integer nor a string: {printable(text)}", err=True)
    if len(texts) > 20:
        click.echo(f"… and {len(texts) - 20} more", err=True)


def _is_crontab(process: Process) -> bool:
    value = process.schedule_frequency
    return value is not None and original.duration(value) is None


@click.command(name="import")
@click.argument("document", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is newer in the store; an open run is refused even so.")
@with_processes
def import_(processes: Processes, document: Path, *, force: bool) -> None:
    """Import into this app's store what `export` wrote.

    Or a state document of the Go package process.
    """
    message = _original(document)
    if message is not None:
        reading = original_reading.read(message, name=_name_in(document))
        processes[reading.stored.name]  # raises for a process that this app does not define, before anything is written
        counts = transfer.write(processes.store, reading.pairs, force=force)
        for key in reading.skipped:
            click.echo(f"not imported: {printable(key)}", err=True)
    else:

        def lines() -> Iterator[str]:
            with document.open(encoding="utf-8", errors="replace") as file:
                yield from file

        for stored, works in transfer.read(lines()):
            processes[stored.name]
            for _ in works:
                pass
        counts = transfer.load(processes.store, lines, force=force)
    for name, count in counts.items():
        click.echo(f"{name}: {count} items imported")


def _original(document: Path) -> dict[str, object] | None:
    """Return the message in a file that is a document of the original: one object, over any number of lines."""
    with document.open(encoding="utf-8", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    with suppress(ValueError, RecursionError):
        found = json.loads(first)
        if isinstance(found, dict) and "celery_process" in found:
            return None
    return original_reading.parsed(document.read_text(encoding="utf-8", errors="replace"))


def _name_in(document: Path) -> str:
    """Return the process's name in a file name of the original: process_<realm>_<name>_latest.json."""
    parts = document.stem.split("_", 2)
    return parts[2].removesuffix("_latest") if len(parts) == 3 and parts[0] == "process" else ""
