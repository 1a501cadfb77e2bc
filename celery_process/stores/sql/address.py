"""The address of a SQL store: what a URL may be, what is displayed of it, and the driver that it needs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import URL

from celery_process.exceptions import ConfigurationError, MissingDriver
from celery_process.stores.sql.columns import MYSQL
from celery_process.stores.sql.options import Options, taken_from
from celery_process.text.masking import is_secret, scheme_only

DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
"""The one driver that each dialect is tried with; a URL may leave it out."""
EXTRAS = {"sqlite": "sqlalchemy", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL, without the options that are the store's own. `shown` has no password."""

    url: URL
    shown: str
    options: Options = Options()

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql`, `mysql` or `mariadb`."""
        return self.url.get_backend_name()

    @property
    def database(self) -> str:
        """What distinguishes two databases of one server, or two files."""
        return database_of(self.url)


def database_of(url: URL) -> str:
    """Return the name of the database, for SQLite the file; empty where the URL leaves it to the server or the driver."""
    name = url.database or ""
    return os.path.realpath(name) if url.get_backend_name() == "sqlite" and name not in ("", ":memory:") else name


def family_of(dialect: str) -> str:
    """Return the dialect under one name: `mysql://` and `mariadb://` may both lead to one server."""
    return "mysql" if dialect in MYSQL else dialect


def parse(text: str) -> Address:
    """Return the address of a URL, or raise `ConfigurationError`, or `MissingDriver` with the pip command."""
    try:
        url = sa.make_url(text)
        if "@" in (url.host or "") or any("@" in option for option in url.query):
            raise ValueError  # noqa: TRY301 - the rest of a password that has an '@'
    except (sa.exc.ArgumentError, ValueError):
        # The parser's message may hold the URL, so neither it nor the text is repeated.
        shown = scheme_only(text)
        message = f"process_backend {shown!r} is not a URL; write it as dialect://user:password@host:port/database."
        raise ConfigurationError(message, setting="process_backend", value=shown) from None
    dialect, _, driver = url.drivername.partition("+")
    hidden = {option: _HIDDEN for option in url.query if is_secret(option)}
    shown = url.update_query_dict(hidden).render_as_string(hide_password=True)
    if DRIVERS.get(dialect) is None or driver not in ("", DRIVERS[dialect]):
        known = ", ".join(f"{name}+{driver}" for name, driver in DRIVERS.items())
        raise ConfigurationError(
            f"process_backend {shown!r} is for {url.drivername!r}, which the SQL store does not know; use one of {known}.",
            setting="process_backend",
            value=shown,
        )
    if dialect == "sqlite":
        _refuse_memory(url, shown)
    url = url.set(drivername=f"{dialect}+{DRIVERS[dialect]}")
    _import_driver(Address(url, shown))
    plain, options = taken_from(url, shown, family_of(dialect))
    return Address(plain, shown, options)


def check_prefix(prefix: str) -> str:
    """Return a prefix that may begin the name of a table on every database."""
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"process_table_prefix {prefix!r:.80} cannot begin the name of a table; use 1 to 31 characters of a-z, 0-9 and "
            "'_', the first not a digit.",
            setting="process_table_prefix",
            value=prefix,
        )
    return prefix


def _refuse_memory(url: URL, shown: str) -> None:
    database = url.database or ""
    if not database or ":memory:" in database or url.query.get("mode") == "memory" or "mode=memory" in database:
        raise ConfigurationError(
            f"process_backend {shown!r} names no file, so that each connection would have a database of its own; use "
            "'sqlite:///process.db', or 'memory://' for one interpreter.",
            setting="process_backend",
            value=shown,
        )


def _import_driver(address: Address) -> None:
    try:
        address.url.get_dialect().import_dbapi()
    except ImportError as error:
        package = DRIVERS[address.dialect]
        command = f"pip install 'celery-process[{EXTRAS[address.dialect]}]'"
        raise MissingDriver(
            f"process_backend {address.shown!r} needs the package {package!r}, which is not usable here; run: {command}",
            url=address.shown,
            package=package,
            command=command,
        ) from error
