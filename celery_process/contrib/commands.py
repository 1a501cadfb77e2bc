"""The entry point `celery.commands`: the commands of `process`, the one that serves metrics, and Flower's pages.

Celery loads it with all commands, those of Flower too, before it runs any: only then can Flower get pages.
"""

from __future__ import annotations

from celery_process.cli import process
from celery_process.contrib.flower.hook import install
from celery_process.contrib.metrics import metrics

process.add_command(metrics)
install()

__all__ = ["process"]
