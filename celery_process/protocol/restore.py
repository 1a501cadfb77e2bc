"""How what another store kept of a process is written into this one."""

from __future__ import annotations

from collections.abc import Sequence

from celery_process.instants import to_us
from celery_process.jsontext import encode
from celery_process.protocol import rules
from celery_process.protocol.entities import Work
from celery_process.protocol.model import StoredProcess, WorkInfo
from celery_process.protocol.read import status_of
from celery_process.protocol.unit import Unit


def restore(unit: Unit, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool) -> None:
    """Write registrations, overrides, and the process's own row; raise `RunOpen` while a run is open."""
    _put_works(unit, works, force=force)
    unit.add(rules.restored(unit.overrides(), stored.overrides))
    head, open_run = unit.head(), unit.open_run()
    if open_run is not None:
        raise rules.run_open(unit.process, status_of(unit, open_run, live=False))
    head.epoch = max(head.epoch, stored.epoch)
    head.last_slot = max(filter(None, (head.last_slot, stored.last_slot)), default=None)
    head.aggregate = dict(stored.aggregate_stats)
    head.paused = stored.paused or head.paused
    head.limits = stored.limits or head.limits


def _put_works(unit: Unit, works: Sequence[WorkInfo], *, force: bool) -> None:
    known = unit.works([info.name for info in works])
    for info in works:
        version, work = to_us(info.changed_at), known.get(info.name)
        if work is not None:
            if work.version == version or (work.version > version and not force):
                continue
            version = max(version, work.version + 1)
        unit.add(Work(info.name, info.on, info.listed_at, encode(info.params), version))
