"""The options in the URL of a SQL store: the store's own, which have types, and the driver's, which have to exist."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import URL

from celery_process.exceptions import ConfigurationError
from celery_process.stores.retry import ANSWER_TIMEOUT

WHERE_DIRECT, OFTEN = -1, 5
"""For `prepare_threshold`: to prepare after so many executions where no pooler is between, and nothing behind one."""
POOL_SIZE, MAX_OVERFLOW = 5, 10
"""Connections that one operating-system process keeps, and opens beyond that at most."""
MOST = 1_000

_OWN = ("pool_size", "max_overflow", "pool_timeout")
_OWN_OF = {"postgresql": ("prepare_threshold", "read_timeout")}
OWN_OPTIONS = frozenset(_OWN).union(*_OWN_OF.values())
"""Options that a driver knows nothing of."""
# SQLAlchemy's names for what PyMySQL takes in a dict.
_SSL = {"ssl", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_check_hostname", "ssl_cipher", "ssl_key"}


@dataclass(frozen=True, slots=True)
class Options:
    """`prepare_threshold`: executions after which psycopg prepares a statement in its session, None for never.

    `read_timeout`: seconds that an answer of PostgreSQL may take; None for the store's default.
    """

    pool_size: int = POOL_SIZE
    max_overflow: int = MAX_OVERFLOW
    pool_timeout: int = ANSWER_TIMEOUT
    prepare_threshold: int | None = WHERE_DIRECT
    read_timeout: int | None = None

    @property
    def pool(self) -> dict[str, int]:
        """What SQLAlchemy's pool is made with."""
        return {"pool_size": self.pool_size, "max_overflow": self.max_overflow, "pool_timeout": self.pool_timeout}


def taken_from(url: URL, shown: str, family: str) -> tuple[URL, Options]:
    """Return a URL without the store's own options, and those; raises `ConfigurationError` for an unknown one."""
    own = (*_OWN, *_OWN_OF.get(family, ()))
    given: dict[str, int | None] = {name: _number(name, url.query[name], shown) for name in own if name in url.query}
    if given.get("pool_size") == 0:
        raise _refuse(shown, "has pool_size=0; keep at least one connection, and bound all of them with max_overflow=0")
    if given.get("prepare_threshold") == -1:
        given["prepare_threshold"] = None
    rest = url.difference_update_query(own)
    unknown = _unknown(rest, family)
    if unknown:
        raise _refuse(shown, f"has the option {unknown:.40}, which its driver does not know; correct or remove it")
    return rest, Options(**given)  # type: ignore[arg-type]


def _number(name: str, value: Any, shown: str) -> int:
    text = value if isinstance(value, str) else ""
    if name == "prepare_threshold" and text.lower() in ("none", ""):
        return -1
    if not text.isascii() or not text.isdigit() or int(text) > MOST:
        none = " or none" if name == "prepare_threshold" else ""
        raise _refuse(shown, f"has {name}={text!r:.40}; give a whole number from 0 to {MOST}{none}")
    return int(text)


def _unknown(url: URL, family: str) -> str | None:
    """Return an option that the driver does not take."""
    driver: Any = url.get_dialect().import_dbapi()
    if family == "mysql":
        known = {*inspect.signature(driver.connect).parameters, *_SSL}
        return next((repr(name) for name in url.query if name not in known), None)
    for name in url.query if family == "postgresql" else ():
        try:
            driver.conninfo.make_conninfo("", **{name: ""})
        except driver.Error:
            return repr(name)
    return None


def _refuse(shown: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"process_backend {shown!r} {why}.", setting="process_backend", value=shown)
