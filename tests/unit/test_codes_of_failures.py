"""What each code of a database or of Redis means, by the names in their own references; no server is needed.

The same codes, raised by real servers, are in `tests/integration/test_failure_codes.py`.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from redis import exceptions

from celery_process.exceptions import CorruptData, SchemaMismatch
from celery_process.stores.redis.retry import DRIVER, code_of, is_lost
from celery_process.stores.retry import Failure
from celery_process.stores.sql.columns import Malformed
from celery_process.stores.sql.retry import StaleRead, driver_of, is_wrong_server

PASSES, OUTAGE, DENIED, VALUE = Failure.PASSES, Failure.OUTAGE, Failure.DENIED, Failure.VALUE
CORRUPT, SCHEMA, UNKNOWN = Failure.CORRUPT, Failure.SCHEMA, Failure.UNKNOWN


class Cause(Exception):
    """An error of a driver, with the attributes that drivers give theirs."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args)
        vars(self).update(attributes)


def wrapped(cause: Exception, kind: type[sa.exc.DBAPIError] = sa.exc.OperationalError, *, lost: bool = False) -> Exception:
    return kind("SELECT 1", {}, cause, connection_invalidated=lost)


def meaning(family: str, error: Exception) -> Failure:
    return driver_of(family, lambda kind, operation: SchemaMismatch(kind)).failure(error)


def code(family: str, error: Exception) -> str:
    return driver_of(family, lambda kind, operation: SchemaMismatch(kind)).code(error)


