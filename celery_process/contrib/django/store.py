"""The store `django://default`: the SQL store on a database of `DATABASES`, over connections of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import ConnectionDoesNotExist

from celery_process.contrib.django.databases import SharedDatabase, is_for_tests, name_of, sharing
from celery_process.contrib.django.joining import URLS, joined
from celery_process.exceptions import CannotJoin, ConfigurationError, short_repr
from celery_process.stores.sql import SqlStore
from celery_process.stores.sql.address import parse
from celery_process.stores.sql.engine import Database, Given, Result, Step
from celery_process.stores.sql.options import OWN_OPTIONS
from celery_process.stores.sql.tables import Tables
from celery_process.stores.sql.transaction import Clock
from celery_process.stores.warning import StoreWarning
from celery_process.text.masking import scheme_only

_PLAIN = re.compile(r"django://([\w.\-]{0,80})/?(?:\?([\w=&]{0,200}))?")
TABLE_PREFIX = "cp_"
"""Django's migrations make the tables, so their names are fixed."""
DJANGO_OPTIONS = frozenset(
    ("assume_role", "context", "cursor_factory", "isolation_level", "pool", "prepare_threshold", "server_side_binding")
)
"""Keys of a database's OPTIONS that Django reads itself. The URL of SQLite carries no OPTIONS at all."""


class DjangoStore(SqlStore):
    """The SQL store on an alias of `DATABASES`; `using=` takes that alias and joins `transaction.atomic()` on it."""

    def __init__(self, url: str, *, table_prefix: str = TABLE_PREFIX, clock: Clock | None = None, **_: Any) -> None:
        if table_prefix != TABLE_PREFIX:
            raise ConfigurationError(
                f"process_table_prefix is {table_prefix!r:.40}, and the tables of {scheme_only(url)} are made by "
                f"Django's migrations as {TABLE_PREFIX}…; leave the setting out.",
                setting="process_table_prefix",
                value=table_prefix,
            )
        self.alias = alias_of(url)
        self._options = dict(parse_qsl(urlsplit(url).query))
        self.url = f"django://{self.alias}"
        self._clock = clock
        self._target: tuple[str, int | None] | None = None
        self._reconnect()

    def _reconnect(self) -> None:
        """Connect to the alias's current database: a test replaces the project's with its own, and restores it later."""
        target = name_of(self.alias), sharing()
        if target == self._target:
            return
        if self._target is not None:
            self.close()
        tables = Tables(TABLE_PREFIX)
        if target[1] is None:
            # A test's database cannot be dropped while an idle connection to it is open.
            keep = not is_for_tests(self.alias)
            self._use(
                Database(
                    parse(database_url(self.alias, **self._options)),
                    tables,
                    clock=self._clock,
                    synchronous="FULL",
                    keep_idle=keep,
                )
            )
        else:
            self._use(SharedDatabase(self.alias, tables, clock=self._clock, thread=target[1]))
        self._target = target

    def _use(self, database: Database) -> None:
        super()._use(database)
        self._schema.creates = False

    def _command(self) -> str:
        return f"python manage.py migrate celery_process --database {self.alias}"

    @property
    def _ready(self) -> Database:
        self._reconnect()
        return super()._ready

    def check(self) -> tuple[StoreWarning, ...]:
        """Make a round trip and refuse tables of another version."""
        self._reconnect()
        return super().check()

    def migrate(self) -> tuple[str, ...]:
        """Return nothing where the tables have this version; else raise `SchemaMismatch`, which names Django's command."""
        self.check()
        return ()

    def _define(
        self, operation: str, using: Any, step: Step[Given, Result], *args: Given.args, **more: Given.kwargs
    ) -> Result:
        if not isinstance(using, str):
            return super()._define(operation, using, step, *args, **more)
        if using != self.alias:
            raise CannotJoin(
                f"using={short_repr(using)} is another database than the store's, {self.url}; pass using={self.alias!r}, or "
                "leave it out and call after your commit, with transaction.on_commit().",
                using=using,
            )
        with joined(self.alias) as conn:
            return self._join(conn, using, step, *args, **more)


