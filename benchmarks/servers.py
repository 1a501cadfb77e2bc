"""The servers that are measured on: named by the caller, or started as those of the tests and ended with the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tests.servers import NoServer, started_postgresql, started_valkey


@contextmanager
def redis() -> Iterator[str]:
    """Give the URL of a Redis or Valkey without a database number; `BENCHMARKS_REDIS` names one."""
    named = os.environ.get("BENCHMARKS_REDIS")
    if named:
        yield named.rstrip("/")
        return
    try:
        with started_valkey() as url:
            yield url.rpartition("/")[0]
    except NoServer as none:
        raise click.ClickException(f"BENCHMARKS_REDIS names no server: {none}") from none


@contextmanager
def postgresql() -> Iterator[str]:
    """Give the SQLAlchemy URL of a PostgreSQL that keeps what it commits; `BENCHMARKS_POSTGRESQL` names one."""
    named = os.environ.get("BENCHMARKS_POSTGRESQL")
    if named:
        yield named
        return
    try:
        with started_postgresql(max_connections=250) as url:
            yield url
    except NoServer as none:
        raise click.ClickException(f"BENCHMARKS_POSTGRESQL names no database: {none}") from none
