"""`process doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import click

from celery_process.app import Processes
from celery_process.cli.base import as_json, coloured, print_json, print_text, visible, with_processes
from celery_process.monitor.health import Finding, document, examine
from celery_process.tasks.deployment import adopt


@click.command()
@click.option(
    "--patience",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    help="How long workers and beat may take to answer; 0 does not ask them.",
)
@click.option("--adopt", "adopt_", is_flag=True, help="Assign the store to this deployment from now on.")
@as_json
@click.pass_context
@with_processes
def doctor(processes: Processes, ctx: click.Context, *, patience: float, adopt_: bool, json_: bool) -> None:
    """Say what is wrong, and what to do about it.

    Checks settings, store, clocks, beat, sweep, broker and workers; exit status 1 if something is wrong.
    """
    if adopt_:
        adopt(processes.app, processes.store)
    findings = visible(examine(processes, patience=patience or None), json_=json_)
    if json_:
        print_json(document(findings))
    else:
        for finding in findings:
            _print_finding(finding)
    if not all(finding.ok for finding in findings):
        ctx.exit(1)


def _print_finding(finding: Finding) -> None:
    word = coloured("ok   ", "green") if finding.ok else coloured("FAULT", "red", bold=True)
    print_text(f"{finding.check}: {finding.text}", first=f"{word} ", indent=6)
    if finding.cure:
        print_text(finding.cure, first="      → ", indent=8)