MYSQL = {
    PASSES: {
        "ER_LOCK_DEADLOCK": 1213,
        "ER_LOCK_WAIT_TIMEOUT": 1205,
        "ER_CHECKREAD": 1020,
        "ER_TRANSACTION_ROLLBACK_DURING_COMMIT": 3101,
        "ER_CON_COUNT_ERROR": 1040,
        "ER_TOO_MANY_USER_CONNECTIONS": 1203,
        "ER_USER_LIMIT_REACHED": 1226,
        "ER_STATEMENT_TIMEOUT of MariaDB": 1969,
        "ER_QUERY_TIMEOUT": 3024,
        "ER_QUERY_INTERRUPTED": 1317,
        "ER_CONNECTION_KILLED": 1927,
        "ER_CLIENT_INTERACTION_TIMEOUT": 4031,
        "CR_CONNECTION_ERROR": 2002,
        "CR_CONN_HOST_ERROR": 2003,
        "CR_SERVER_GONE_ERROR": 2006,
        "CR_SERVER_LOST": 2013,
        "CR_SERVER_LOST_EXTENDED": 2055,
        "ER_NET_READ_ERROR": 1158,
        "ER_NET_READ_INTERRUPTED": 1159,
        "ER_NET_ERROR_ON_WRITE": 1160,
        "ER_NET_WRITE_INTERRUPTED": 1161,
        "ER_DUP_ENTRY": 1062,
        "ER_DUP_ENTRY_WITH_KEY_NAME": 1586,
        "ER_OPTION_PREVENTS_STATEMENT": 1290,
        "ER_READ_ONLY_MODE": 1836,
        "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION": 1792,
        "ER_SERVER_SHUTDOWN": 1053,
        "ER_UNKNOWN_COM_ERROR": 1047,
    },
    OUTAGE: {
        "ER_DISK_FULL": 1021,
        "ER_OUT_OF_RESOURCES": 1041,
        "ER_OUTOFMEMORY": 1037,
        "ER_RECORD_FILE_FULL": 1114,
        "EE_WRITE": 3,
    },
    SCHEMA: {"ER_NO_SUCH_TABLE": 1146, "ER_BAD_FIELD_ERROR": 1054},
    DENIED: {
        "ER_DBACCESS_DENIED_ERROR": 1044,
        "ER_ACCESS_DENIED_ERROR": 1045,
        "ER_BAD_DB_ERROR": 1049,
        "ER_HOST_IS_BLOCKED": 1129,
        "ER_HOST_NOT_PRIVILEGED": 1130,
        "ER_TABLEACCESS_DENIED_ERROR": 1142,
        "ER_COLUMNACCESS_DENIED_ERROR": 1143,
        "ER_SPECIFIC_ACCESS_DENIED_ERROR": 1227,
        "ER_ACCESS_DENIED_NO_PASSWORD_ERROR": 1698,
        "ER_MUST_CHANGE_PASSWORD": 1820,
        "ER_ACCOUNT_HAS_BEEN_LOCKED": 3118,
        "ER_ACCOUNT_HAS_BEEN_LOCKED of MariaDB": 4151,
    },
    CORRUPT: {
        "ER_NOT_KEYFILE": 1034,
        "ER_OLD_KEYFILE": 1035,
        "ER_CRASHED_ON_USAGE": 1194,
        "ER_CRASHED_ON_REPAIR": 1195,
        "ER_INDEX_CORRUPT": 1712,
    },
    VALUE: {
        "ER_BAD_NULL_ERROR": 1048,
        "ER_WARN_DATA_OUT_OF_RANGE": 1264,
        "WARN_DATA_TRUNCATED": 1265,
        "ER_TRUNCATED_WRONG_VALUE": 1292,
        "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD": 1366,
        "ER_ILLEGAL_VALUE_FOR_TYPE": 1367,
        "ER_DATA_TOO_LONG": 1406,
        "ER_CHECK_CONSTRAINT_VIOLATED": 3819,
        "ER_CONSTRAINT_FAILED of MariaDB": 4025,
    },
    UNKNOWN: {"ER_PARSE_ERROR": 1064, "ER_TABLE_EXISTS_ERROR": 1050, "EE_CANTCREATEFILE": 1},
}
POSTGRESQL = {
    PASSES: {
        "serialization_failure": "40001",
        "deadlock_detected": "40P01",
        "lock_not_available": "55P03",
        "query_canceled": "57014",
        "idle_in_transaction_session_timeout": "25P03",
        "transaction_timeout": "25P04",
        "too_many_connections": "53300",
        "idle_session_timeout": "57P05",
        "unique_violation": "23505",
        "duplicate_table": "42P07",
        "duplicate_object": "42710",
        "read_only_sql_transaction": "25006",
        "admin_shutdown": "57P01",
        "crash_shutdown": "57P02",
        "cannot_connect_now": "57P03",
        "connection_failure": "08006",
        "protocol_violation": "08P01",
    },
    OUTAGE: {"disk_full": "53100", "out_of_memory": "53200", "system_error": "58000", "io_error": "58030"},
    SCHEMA: {"undefined_table": "42P01", "undefined_column": "42703", "invalid_schema_name": "3F000"},
    DENIED: {
        "insufficient_privilege": "42501",
        "invalid_catalog_name": "3D000",
        "invalid_password": "28P01",
        "invalid_authorization_specification": "28000",
    },
    CORRUPT: {"data_corrupted": "XX001", "index_corrupted": "XX002"},
    VALUE: {
        "not_null_violation": "23502",
        "check_violation": "23514",
        "string_data_right_truncation": "22001",
        "numeric_value_out_of_range": "22003",
        "untranslatable_character": "22P05",
    },
    UNKNOWN: {"syntax_error": "42601", "internal_error": "XX000", "foreign_key_violation": "23503"},
}
SQLITE = {
    PASSES: ("BUSY", "BUSY_SNAPSHOT", "LOCKED", "LOCKED_SHAREDCACHE", "CONSTRAINT_UNIQUE", "CONSTRAINT_PRIMARYKEY"),
    OUTAGE: ("NOMEM", "IOERR", "IOERR_WRITE", "FULL", "CANTOPEN", "CANTOPEN_ISDIR"),
    DENIED: ("PERM", "READONLY", "READONLY_DBMOVED", "AUTH"),
    CORRUPT: ("CORRUPT", "CORRUPT_INDEX", "NOTADB"),
    VALUE: ("TOOBIG", "MISMATCH", "CONSTRAINT_NOTNULL", "CONSTRAINT_CHECK"),
    UNKNOWN: ("MISUSE", "CONSTRAINT_FOREIGNKEY", "CONSTRAINT_TRIGGER", "SCHEMA"),
}
REDIS = {
    PASSES: ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "UNBLOCKED", "TRYAGAIN", "NOREPLICAS"),
    OUTAGE: ("OOM", "MISCONF"),
    DENIED: ("NOPERM", "NOAUTH", "WRONGPASS"),
    CORRUPT: ("WRONGTYPE",),
    UNKNOWN: ("ERR", "NOSCRIPT", "EXECABORT"),
}


