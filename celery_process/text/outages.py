"""Logs failures: an outage, which ends by itself, as one line; any other with its traceback."""

from __future__ import annotations

import logging

from celery_process.exceptions import ProcessError
from celery_process.text.logs import LogFields
from celery_process.text.masking import masked_text


def log_failure(logger: logging.Logger, text: str, *arguments: object, error: BaseException, extra: LogFields) -> None:
    """Log a line that ends with the error: a WARNING for an outage, an ERROR for anything else.

    An outage is an `OSError`, as are `StoreUnavailable` and the transport's errors (`tasks.transport`). Errors of the
    library end with what to do; only others have a traceback.
    """
    outage = isinstance(error, OSError)
    logger.log(
        logging.WARNING if outage else logging.ERROR,
        "%s: %s",
        text % arguments,
        masked_text(str(error)) or type(error).__name__,
        exc_info=None if outage or isinstance(error, ProcessError) else error,
        extra=extra,
    )
