"""Who sees which fact of a process, with which permission, and how it is masked: one table, and the functions that apply it.

A view passes what it shows through `mask_for`, and Django's pages ask `TABLE` for the permission. No view is known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from celery_process.jsontext import decode
from celery_process.protocol.model import ErrorEntry, Overrides, Pause, ProcessState, SettingsVersion, WorkInfo
from celery_process.text.masking import masked, masked_text

T = TypeVar("T")


class Reader(StrEnum):
    """A view, by where people read it."""

    ADMIN = "Django's admin"
    JSON = "/processes in Django"
    FLOWER_PAGE = "Flower's pages"
    FLOWER_API = "Flower's API"
    CLI = "command line"
    EXPORT = "export"
    HEALTH = "health, doctor"
    METRICS = "metrics"
    EVENTS = "Celery events"
    LOGS = "logs"


class Fact(StrEnum):
    """A part of a process that may hold a secret."""

    SETTINGS = "settings"
    PARAMS = "params"
    NOTES = "notes"
    ERRORS = "error texts"
    NAMES = "names of items"


class Mask(StrEnum):
    """How a fact is masked."""

    BY_NAME = "masked by name and text"
    BY_TEXT = "masked by text"
    AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class Cell:
    """How a reader shows a fact. `noun`: the noun whose "view" permission it needs, where Django knows the user."""

    mask: Mask
    noun: str = ""


Row = Mapping[Fact, Cell]
_MASKED: Row = {
    Fact.SETTINGS: Cell(Mask.BY_NAME),
    Fact.PARAMS: Cell(Mask.BY_NAME),
    Fact.NOTES: Cell(Mask.BY_TEXT),
    Fact.ERRORS: Cell(Mask.BY_TEXT),
    Fact.NAMES: Cell(Mask.AS_IT_IS),
}
_NOUNS = {
    Fact.SETTINGS: "settings",
    Fact.PARAMS: "work",
    Fact.NOTES: "process",
    Fact.ERRORS: "run",
    Fact.NAMES: "work",
}
_DJANGO: Row = {fact: replace(cell, noun=_NOUNS[fact]) for fact, cell in _MASKED.items()}
_FLOWER: Row = {fact: cell for fact, cell in _MASKED.items() if fact is not Fact.PARAMS}

TABLE: Mapping[Reader, Row] = {
    Reader.ADMIN: _DJANGO,
    Reader.JSON: {fact: cell for fact, cell in _DJANGO.items() if fact is not Fact.NOTES},
    Reader.FLOWER_PAGE: _FLOWER,
    Reader.FLOWER_API: _FLOWER,
    Reader.CLI: _MASKED,
    Reader.EXPORT: {fact: Cell(Mask.AS_IT_IS) for fact in Fact},
    Reader.HEALTH: {},
    Reader.METRICS: {},
    Reader.EVENTS: {Fact.NAMES: Cell(Mask.AS_IT_IS)},
    Reader.LOGS: {Fact.ERRORS: Cell(Mask.AS_IT_IS), Fact.NAMES: Cell(Mask.AS_IT_IS)},
}
"""A reader does not show a fact that its row lacks."""

_FIELDS: Mapping[type, tuple[str, Fact]] = {
    ErrorEntry: ("text", Fact.ERRORS),
    Pause: ("note", Fact.NOTES),
    WorkInfo: ("params", Fact.PARAMS),
    ProcessState: ("settings", Fact.SETTINGS),
    SettingsVersion: ("settings", Fact.SETTINGS),
    Overrides: ("settings", Fact.SETTINGS),
}
"""Which field of the rows that people read holds which fact."""


def mask_for(value: T, reader: Reader) -> T:
    """Return a value that was read, masked at any depth for a reader. A fact that the reader does not show is empty."""
    masked_value: T = _mask(value, TABLE[reader])
    return masked_value


def mask_fact(value: Any, fact: Fact, reader: Reader) -> Any:
    """Return one fact, masked for a reader."""
    return _mask_value(value, TABLE[reader].get(fact))


def may_see(reader: Reader, fact: Fact, may: Callable[[str], bool]) -> bool:
    """Return whether a user sees a fact there; `may` returns whether the user has the "view" permission of a noun."""
    cell = TABLE[reader].get(fact)
    return cell is not None and may(cell.noun)


def _mask(value: Any, row: Row) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        name, fact = _FIELDS.get(type(value), ("", None))
        changed = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = _mask_value(old, row.get(fact)) if fact is not None and field.name == name else _mask(old, row)
            if new is not old:
                changed[field.name] = new
        return replace(value, **changed) if changed else value
    if isinstance(value, tuple | list):
        masked_values = [_mask(item, row) for item in value]
        return (
            value if all(new is old for new, old in zip(masked_values, value, strict=True)) else type(value)(masked_values)
        )
    return value


def _mask_value(value: Any, cell: Cell | None) -> Any:
    if value is None:
        return None
    if cell is None:
        return "" if isinstance(value, str) else {}
    if cell.mask is Mask.AS_IT_IS:
        return value
    if cell.mask is Mask.BY_TEXT:
        return masked_text(value)
    # The store keeps settings as JSON text.
    return json.dumps(masked(decode(value))) if isinstance(value, str) else masked(value)
