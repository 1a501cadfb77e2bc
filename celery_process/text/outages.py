"""How a failure is logged: one that is over by itself in a line, one that is news with its traceback."""

from __future__ import annotations

import logging

from celery_process.exceptions import ProcessError
from celery_process.text.logs import LogFields
from celery_process.text.masking import masked_text


def log_failure(logger: logging.Logger, text: str, *arguments: object, error: BaseException, extra: LogFields) -> None:
    """Log a line that ends with the error: of an outage a WARNING, of anything else an ERROR.

    An outage is an `OSError`, as are `StoreUnavailable` and what the transport raises (see `transport`). A traceback has
    only what neither that nor an error of the library is, which says what to do.
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
