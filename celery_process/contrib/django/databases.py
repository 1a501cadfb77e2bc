"""Which database an alias names: the project's, one that was made for tests, or Django's own connection in a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from django.db import connections
from sqlalchemy.engine import Connection

from celery_process.contrib.django.joining import URLS, joined
from celery_process.exceptions import StoreUnavailable
from celery_process.stores.sql.address import Address
from celery_process.stores.sql.engine import Database, Mode
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock

_configured: dict[str, str] = {}
_sharing: list[int] = []
"""The threads whose connections are shared, the innermost block last."""


def remember() -> None:
    """Store the names of the databases as the project configures them, before tests replace them."""
    for alias in connections:
        _configured.setdefault(alias, name_of(alias))


def name_of(alias: str) -> str:
    """Return the name, or the file, of the alias's current database."""
    return str(connections[alias].settings_dict["NAME"])


def is_for_tests(alias: str) -> bool:
    """Whether a test database replaces the configured one, to be dropped while this program still runs."""
    return _configured.get(alias, name_of(alias)) != name_of(alias)


def sharing() -> int | None:
    """Return the thread whose Django connection the stores share, or None where they have their own."""
    return _sharing[-1] if _sharing else None


@contextmanager
def shared() -> Iterator[None]:
    """Let the stores share the connection of this thread inside the block."""
    _sharing.append(threading.get_ident())
    try:
        yield
    finally:
        _sharing.pop()


class SharedDatabase(Database):
    """Transactions inside Django's own, of one thread: a savepoint where a block is open."""

    def __init__(self, alias: str, tables: Tables, *, clock: Clock | None, thread: int) -> None:
        address = Address(sa.make_url(URLS[connections[alias].vendor]), f"django://{alias}")
        super().__init__(address, tables, clock=clock, synchronous="FULL")
        self._alias, self._thread = alias, thread

    @contextmanager
    def _begun(self, mode: Mode) -> Iterator[Connection]:
        if threading.get_ident() != self._thread:
            raise StoreUnavailable(
                f"The store {self.address.shown} shares the connection of a test, which is another thread's; use it there.",
                operation=mode.name.lower(),
            )
        with joined(self._alias) as conn:
            yield conn
