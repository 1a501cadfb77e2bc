"""Which run is meant: the natural key inside a run's public id, and the conditions that pick its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from celery_process.protocol import rules

Item = TypeVar("Item")

CHUNK = 500
"""Rows one statement names at most."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """A process and an epoch, with the uuid that the run must have."""

    process: str
    epoch: int
    uuid: str

    @classmethod
    def of(cls, process: str, run: str) -> RunKey:
        """Return the key inside a run id; epoch 0, which no run has, for what is not one."""
        epoch, uuid = rules.epoch_of(run), run.partition("-")[2]
        return cls(process, epoch if rules.run_id(epoch, uuid) == run else 0, uuid)

    def rows(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Return the condition for the run's rows in a table."""
        return sa.and_(table.c.process == self.process, table.c.epoch == self.epoch)

    def row(self, run: sa.Table) -> sa.ColumnElement[bool]:
        """Return the condition for the run's own row."""
        return sa.and_(self.rows(run), run.c.run_uuid == self.uuid)


def chunks(rows: Iterable[Item]) -> Iterator[list[Item]]:
    """Return the rows in lists of at most `CHUNK`."""
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def among(name: sa.ColumnElement[str], names: Collection[str]) -> sa.ColumnElement[bool]:
    """Return "name is one of names", with the range that they span.

    A plan may leave a list of names out of an index scan and filter by it afterwards; the range it takes along, and so
    reads no more of the index than lies between the names.
    """
    if not names:
        return sa.false()
    return sa.and_(name >= min(names), name <= max(names), name.in_(names))
