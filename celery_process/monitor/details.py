"""What the page of a process shows, the same in Flower and in Django's admin: its overview and the facts behind it.

It takes a bounded number of reads, however many items there are, and masks everything for its reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery_process.exceptions import WorkNotFound
from celery_process.jsontext import decode
from celery_process.monitor.overview import Overview, read_overview
from celery_process.monitor.secrets import Fact, Reader, mask_fact, mask_for
from celery_process.process import Process
from celery_process.protocol.limits import Limits
from celery_process.protocol.model import ErrorEntry, Overrides, RunStatus, SettingsVersion, SlotEntry, Stats
from celery_process.protocol.states import WorkState

RUNS, SLOTS, VERSIONS = 30, 30, 20
"""How many runs, slots and settings versions a page shows."""


@dataclass(frozen=True, slots=True)
class Failing:
    """An item with the errors that a run keeps of it (None: the run's own), and its last status where it has one."""

    work: str | None
    errors: tuple[ErrorEntry, ...]
    state: WorkState | None
    attempt: int | None
    total_errors: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force; `stored`: the value comes from the store, not from the code's default."""

    name: str
    value: Any
    stored: bool


@dataclass(frozen=True, slots=True)
class Details:
    """A process in full. `shared`: whether other operating-system processes see its store."""

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


def read_details(
    process: Process, reader: Reader, *, earlier: Overview | None = None, runs: int = RUNS, slots: int = SLOTS
) -> Details:
    """Read the details of a process as a reader may see them; `earlier` is as in `read_overview`."""
    store = process.store
    stored = store.process(process.name)
    state = process.state_of(stored)
    details = Details(
        overview=read_overview(process, stored=stored, earlier=earlier),
        run=state.run,
        failing=failing(process, state.run, reader) if state.run is not None else (),
        runs=store.runs(process.name, before=None, limit=runs),
        slots=store.slots(process.name, before=None, limit=slots),
        settings=_settings(mask_fact(dict(state.settings), Fact.SETTINGS, reader), stored.overrides),
        overrides=stored.overrides,
        settings_history=settings_history(process, reader),
        limits=state.limits,
        aggregate_stats=dict(state.aggregate_stats),
        shared=store.shared,
    )
    return mask_for(details, reader)


def settings_history(process: Process, reader: Reader) -> tuple[SettingsVersion, ...]:
    """Return the newest versions of the settings."""
    return mask_for(process.settings_history(VERSIONS), reader)


def failing(process: Process, run: RunStatus, reader: Reader) -> tuple[Failing, ...]:
    """Return all items that the run keeps errors of; the number of kept errors bounds them."""
    errors: dict[str | None, list[ErrorEntry]] = {}
    for entry in mask_for(run.errors, reader):
        errors.setdefault(entry.work, []).append(entry)
    return tuple(_failing(process, name, tuple(entries)) for name, entries in errors.items())


def _failing(process: Process, name: str | None, errors: tuple[ErrorEntry, ...]) -> Failing:
    status = None
    if name is not None:
        with suppress(WorkNotFound):
            status = process.store.work(process.name, name).status
    if status is None:
        return Failing(name, errors, None, None, len(errors))
    return Failing(name, errors, status.state, status.attempt, max(status.total_errors, len(errors)))


def _settings(settings: Mapping[str, Any], overrides: Overrides) -> tuple[Setting, ...]:
    stored = decode(overrides.settings)
    return tuple(Setting(name, value, name in stored) for name, value in sorted(settings.items()))
