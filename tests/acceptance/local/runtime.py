"""What stands behind a container: a command with its children, as one process group that writes to one file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Runtime(Protocol):
    """What a container needs of what it runs."""

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""

    def signal(self, number: int) -> None:
        """Send a signal; SIGKILL ends everything at once."""

    def wait(self, timeout: float | None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""


class Group:
    """A command in a session of its own. Its output is appended to `log`."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        with log.open("ab") as out:
            self._leader = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        return self._leader.poll()

    def signal(self, number: int) -> None:
        """SIGKILL goes to the group, since the death of its first process ends a container; others go to the leader."""
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._leader.pid, number)
            else:
                os.kill(self._leader.pid, number)

    def wait(self, timeout: float | None) -> int:
        return self._leader.wait(timeout)
