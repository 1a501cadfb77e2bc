"""The commands that carry processes from one store to another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from celery_process import transfer
from celery_process.app import Processes
from celery_process.cli.base import with_processes


@click.command()
@click.argument("names", metavar="[PROCESS]...", nargs=-1)
@click.option("-o", "--output", type=click.File("w", encoding="utf-8", atomic=True), default="-", help="A file to write.")
@with_processes
def export(processes: Processes, names: tuple[str, ...], *, output: TextIO) -> None:
    """Write what the store has of processes, of all by default: items, settings, pause, totals; not their runs.

    To change the store: pause the processes, export, set process_backend, migrate, import, resume.
    """
    for name in names or [process.name for process in processes]:
        output.writelines(f"{line}\n" for line in transfer.export(processes.store, processes[name].name))


@click.command(name="import")
@click.argument("document", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is newer in the store; an open run is refused even so.")
@with_processes
def import_(processes: Processes, document: Path, *, force: bool) -> None:
    """Bring what `export` wrote into the store of this app."""

    def lines() -> Iterator[str]:
        with document.open(encoding="utf-8", errors="replace") as file:
            yield from file

    for stored, works in transfer.read(lines()):
        processes[stored.name]  # one that this app does not define is refused before anything is written
        for _ in works:
            pass
    for name, count in transfer.load(processes.store, lines, force=force).items():
        click.echo(f"{name}: {count} items brought")
