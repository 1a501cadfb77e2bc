"""`process metrics`: an exporter for Prometheus."""

from __future__ import annotations

import threading

import click

from celery_process.app import Processes
from celery_process.cli.base import print_text, with_processes


@click.command()
@click.option(
    "--port", default=9540, show_default=True, type=click.IntRange(0, 65_535), help="Where to serve; 0: print once."
)
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--events/--no-events", default=True, help="Also count the workers' Celery events.")
@with_processes
def metrics(processes: Processes, *, port: int, address: str, events: bool) -> None:
    """Serve the metrics of all processes for Prometheus.

    Until Ctrl-C; or print them once with --port 0.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest, start_http_server  # noqa: PLC0415 - an extra

        from celery_process.contrib.prometheus import EventCounters, ProcessCollector  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"metrics needs the package {error.name!r}; run pip install 'celery-process[prometheus]' first."
        ) from error
    registry = CollectorRegistry()
    registry.register(ProcessCollector(processes, own_registry=True))
    if port == 0:
        click.echo(generate_latest(registry).decode(), nl=False)
        return
    if events:
        EventCounters(processes, registry).start()
    try:
        start_http_server(port, address, registry)
    except OSError as error:
        raise click.ClickException(f"{address}:{port} cannot be served: {error}; give another --port.") from error
    print_text(f"Serving the metrics of {len(processes)} processes at http://{address}:{port}/metrics")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
