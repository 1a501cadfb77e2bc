"""The errors of a message transport, as one class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from kombu.exceptions import OperationalError


@contextmanager
def reaching_broker(app: Celery) -> Iterator[None]:
    """Raise the errors of the app's transport as `ConnectionError`: each client library has classes of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        with app.connection_for_write() as connection:  # does not connect; it has the error classes of its transport
            refusals = (OSError, OperationalError, *connection.connection_errors, *connection.channel_errors)
        # A failed batch of kombu raises an error of its own, whose cause is the client's.
        chain = [error] if error.__cause__ is None else [error, error.__cause__]
        if not any(isinstance(one, refusals) for one in chain):
            raise
        raise ConnectionError(": ".join(dict.fromkeys(str(one) or type(one).__name__ for one in chain))) from error
