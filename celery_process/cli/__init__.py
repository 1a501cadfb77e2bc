"""`celery -A proj process …`: one click group, which `contrib.commands` registers with Celery.

Reading commands take `--json`. An error of the library becomes one line on standard error and exit status 1.
"""

from __future__ import annotations

from celery_process.cli.base import process
from celery_process.cli.doctor import doctor
from celery_process.cli.items import errors, work
from celery_process.cli.limits import limits
from celery_process.cli.reads import list_, runs, show, slots
from celery_process.cli.settings import settings
from celery_process.cli.transfers import export, import_
from celery_process.cli.verbs import commands, migrate, sweep
from celery_process.cli.watch import watch

for command in (list_, watch, show, runs, slots, work, errors, settings, limits, doctor):
    process.add_command(command)
for command in (*commands, sweep, migrate, export, import_):
    process.add_command(command)

__all__ = ["process"]
