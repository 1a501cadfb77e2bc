"""What the page of a process shows, the same in Flower and in Django's admin: its overview and what leads to it.

A bounded number of reads, however many items there are. Settings come masked. Nothing here knows a view.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from celery_process.exceptions import InvalidValue, WorkNotFound
from celery_process.limits import Limits
from celery_process.model import ErrorEntry, Overrides, RunStatus, SettingsVersion, SlotEntry, Stats
from celery_process.overview import Overview, read_overview
from celery_process.process import Process
from celery_process.states import WorkState
from celery_process.values import decode

RUNS, SLOTS, VERSIONS = 30, 30, 20
"""How many runs, slots and versions of the settings a page shows."""
MASK = "********"
_NOTHING = object()
_SECRET = re.compile(r"passw|secret|token|credential|(api|private|access)_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failing:
    """An item (None: the run itself) that a run keeps errors of, with its last status where there is one."""

    work: str | None
    errors: tuple[ErrorEntry, ...]
    state: WorkState | None
    attempt: int | None
    total_errors: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force, its value masked; `stored`: it is an override, not the code's default."""

    name: str
    value: Any
    stored: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """A process in full. `shared`: whether its store is seen by other operating-system processes."""

    overview: Overview
    run: RunStatus | None
    failing: tuple[Failing, ...]
    runs: tuple[RunStatus, ...]
    slots: tuple[SlotEntry, ...]
    settings: tuple[Setting, ...]
    overrides: Overrides
    settings_history: tuple[SettingsVersion, ...]
    limits: Limits
    aggregate_stats: Stats
    shared: bool


def read_panel(process: Process, *, earlier: Overview | None = None, runs: int = RUNS, slots: int = SLOTS) -> Panel:
    """Read the panel of a process; `earlier` as in `read_overview`."""
    store = process.dispatch.store
    stored = store.process(process.name)
    state = process.state_of(stored)
    return Panel(
        overview=read_overview(process, stored=stored, earlier=earlier),
        run=state.run,
        failing=failing(process, state.run) if state.run is not None else (),
        runs=store.runs(process.name, before=None, limit=runs),
        slots=store.slots(process.name, before=None, limit=slots),
        settings=_settings(state.settings, stored.overrides),
        overrides=stored.overrides,
        settings_history=settings_history(process),
        limits=state.limits,
        aggregate_stats=dict(state.aggregate_stats),
        shared=store.shared,
    )


def settings_history(process: Process) -> tuple[SettingsVersion, ...]:
    """Return the newest versions of the settings, masked."""
    return tuple(replace(found, settings=masked(found.settings)) for found in process.settings_history(VERSIONS))


def failing(process: Process, run: RunStatus) -> tuple[Failing, ...]:
    """Return the items that the run keeps errors of, as many as those are."""
    errors: dict[str | None, list[ErrorEntry]] = {}
    for entry in run.errors:
        errors.setdefault(entry.work, []).append(entry)
    return tuple(_failing(process, name, tuple(entries)) for name, entries in errors.items())


def _failing(process: Process, name: str | None, errors: tuple[ErrorEntry, ...]) -> Failing:
    status = None
    if name is not None:
        with suppress(WorkNotFound):
            status = process.dispatch.store.work(process.name, name).status
    if status is None:
        return Failing(name, errors, None, None, len(errors))
    return Failing(name, errors, status.state, status.attempt, max(status.total_errors, len(errors)))


def _settings(settings: Mapping[str, Any], overrides: Overrides) -> tuple[Setting, ...]:
    stored = decode(overrides.settings)
    return tuple(Setting(name, masked(value, name), name in stored) for name, value in sorted(settings.items()))


def masked(value: Any, name: str = "") -> Any:
    """Return a setting as it may be shown: what is named like a secret is hidden, at any depth."""
    if _SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(item, str(key)) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def unmasked(value: Any, known: Any, *, argument: str) -> Any:
    """Return what was edited as `masked` showed it, each mask replaced by what `known` has in its place.

    Raises `InvalidValue` for a mask in a place where nothing is known.
    """
    if value == MASK:
        if known is _NOTHING:
            raise InvalidValue(
                f"{argument} has {MASK}, which stands for a value that is kept, where none is; write the value itself.",
                argument=argument,
                value=value,
            )
        return known
    if isinstance(value, dict):
        of = known if isinstance(known, dict) else {}
        return {key: unmasked(item, of.get(key, _NOTHING), argument=argument) for key, item in value.items()}
    if isinstance(value, list):
        listed = known if isinstance(known, list) else []
        return [
            unmasked(item, listed[index] if index < len(listed) else _NOTHING, argument=argument)
            for index, item in enumerate(value)
        ]
    return value
