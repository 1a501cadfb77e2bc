"""Other programs as children of this one: they log to files and end when it does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

PATIENCE = 20
"""Seconds that a program has for its end before it is killed."""


@contextmanager
def running(
    *arguments: str, log: Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments inside the block."""
    with log.open("ab") as file:
        # In a group of its own, so that Ctrl-C at the terminal is this program's alone, which then ends the others once.
        started = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            process_group=0,
        )
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C inside the block, and end the block at either."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def free_port(first: int) -> int:
    """Return the first port of the loopback, from this one on, that nobody listens at."""
    for port in range(first, 65536):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"No port from {first} on is free.")
