"""Read values as JSON, and errors as HTTP statuses: the same for the command line and for web pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from celery_process.exceptions import NotFound, ProcessError, StoreError, WrongState
from celery_process.schedule.frequency import describe
from celery_process.text.sentences import Sentence


def plain(value: Any) -> Any:
    """Return a value of `celery_process.protocol.model` as JSON values: instants in ISO 8601, durations in seconds."""
    if isinstance(value, Sentence):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if value is None or isinstance(value, str | int | float | bool) else describe(value)


def http_status(error: ProcessError) -> int:
    """Return the HTTP status for an error of the library."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, WrongState):
        return 409
    return 503 if isinstance(error, StoreError) else 400
