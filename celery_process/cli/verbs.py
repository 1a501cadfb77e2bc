"""The commands that do something."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from celery_process.app import Processes
from celery_process.cli.base import found, process_name, when, who, with_processes
from celery_process.engine.removed import RemovedProcess
from celery_process.exceptions import InvalidValue
from celery_process.protocol.model import RunStatus


def _told(run: RunStatus) -> None:
    click.echo(f"{run.process}: run {run.id} {run.state.value}, slot {when(run.slot)}, generation {run.generation}")


@click.command()
@process_name
@click.option("--slot", metavar="ISO8601", help="Name a past slot, such as 2026-01-31T12:00:00Z.")
@with_processes
def run(processes: Processes, name: str, *, slot: str | None) -> None:
    """Start a run now; the workers do it."""
    instant = None
    if slot is not None:
        try:
            instant = datetime.fromisoformat(slot)
        except ValueError as error:
            raise InvalidValue(
                f"--slot takes an instant in ISO 8601, not {slot!r}: {error}.", argument="slot", value=slot
            ) from None
        instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    _told(processes[name].run_now(slot=instant, by=who()))


@click.command()
@process_name
@click.option("--note", default="", help="Why; shown to whoever looks.")
@with_processes
def pause(processes: Processes, name: str, *, note: str) -> None:
    """Let nothing begin any more; items in flight finish."""
    processes[name].pause(note, by=who())
    click.echo(f"{name}: paused")


@click.command()
@process_name
@with_processes
def resume(processes: Processes, name: str) -> None:
    """End the pause."""
    processes[name].resume()
    click.echo(f"{name}: resumed")


@click.command()
@process_name
@with_processes
def cancel(processes: Processes, name: str) -> None:
    """Stop the open run; it ends INCOMPLETE.

    Also that of a process that is no longer in the code.
    """
    process = found(processes, name)
    stopped = process.cancel_run()
    if stopped is None:
        click.echo(f"{name}: no run is open")
        return
    _told(stopped)
    if isinstance(process, RemovedProcess) and stopped.state.is_open:
        click.echo(f"{stopped.counts.claimed} items are claimed; unless a worker ends them, repeat this after their lease")


@click.command()
@process_name
@click.argument("run_id", metavar="RUN")
@with_processes
def redrive(processes: Processes, name: str, run_id: str) -> None:
    """Run the items of a run again that did not complete.

    The run has to be closed.
    """
    _told(processes[name].redrive(run_id, by=who()))


@click.command()
@process_name
@click.argument("works", metavar="WORK...", nargs=-1, required=True)
@click.option("--params", metavar="JSON", default="{}", help="The items' own params, a JSON object.")
@with_processes
def register(processes: Processes, name: str, works: tuple[str, ...], *, params: str) -> None:
    """Put work items on the active list."""
    try:
        document = json.loads(params)
    except ValueError as error:
        raise InvalidValue(f"--params takes a JSON object: {error}.", argument="params", value=params) from None
    changed = processes[name].register_works(dict.fromkeys(works, document))
    click.echo(f"{name}: {len(changed)} of {len(set(works))} items registered or changed")


@click.command()
@process_name
@click.argument("works", metavar="WORK...", nargs=-1, required=True)
@with_processes
def unregister(processes: Processes, name: str, works: tuple[str, ...]) -> None:
    """Put work items on the cleanup list.

    The next run cleans them up.
    """
    changed = processes[name].unregister_works(works)
    click.echo(f"{name}: {len(changed)} of {len(set(works))} items moved to cleanup")


@click.command()
@click.option("--force", is_flag=True, help="Even if the last sweep was less than process_sweep_interval ago.")
@with_processes
def sweep(processes: Processes, *, force: bool) -> None:
    """Repair open runs now, as the workers' timers do.

    Expired leases, unpublished items, runs that nobody closed.
    """
    looked_at = processes.sweep(force=force)
    click.echo(f"swept {', '.join(looked_at)}" if looked_at else "nothing to repair, or a sweep has just passed")


@click.command()
@with_processes
def migrate(processes: Processes) -> None:
    """Bring the store's tables up to this version."""
    for line in processes.migrate() or ("nothing to do",):
        click.echo(line)