def rows(table: dict[Failure, Any]) -> list[Any]:
    """Return one parameter a code of a table, under its name."""
    found = []
    for failure, codes in table.items():
        named = codes.items() if isinstance(codes, dict) else [(name, name) for name in codes]
        found += [pytest.param(value, failure, id=name) for name, value in named]
    return found


@pytest.mark.parametrize(("number", "failure"), rows(MYSQL))
def test_mysql(number: int, failure: Failure) -> None:
    """The drivers give the number first."""
    error = wrapped(Cause(number, "no"))
    assert meaning("mysql", error) is failure
    assert code("mysql", error) == f"Cause {number}"


@pytest.mark.parametrize(("state", "failure"), rows(POSTGRESQL))
def test_postgresql(state: str, failure: Failure) -> None:
    """The driver gives the SQLSTATE; of a class that counts as a whole, any code."""
    error = wrapped(Cause("no", sqlstate=state))
    assert meaning("postgresql", error) is failure
    assert code("postgresql", error) == f"Cause {state}"


@pytest.mark.parametrize(("name", "failure"), rows(SQLITE))
def test_sqlite(name: str, failure: Failure) -> None:
    """The extended code says which constraint; of all others the primary code in its low byte counts."""
    error = wrapped(Cause("no", sqlite_errorcode=getattr(sqlite3, f"SQLITE_{name}"), sqlite_errorname=f"SQLITE_{name}"))
    assert meaning("sqlite", error) is failure
    assert code("sqlite", error) == f"Cause SQLITE_{name}"


@pytest.mark.parametrize(
    ("family", "codes"),
    [("mysql", {1290, 1836, 1792, 1053, 1047}), ("postgresql", {"25006", "57P01", "57P02", "57P03"}), ("sqlite", set())],
)
def test_a_server_that_takes_no_writes(family: str, codes: set[Any]) -> None:
    """Those codes, and no other that passes, say that no connection to this server is of use."""
    every = {"mysql": MYSQL, "postgresql": POSTGRESQL, "sqlite": {}}[family]
    known = {value for named in every.values() for value in named.values()}
    causes = {value: Cause(value, sqlstate=value) for value in known | codes}
    assert {value for value, cause in causes.items() if is_wrong_server(family, cause)} == codes
    assert not is_wrong_server(family, None)


@pytest.mark.parametrize("family", ["mysql", "postgresql", "sqlite"])
@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (StaleRead(), PASSES),
        (sa.exc.TimeoutError(), PASSES),
        (Malformed("x"), CORRUPT),
        (CorruptData("x"), CORRUPT),
        (OverflowError(), VALUE),
        (UnicodeError(), VALUE),
        (wrapped(Cause("gone"), sa.exc.InternalError, lost=True), PASSES),
        (wrapped(Cause("Connection refused")), PASSES),
        (wrapped(Cause("odd"), sa.exc.InternalError), UNKNOWN),
        (wrapped(Cause("too long"), sa.exc.DataError), VALUE),
        (wrapped(Cause("no such table: cp_work")), SCHEMA),
        (wrapped(Cause("no such column: x")), SCHEMA),
        (wrapped(Cause("table cp_work has no column named x")), SCHEMA),
        (wrapped(Cause('password authentication failed for user "x"')), DENIED),
        (wrapped(Cause("fe_sendauth: no password supplied")), DENIED),
        (wrapped(Cause('no pg_hba.conf entry for host "x"')), DENIED),
        (wrapped(Cause('role "x" does not exist')), DENIED),
        (wrapped(Cause('user "x" does not exist')), DENIED),
        (wrapped(Cause('database "x" does not exist')), DENIED),
        (wrapped(Cause("permission denied for database")), DENIED),
        (wrapped(Cause("no such user")), DENIED),
        (wrapped(Cause("no such database: x")), DENIED),
    ],
    ids=repr,
)
def test_an_error_without_a_code(family: str, error: Exception, failure: Failure) -> None:
    """Its class and its text say what it means; an operational one of a server that said nothing is an outage."""
    assert meaning(family, error) is failure


def test_sqlite_s_general_error_is_read_by_its_text() -> None:
    """SQLITE_ERROR stands for many; without a known text it was refused, for the library was reached."""
    for text, failure in {"no such table: x": SCHEMA, 'near "x": syntax error': UNKNOWN}.items():
        assert meaning("sqlite", wrapped(Cause(text, sqlite_errorcode=sqlite3.SQLITE_ERROR))) is failure


