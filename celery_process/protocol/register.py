"""How registrations come and go: names on the active list, and on the cleanup list."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from celery_process.instants import to_us
from celery_process.protocol.entities import Work
from celery_process.protocol.states import WorkList
from celery_process.protocol.unit import Unit


def register(unit: Unit, works: Mapping[str, str]) -> tuple[str, ...]:
    """Put names on the active list, where that or their params are new; return those that changed, in order (B8)."""
    known = unit.works(works)
    changed = [
        name
        for name in sorted(works)
        if name not in known or known[name].on is not WorkList.ACTIVE or known[name].params != works[name]
    ]
    for name in changed:
        _list(unit, name, known.get(name), WorkList.ACTIVE, works[name])
    return tuple(changed)


def unregister(unit: Unit, names: Collection[str]) -> tuple[str, ...]:
    """Put names on the cleanup list, unless they are on it or dropped, with their params; return the changed (B9)."""
    known = unit.works(names)
    changed = [name for name in sorted(set(names)) if name not in known or known[name].on is WorkList.ACTIVE]
    for name in changed:
        work = known.get(name)
        _list(unit, name, work, WorkList.CLEANUP, work.params if work is not None else "{}")
    return tuple(changed)


def _list(unit: Unit, name: str, work: Work | None, on: WorkList, params: str) -> None:
    version = to_us(unit.now)
    if work is None:
        unit.add(Work(name, on, unit.now, params, version))
        return
    if work.on is not on:
        work.on, work.listed_at = on, unit.now
    work.params, work.version = params, max(version, work.version + 1)
