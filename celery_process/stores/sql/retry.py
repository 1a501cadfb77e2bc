"""What the failures of the databases mean, by dialect: the drivers of two give texts and numbers of the same names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from celery_process.exceptions import CorruptData, StoreError
from celery_process.stores.retry import Driver, Failure
from celery_process.stores.sql.columns import Malformed


class StaleRead(Exception):
    """A compare-and-set found another state than the one that was read: read again, decide again."""


@dataclass(frozen=True)
class Codes:
    """What the codes of a database mean. `wrong_server`: those of one that is not, or no longer, for writing.

    `prefixes`: the first two characters of codes that are not named. `vague`: codes less precise than their text. A code
    that is in none of them is unknown.
    """

    code: Callable[[Any], Any]
    meanings: Mapping[Failure, frozenset[Any]]
    wrong_server: frozenset[Any] = frozenset()
    prefixes: Mapping[str, Failure] = field(default_factory=dict)
    vague: frozenset[Any] = frozenset()

    def failure(self, code: Any) -> Failure:
        """Return what a code means."""
        if code in self.wrong_server:
            return Failure.PASSES
        named = (failure for failure, codes in self.meanings.items() if code in codes)
        return next(named, self.prefixes.get(str(code)[:2], Failure.UNKNOWN))


def _number(cause: Any) -> int | None:
    """Return the number that MySQL's drivers give first; the SQLSTATE beside it is HY000 for most of them."""
    number = cause.args[0] if cause.args else None
    return number if isinstance(number, int) and number > 0 else None


def _primary(cause: Any) -> int | None:
    """Return SQLite's code: the extended one of a constraint, else the primary one, which is its low byte."""
    code = getattr(cause, "sqlite_errorcode", None)
    return code if code is None or code & 0xFF == 19 else code & 0xFF


_POSTGRESQL = Codes(
    lambda cause: getattr(cause, "sqlstate", None),
    {
        # Serialization, deadlock, lock_timeout, statement_timeout, a transaction idle or open too long, too many
        # connections, idle too long. A duplicate key: another transaction was first, so decide again; the same for DDL.
        Failure.PASSES: frozenset(
            {"40001", "40P01", "55P03", "57014", "25P03", "25P04", "53300", "57P05", "23505", "42P07", "42710"}
        ),
        Failure.SCHEMA: frozenset({"42P01", "42703", "3F000"}),
        Failure.DENIED: frozenset({"42501", "3D000"}),
        Failure.CORRUPT: frozenset({"XX001", "XX002"}),
        Failure.VALUE: frozenset({"23502", "23514"}),
    },
    wrong_server=frozenset({"25006", "57P01", "57P02", "57P03"}),  # read only; shutdown, crash, starting up
    prefixes={"08": Failure.PASSES, "22": Failure.VALUE, "28": Failure.DENIED, "53": Failure.OUTAGE, "58": Failure.OUTAGE},
)
_MYSQL = Codes(
    _number,
    {
        # Deadlock, lock wait, row changed, rolled back by the cluster; too many connections, of all or of this user;
        # statements that took too long or were killed; connections killed, idle too long, not made or lost; a duplicate key.
        Failure.PASSES: frozenset(
            {1213, 1205, 1020, 3101, 1040, 1203, 1226, 1969, 3024, 1317, 1927, 4031, 2002, 2003, 2006, 2013, 2055}
            | {1158, 1159, 1160, 1161, 1062, 1586}
        ),
        Failure.OUTAGE: frozenset({1021, 1041, 1037, 1114, 3}),
        Failure.SCHEMA: frozenset({1146, 1054}),
        Failure.DENIED: frozenset({1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1698, 1820, 3118, 4151}),
        Failure.CORRUPT: frozenset({1034, 1035, 1194, 1195, 1712}),
        Failure.VALUE: frozenset({1048, 1264, 1265, 1292, 1366, 1367, 1406, 3819, 4025}),
    },
    # Read only by option, by mode, by transaction; shutting down; a node that is not, or no longer, of its cluster.
    wrong_server=frozenset({1290, 1836, 1792, 1053, 1047}),
)
_SQLITE = Codes(
    _primary,
    {
        Failure.PASSES: frozenset({5, 6, 2067, 1555}),  # BUSY, LOCKED; CONSTRAINT_UNIQUE, CONSTRAINT_PRIMARYKEY
        Failure.OUTAGE: frozenset({7, 10, 13, 14}),  # NOMEM, IOERR, FULL, CANTOPEN
        Failure.DENIED: frozenset({3, 8, 23}),  # PERM, READONLY, AUTH
        Failure.CORRUPT: frozenset({11, 26}),  # CORRUPT, NOTADB
        Failure.VALUE: frozenset({18, 20, 1299, 275}),  # TOOBIG, MISMATCH; CONSTRAINT_NOTNULL, CONSTRAINT_CHECK
    },
    vague=frozenset({1}),  # ERROR
)
_FAMILIES = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE}

# Errors without a code. libpq passes on only the text of a server that refuses a login, here in its default language.
_NOT_LET_IN = re.compile(
    r"authentication failed|no password supplied|no pg_hba.conf entry|(role|user|database) \"[^\"]*\" does not exist"
    r"|permission denied for database|no such (user|database)"
)
_NO_TABLE = re.compile(r"no such (table|column)|has no column named")


def is_wrong_server(family: str, cause: BaseException | None) -> bool:
    """Whether a server answered that it takes no writes, so that every connection to it is of no use."""
    codes = _FAMILIES[family]
    return cause is not None and codes.code(cause) in codes.wrong_server


def driver_of(family: str, mismatch: Callable[[str, str], StoreError]) -> Driver:
    """Return how the errors of a family of databases are read."""
    codes = _FAMILIES[family]

    def failure(error: Exception) -> Failure:
        if isinstance(error, StaleRead | sa.exc.TimeoutError):
            return Failure.PASSES
        if isinstance(error, Malformed | CorruptData):
            return Failure.CORRUPT
        if not isinstance(error, sa.exc.DBAPIError):
            return Failure.VALUE
        if error.connection_invalidated:
            return Failure.PASSES
        code = codes.code(error.orig)
        return _of_text(error) if code is None or code in codes.vague else codes.failure(code)

    def code(error: Exception) -> str:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
        name = getattr(cause, "sqlite_errorname", None) or codes.code(cause)
        return type(cause).__name__ + (f" {name}" if name else "")

    caught = (StaleRead, sa.exc.StatementError, sa.exc.TimeoutError, Malformed, CorruptData, OverflowError, UnicodeError)
    return Driver(caught, failure, code, mismatch)


def _of_text(error: sa.exc.DBAPIError) -> Failure:
    text = str(error.orig)
    if _NO_TABLE.search(text):
        return Failure.SCHEMA
    if _NOT_LET_IN.search(text):
        return Failure.DENIED
    if isinstance(error, sa.exc.DataError):
        return Failure.VALUE
    # Without any code the server was not reached.
    reached = hasattr(error.orig, "sqlite_errorcode") or not isinstance(error, sa.exc.OperationalError)
    return Failure.UNKNOWN if reached else Failure.PASSES
