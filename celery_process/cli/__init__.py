"""`celery -A proj process …`: one click group, which Celery finds as an entry point of `celery.commands`.

Reading commands take `--json`. An error of the library is one line on standard error and exit status 1. Celery loads this
module with all its commands, which is when Flower, if it is there, gets its pages of processes.
"""

from __future__ import annotations

from celery_process.cli.base import process
from celery_process.cli.reads import doctor, list_, runs, settings, show, slots
from celery_process.cli.transfers import export, import_
from celery_process.cli.verbs import cancel, migrate, pause, redrive, register, resume, run, sweep, unregister
from celery_process.contrib.flower.hook import install

for command in (list_, show, runs, slots, settings, doctor):
    process.add_command(command)
for command in (run, pause, resume, cancel, redrive, register, unregister, sweep, migrate, export, import_):
    process.add_command(command)

install()

__all__ = ["process"]
