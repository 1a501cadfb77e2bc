"""How the overrides of the settings and the schedule are replaced."""

from __future__ import annotations

from dataclasses import replace

from celery_process.exceptions import SettingsChanged
from celery_process.protocol.model import Overrides
from celery_process.protocol.unit import Unit


def update_settings(unit: Unit, *, settings: str | None, schedule: str | None, by: str, expected_version: int | None) -> int:
    """Replace the overrides that are not None; return the version, which the same values keep, or `SettingsChanged`."""
    old = unit.overrides()
    if settings in (None, old.settings) and schedule in (None, old.schedule):
        if settings is not None or schedule is not None:
            unit.add(replace(old, changed_at=unit.now, by=by))
        return old.version
    if expected_version is not None and expected_version != old.version:
        raise SettingsChanged(
            f"The settings of {unit.process!r} are at version {old.version}, not {expected_version}; read them again.",
            process=unit.process,
            expected=expected_version,
            found=old.version,
        )
    new = Overrides(
        settings=old.settings if settings is None else settings,
        schedule=old.schedule if schedule is None else schedule,
        version=old.version + 1,
        changed_at=unit.now,
        by=by,
    )
    unit.add(new)
    return new.version
