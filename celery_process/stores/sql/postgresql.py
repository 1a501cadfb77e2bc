"""A connection of psycopg's that waits for an answer for a bounded time: libpq has no option for that.

`tcp_user_timeout` alone ends a connection whose packets no peer acknowledges; a proxy or a frozen server acknowledges.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

from celery_process.stores.sql.options import OFTEN, WHERE_DIRECT


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time."""


class Cursor(psycopg.Cursor[Any]):
    """A cursor that prepares no statement which begins a transaction: several in one text cannot be prepared."""

    def execute(self, query: Any, params: Any = None, *, prepare: bool | None = None, **more: Any) -> Cursor:  # noqa: D102
        if isinstance(query, str) and query.startswith("BEGIN"):
            prepare = False
        super().execute(query, params, prepare=prepare, **more)
        return self


class BoundedConnection(psycopg.Connection[Any]):
    """Closes itself where an answer takes longer than `answer_timeout` seconds."""

    answer_timeout: float

    @classmethod
    def make(cls, seconds: float, *args: Any, prepare_threshold: int | None, **options: Any) -> BoundedConnection:
        """Connect as `psycopg.connect` does. `prepare_threshold` may be `WHERE_DIRECT`."""
        fixed = None if prepare_threshold == WHERE_DIRECT else prepare_threshold
        made = cls.connect(*args, cursor_factory=Cursor, prepare_threshold=fixed, **options)
        made.answer_timeout = seconds
        if prepare_threshold == WHERE_DIRECT and _is_direct(made):
            made.prepare_threshold = OFTEN
        return made

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:  # noqa: D102
        try:
            return super().wait(_until(gen, self.answer_timeout), *args, **more)
        except NoAnswer:
            self.close()
            raise


def _is_direct(connection: BoundedConnection) -> bool:
    """Whether a new connection has the session that the server began for it.

    A pooler numbers its clients itself, and lends them sessions: the next session has none of the statements that
    were prepared in this one.
    """
    connection.autocommit = True
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    return found is not None and found[0] == connection.info.backend_pid


def _until(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """Do what `gen` does; raise `NoAnswer` where the socket is ready for nothing at the end of the time."""
    end = time.monotonic() + seconds
    try:
        ready = yield next(gen)
        while True:
            if not ready and time.monotonic() >= end:
                raise NoAnswer(f"no answer within {seconds:g} s")
            ready = yield gen.send(ready)
    except StopIteration as done:
        return done.value