@pytest.mark.parametrize("args", [(), ("text",), (0, ""), (-1, "")], ids=repr)
def test_a_driver_without_a_number(args: tuple[Any, ...]) -> None:
    """Before a server has answered, MySQL's drivers give a text, zero, or nothing."""
    assert meaning("mysql", wrapped(Cause(*args))) is PASSES
    assert code("mysql", wrapped(Cause(*args))) == "Cause"


def test_the_code_of_an_error_of_ours() -> None:
    """What no server raised is named by its class alone."""
    assert code("mysql", StaleRead()) == "StaleRead"
    assert code("postgresql", OverflowError()) == "OverflowError"
    assert code("mysql", sa.exc.OperationalError("SELECT 1", {}, None)) == "OperationalError"  # type: ignore[arg-type]


@pytest.mark.parametrize(("word", "failure"), rows(REDIS))
def test_redis(word: str, failure: Failure) -> None:
    """The word that the error begins with counts, or that of a command inside a script."""
    for text in (f"{word} for some reason", f"ERR Error running script: -{word} for some reason"):
        error = exceptions.ResponseError(text)
        assert code_of(error) == word
        assert DRIVER.failure(error) is failure
        assert DRIVER.code(error) == f"ResponseError {word}"
        assert is_lost(error) is (word in {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"})


@pytest.mark.parametrize(
    ("kind", "word", "failure", "lost"),
    [
        ("ReadOnlyError", "READONLY", PASSES, True),
        ("BusyLoadingError", "LOADING", PASSES, True),
        ("MasterDownError", "MASTERDOWN", PASSES, True),
        ("ClusterDownError", "CLUSTERDOWN", PASSES, True),
        ("TryAgainError", "TRYAGAIN", PASSES, False),
        ("OutOfMemoryError", "OOM", OUTAGE, False),
        ("NoPermissionError", "NOPERM", DENIED, False),
        ("AuthenticationError", "NOAUTH", DENIED, True),
        ("AuthenticationWrongNumberOfArgsError", "NOAUTH", DENIED, False),
        ("AuthorizationError", "NOPERM", DENIED, True),
        ("ConnectionError", "", PASSES, True),
        ("TimeoutError", "", PASSES, True),
        ("RedisClusterException", "", PASSES, True),
        ("DataError", "", VALUE, False),
        ("RedisError", "", UNKNOWN, False),
    ],
)
def test_redis_s_classes(kind: str, word: str, failure: Failure, lost: bool) -> None:
    """The driver takes the word off the text of the errors that it has a class for."""
    error = getattr(exceptions, kind)("for some reason")
    assert code_of(error) == word
    assert DRIVER.failure(error) is failure
    assert DRIVER.code(error) == f"{kind} {word}".rstrip()
    assert is_lost(error) is lost
    assert isinstance(error, DRIVER.caught)


def test_redis_s_sockets() -> None:
    """An error of the operating system is a lost connection."""
    assert DRIVER.failure(OSError()) is PASSES
    assert is_lost(OSError())
    assert isinstance(OSError(), DRIVER.caught)
    assert code_of(OSError("OOM")) == ""


@pytest.mark.parametrize(
    "text",
    [
        "user_script:7: attempt to index a nil value",
        "user_script:7: bad argument #1 to 'ipairs'",
        "user_script:7: table index is nil",
        "Lua redis() command arguments must be strings or integers",
        "ERR value is not an integer or out of range",
        "ERR value is not a valid float",
        "ERR hash value is not an integer",
        "ERR hash value is not a float",
    ],
)
def test_redis_s_malformed_records(text: str) -> None:
    """A script that stumbles over a record met one that the scripts did not write."""
    assert DRIVER.failure(exceptions.ResponseError(text)) is CORRUPT
    assert DRIVER.failure(exceptions.ResponseError(f"MISCONF {text}")) is OUTAGE


@pytest.mark.parametrize(
    ("text", "facts"),
    [("item d>p", ("item", "done", "pending")), ("run completed>active", ("run", "completed", "active"))],
)
def test_redis_s_illegal_transitions(text: str, facts: tuple[str, ...]) -> None:
    """The script names the entity and both states; those of items are letters there."""
    error = exceptions.ResponseError(f"ERR illegal transition {text} script: 1")
    assert DRIVER.failure(error) is Failure.ILLEGAL
    assert DRIVER.transition is not None
    assert DRIVER.transition(error) == facts
