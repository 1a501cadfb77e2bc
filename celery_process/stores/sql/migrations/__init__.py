"""Versioned migrations, and the check that refuses tables which do not fit the code.

Each migration is frozen DDL with a MetaData of its own; `tables.py` may change, a released migration may not. The
version is stored in the table `meta`, whose row a migration locks, so that several may run at once. If the row is missing,
the version is derived from the tables' columns, and the next migration inserts the row again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.exceptions import SchemaMismatch
from celery_process.stores.sql import mysql
from celery_process.stores.sql.engine import Database
from celery_process.stores.sql.migrations import kinds, v0001
from celery_process.stores.sql.transaction import Transaction
from celery_process.stores.warning import StoreWarning
from celery_process.text.logs import log_fields, logger_of


class Migration(NamedTuple):
    """A version of the tables.

    `mark`: the last table, or column ("table.column"), that `upgrade` makes, without prefix. `least`: the version of the
    oldest code that may use these tables, since in a rolling deploy older workers use them too; code knows the number of
    its own newest migration. An additive change keeps it, unless older code would do harm by not knowing of the change.
    """

    title: str
    upgrade: Callable[[Connection, str], None]
    mark: str
    least: int


MIGRATIONS: tuple[Migration, ...] = (Migration("create the tables", v0001.upgrade, "work", 1),)
"""The migration to each version, in order; a version's number is its place, from 1."""
VERSION = len(MIGRATIONS)

_KEY, _LEAST = "schema_version", "least_version"
logger = logger_of(__name__)


class Schema:
    """The tables' version: checked once in each operating-system process, before its first operation."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._checked = 0
        self.creates = database.is_sqlite
        """Whether missing tables are made at first use."""

    def ensure(self) -> None:
        """Refuse tables of another version. On SQLite nothing else creates missing ones, so this does."""
        if self._checked == os.getpid():
            return
        found, least = self._versions()
        if found == 0 and self.creates:
            self.migrate()
            found, least = self._versions()
        if found < VERSION or least > VERSION:
            raise self._mismatch(found)
        self._newer = found if found > VERSION else None
        if self._newer and self._checked == 0:
            logger.warning("%s", self._warning(self._newer), extra=log_fields("schema_newer"))
        self._checked = os.getpid()

    def check(self) -> tuple[StoreWarning, ...]:
        """Look again, over a connection that answers; return warnings."""
        self._checked = -1
        self.ensure()
        newer = (self._warning(self._newer),) if self._newer else ()
        return (*newer, *self._db.peek("check", _warnings))

    def _versions(self) -> tuple[int, int]:
        """Return the version of the tables, and of the oldest code that may use them."""
        return self._db.read("check", _versions, self._db.address.shown)

    def _warning(self, found: int) -> StoreWarning:
        return StoreWarning(
            f"The tables of {self._db.address.shown} are of version {found}, newer than the {VERSION} of this code, and may "
            "be used by it.",
            "Update celery-process here too.",
        )

    def migrate(self) -> tuple[str, ...]:
        """Migrate the tables to `VERSION`, each step in a transaction; return a line for each step that this call did."""
        done = []
        found, least = self._versions()
        if least > VERSION:
            raise self._mismatch(found)
        with self._db.patient() as database:
            database.write("migrate", _begin)
            for number, migration in enumerate(MIGRATIONS, start=1):
                if database.write("migrate", _step, number, migration):
                    done.append(f"{database.tables.prefix}*: version {number}, {migration.title}")
        return tuple(done)

    def _mismatch(self, found: int) -> SchemaMismatch:
        if found > VERSION:
            text = f"are of version {found}, newer than what this code ({VERSION}) can use; update it, then run"
        else:
            state = f"are of version {found}, older than the {VERSION} of this code" if found else "do not exist yet"
            text = f"{state}; run"
        command = self._db.command()
        message = f"The tables of {self._db.address.shown} {text}: {command}"
        return SchemaMismatch(message, found=found, wanted=VERSION, command=command, operation="check")


def _warnings(tx: Transaction) -> tuple[StoreWarning, ...]:
    if tx.conn.dialect.name != "postgresql":
        return ()
    encoding = tx.conn.execute(sa.text("SHOW server_encoding")).scalar()
    if encoding == "UTF8":
        return ()
    text = f"The database's encoding is {encoding}, which lacks many names."
    return (StoreWarning(text, "Create it with ENCODING 'UTF8'."),)


def _versions(tx: Transaction, url: str) -> tuple[int, int]:
    meta = tx.t.meta
    if mysql.is_mysql(tx.conn):
        mysql.refuse_old(tx.conn, url)
    stored: dict[str, int] = {}
    if sa.inspect(tx.conn).has_table(meta.name):
        rows = tx.rows(sa.select(meta.c.name, meta.c.number).where(meta.c.name.in_((_KEY, _LEAST))))
        stored = {row.name: row.number for row in rows}
    found = stored.get(_KEY)
    found = _of_columns(tx) if found is None else found
    return found, stored.get(_LEAST, found)


def _of_columns(tx: Transaction) -> int:
    """Return the version that the tables and columns have.

    Emptying all tables, as Django's flush does, deletes the row with the version along with the others.
    """
    look, columns = sa.inspect(tx.conn), dict[str, set[str]]()
    for number, migration in enumerate(MIGRATIONS):
        noun, _, column = migration.mark.partition(".")
        table = f"{tx.t.prefix}{noun}"
        if table not in columns:
            columns[table] = {found["name"] for found in look.get_columns(table)} if look.has_table(table) else set()
        if not columns[table] or column not in columns[table] | {""}:
            return number
    return VERSION


def step(tx: Transaction, number: int) -> bool:
    """Migrate the tables from the version before to `number`, in the caller's transaction; return whether it did."""
    _begin(tx)
    return _step(tx, number, MIGRATIONS[number - 1])


def _begin(tx: Transaction) -> None:
    meta = v0001.meta(tx.t.prefix)
    if not sa.inspect(tx.conn).has_table(meta.name):
        kinds.create(tx.conn, meta)
    tx.add_missing(tx.t.meta, {"name": _KEY, "number": _of_columns(tx)})


def _step(tx: Transaction, number: int, migration: Migration) -> bool:
    meta = tx.t.meta
    locked = sa.select(meta.c.number).where(meta.c.name == _KEY).with_for_update()
    if tx.value(locked) != number - 1:
        return False
    migration.upgrade(tx.conn, tx.t.prefix)
    # MySQL's DDL commits and so releases the lock: another migration may have done the same step meanwhile.
    mine = (meta.c.name == _KEY, meta.c.number == number - 1)
    tx.compare_and_set(sa.update(meta).where(*mine).values(number=number))
    tx.put(meta, [{"name": _LEAST, "number": migration.least}], lambda new: {"number": new.number})
    return True
