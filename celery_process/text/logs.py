"""The loggers of the library, and the fields that each of their records carries beside its text.

Nothing that a user wrote begins a line of the log, or acts on the terminal that shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from io import StringIO
from textwrap import indent
from traceback import print_exception
from typing import Any, NewType

from celery_process.text.masking import masked_text
from celery_process.text.printable import printable

LogFields = NewType("LogFields", Mapping[str, str | None])
"""What a record carries beside its text, for formatters and filters: what `log_fields` returns."""
_TEXTS = ("by", "process_name", "run_id", "work_name")


def log_fields(
    action: str,
    *,
    process_name: str | None = None,
    work_name: str | None = None,
    run_id: str | None = None,
    by: str | None = None,
) -> LogFields:
    """Return the `extra` of a record; tests and filters look at `action`, never at the text.

    A field that does not apply is None. `by`: who asked for an action, only in the records of those.
    """
    fields = {"action": action, "process_name": process_name, "work_name": work_name, "run_id": run_id}
    found = {name: value or None for name, value in fields.items()}
    return LogFields(found if by is None else {**found, "by": by})


def logger_of(name: str) -> logging.Logger:
    """Return the logger of a module."""
    logger = logging.getLogger(name)
    logger.addFilter(_escaped)  # once, however often it is added
    return logger


def _escaped(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(_printable(value) for value in record.args)
    for name in _TEXTS:
        if getattr(record, name, None) is not None:
            setattr(record, name, _printable(getattr(record, name)))
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = _traceback(record.exc_info[1])
    return True


def _printable(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    try:
        text = str(value)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"{type(value).__name__} (its text could not be made: {type(broken).__name__})"
    return printable(masked_text(text) if isinstance(value, BaseException) else text)


def _traceback(error: BaseException) -> str:
    """Return a traceback whose lines all begin with spaces, as those of no record do: an error's text may be of many."""
    text = StringIO()
    print_exception(error, file=text)
    lines = (printable(line.replace("\t", "    ")) for line in text.getvalue().rstrip("\n").split("\n"))
    return indent("\n".join(lines), "  ", lambda _: True)
