"""Column types: what Python values stand for in the tables, so that no statement converts by hand.

Instants are whole microseconds since 1970 (UTC) and packed values are JSON in text, since both read the same through
every database and library. Names compare by code point on every database.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

from celery_process.checks import MAX_NAME
from celery_process.instants import from_us, to_us
from celery_process.protocol.limits import Limits, Pace
from celery_process.protocol.model import ErrorEntry, LimitBroken
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import Totals

MYSQL = ("mysql", "mariadb")
"""SQLAlchemy's names of the one family: a URL of either may lead to either server."""


class CodePoints(sa.TypeDecorator[str]):
    """MySQL's and MariaDB's text that is equal to itself alone and in the order of code points.

    Most collations there, `utf8mb4_bin` too, leave out trailing spaces: 'a' would be 'a '. Those that do not have other
    names on the two servers, and only a connection shows which one it is. Without a length it is LONGTEXT, since TEXT
    ends a byte below 64 KiB.
    """

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:  # noqa: D102
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        if self.length is None:
            return dialect.type_descriptor(mysql.LONGTEXT(collation=collation))
        return dialect.type_descriptor(mysql.VARCHAR(self.length, collation=collation))


def surrogate_id() -> sa.Column[int]:
    """Return the key that Django's admin needs; SQLite counts up an INTEGER key only."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, sa.Identity(always=False), primary_key=True)


def code_points(length: int = MAX_NAME) -> sa.String:
    """Return the type of a name: equality and order by code point, as Python has them."""
    kind = sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")
    return kind.with_variant(CodePoints(length), *MYSQL)


TEXT = sa.Text().with_variant(CodePoints(), *MYSQL)
"""The type of a text of any length."""


class Malformed(Exception):
    """A column holds what the library never writes there."""


_MALFORMED = (ValueError, LookupError, TypeError, ArithmeticError)
"""What Python raises over no number, JSON that is broken or of another shape, and a word that no enum has."""


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002, D102
        return None if value is None else to_us(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002, D102
        try:
            return None if value is None else from_us(value)
        except _MALFORMED as error:
            raise Malformed(type(error).__name__) from error


class Word(sa.TypeDecorator[StrEnum]):
    """A member of an enum, kept as its value."""

    impl = sa.String(16)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members
        self._by_word = {member.value: member for member in members}

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002, D102
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002, D102
        try:
            return None if value is None else self._by_word[value]
        except _MALFORMED as error:
            raise Malformed(type(error).__name__) from error


class Packed(sa.TypeDecorator[Any]):
    """A value that the database never looks into, kept as JSON text by a pair of functions."""

    impl = TEXT
    cache_ok = True

    def __init__(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        super().__init__()
        self.pack, self.unpack = pack, unpack

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002, D102
        if value is None:
            return None
        packed = self.pack(value)
        return json.dumps(packed, separators=(",", ":")) if packed else str(packed)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002, D102
        if value is None:
            return None
        try:
            return self.unpack([] if value == EMPTY else json.loads(value))
        except _MALFORMED as error:
            raise Malformed(type(error).__name__) from error


EMPTY = "[]"
"""How no errors, and the totals of an attempt that counted nothing, are kept."""


def pack_errors(errors: tuple[ErrorEntry, ...]) -> list[list[Any]]:
    """Return errors as JSON can hold them."""
    return [[error.text, to_us(error.at), error.work] for error in errors]


def unpack_errors(packed: list[list[Any]]) -> tuple[ErrorEntry, ...]:
    """Return the argument of `pack_errors`."""
    return tuple(ErrorEntry(text, from_us(at), work) for text, at, work in packed)


def pack_totals(totals: Totals) -> list[Any]:
    """Return the totals of an attempt as JSON can hold them; most items have none."""
    if not (totals.stats or totals.run_stats or totals.error_count or totals.run_error_count):
        return []
    return [
        dict(totals.stats),
        dict(totals.run_stats),
        pack_errors(totals.errors),
        totals.error_count,
        pack_errors(totals.run_errors),
        totals.run_error_count,
    ]


def unpack_totals(packed: list[Any]) -> Totals:
    """Return the argument of `pack_totals`."""
    if not packed:
        return Totals()
    stats, run_stats, errors, error_count, run_errors, run_error_count = packed
    return Totals(stats, run_stats, unpack_errors(errors), error_count, unpack_errors(run_errors), run_error_count)


def pack_limits(limits: Limits) -> list[Any]:
    """Return limits as JSON can hold them."""
    return [limits.max_in_flight, limits.rate_limit, limits.at and to_us(limits.at), limits.by]


def unpack_limits(packed: list[Any]) -> Limits:
    """Return the argument of `pack_limits`."""
    window, rate_limit, at, by = packed
    return Limits(window, rate_limit, None if at is None else from_us(at), by)


def pack_pace(pace: Pace) -> list[Any]:
    """Return a pace as JSON can hold it."""
    return [to_us(pace.at), pace.items, pace.awaited]


def unpack_pace(packed: list[Any]) -> Pace:
    """Return the argument of `pack_pace`."""
    at, items, awaited = packed
    return Pace(from_us(at), items, awaited)


def pack_limit_broken(broken: LimitBroken) -> list[Any]:
    """Return a broken limit as JSON can hold it."""
    return [broken.work, broken.errors, broken.tolerated]


def unpack_limit_broken(packed: list[Any]) -> LimitBroken:
    """Return the argument of `pack_limit_broken`."""
    work, errors, tolerated = packed
    return LimitBroken(work, errors, tolerated)


def pack_repairs(repairs: Repairs) -> list[Any]:
    """Return repairs as JSON can hold them."""
    return [repairs.number, repairs.expired, list(repairs.lost)]


def unpack_repairs(packed: list[Any]) -> Repairs:
    """Return the argument of `pack_repairs`."""
    number, expired, lost = packed
    return Repairs(number, expired, tuple(lost))


REPAIRS = Packed(pack_repairs, unpack_repairs)
LIMIT_BROKEN = Packed(pack_limit_broken, unpack_limit_broken)
LIMITS = Packed(pack_limits, unpack_limits)
PACE = Packed(pack_pace, unpack_pace)
STATS = Packed(dict, dict)
ERRORS = Packed(pack_errors, unpack_errors)
TOTALS = Packed(pack_totals, unpack_totals)
EPOCHS = Packed(list, tuple)