def alias_of(url: str) -> str:
    """Return the alias in `django://alias`; raises `ConfigurationError` where `DATABASES` has none of that name."""
    plain = _PLAIN.fullmatch(url)
    fits = plain is not None and OWN_OPTIONS.issuperset(dict(parse_qsl(plain[2] or "", keep_blank_values=True)))
    masked_url = url if fits else scheme_only(url)
    alias = plain[1] if plain is not None and fits else ""
    if not alias:
        raise ConfigurationError(
            f"process_backend {masked_url!r} is not django:// and an alias of DATABASES; write django://default, with no "
            f"other options than {', '.join(sorted(OWN_OPTIONS))}.",
            setting="process_backend",
            value=masked_url,
        )
    try:
        vendor = connections[alias].vendor
    except ConnectionDoesNotExist:
        known = ", ".join(sorted(connections.settings))
        raise ConfigurationError(
            f"process_backend {masked_url!r} names no database of DATABASES, which has {known}; use one of them.",
            setting="process_backend",
            value=masked_url,
        ) from None
    except ImproperlyConfigured as error:
        raise ConfigurationError(
            f"process_backend {masked_url!r} needs Django's settings: {error}", setting="process_backend", value=masked_url
        ) from error
    if vendor not in URLS:
        raise ConfigurationError(
            f"process_backend {masked_url!r} is on {vendor}; django:// works on {' and '.join(sorted(URLS))}. Give the "
            "database by its own URL instead, as in mysql://user@host/name.",
            setting="process_backend",
            value=masked_url,
        )
    return alias


def database_url(alias: str, **more: str) -> str:
    """Return the URL of an alias's database, by Django's current settings.

    `more`: the store's own options, which win over those in Django's settings.
    """
    settings: Mapping[str, Any] = connections[alias].settings_dict
    name = str(settings["NAME"])
    if connections[alias].vendor == "sqlite":
        if ":memory:" in name or "mode=memory" in name:
            raise ConfigurationError(
                f"django://{alias} is an SQLite database in memory, which no other connection can see. In a test share "
                "Django's connection (celery_process.contrib.django.testing), or give it a file: "
                f"DATABASES[{alias!r}]['TEST'] = {{'NAME': 'test.sqlite3'}}.",
                setting="process_backend",
                value=f"django://{alias}",
            )
        return sa.URL.create("sqlite", database=name, query=more).render_as_string()
    configured = settings.get("OPTIONS") or {}
    options = (
        {key: str(value) for key, value in configured.items() if key not in DJANGO_OPTIONS}
        | _store_options(configured)
        | more
    )
    host, port = settings.get("HOST") or "", settings.get("PORT")
    if host.startswith("/"):  # libpq takes the folder of the server's socket from the query
        options["host"], host = host, ""
    url = sa.URL.create(
        "postgresql",
        username=settings.get("USER") or None,
        password=settings.get("PASSWORD") or None,
        host=host or None,
        port=int(port) if port else None,
        database=name or None,
        query=options,
    )
    return url.render_as_string(hide_password=False)


def _store_options(configured: Mapping[str, Any]) -> dict[str, str]:
    """Return the store's own options by Django's OPTIONS; `max_size` of Django's pool bounds the store's pool."""
    options = {"prepare_threshold": str(configured["prepare_threshold"])} if "prepare_threshold" in configured else {}
    pool = configured.get("pool")
    if isinstance(pool, Mapping):
        most = pool.get("max_size") or pool.get("min_size")
        options |= {"pool_size": str(most), "max_overflow": "0"} if most else {}
        options |= {"pool_timeout": str(round(pool["timeout"]))} if "timeout" in pool else {}
    return options
