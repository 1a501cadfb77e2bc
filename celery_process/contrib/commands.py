"""The entry point `celery.commands`: the commands of `process`, `process metrics`, and the hook of Flower's pages.

Celery loads all entry points, Flower's too, before it runs a command; Flower accepts further pages only until then.
"""

from __future__ import annotations

from celery_process.cli import process
from celery_process.contrib.flower.hook import install
from celery_process.contrib.metrics import metrics

process.add_command(metrics)
install()

__all__ = ["process"]
