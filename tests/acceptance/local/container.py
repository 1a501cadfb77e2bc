"""A container that is a local process: the part of `docker.models.containers.Container` that the wrappers use."""

from __future__ import annotations

import io
import shlex
import shutil
import signal
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers import free_port

from . import images
from .ports import is_listening
from .runtime import Runtime

GRACE = 10
"""Seconds between SIGTERM and SIGKILL where a container is stopped."""


class LocalContainer:
    """A process group with an own folder, a log file, ports, an environment and mounted folders."""

    def __init__(
        self,
        image: str,
        *,
        folder: Path,
        command: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        ports: Mapping[str, Any] | None = None,
        network: str | None = None,
        mounts: Mapping[str, Path] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.image = image
        self.id = uuid.uuid4().hex * 2
        self.name = f"local-{self.id[:8]}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.log = self.folder / "output.log"
        self.command = list(command) if command else images.default_command(image)
        self.environment = {key: str(value) for key, value in (environment or {}).items()}
        self.mounts = dict(mounts or {})
        self.labels = dict(labels or {})
        self.status = "created"
        self._network = network or "local"
        self._ports = {port: int(given) if given else free_port() for port, given in (ports or {}).items()}
        self._runtime: Runtime | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker inspect` would tell. The host name has the port, since pytest-celery makes a URL of it."""
        ports = {port: [{"HostIp": "127.0.0.1", "HostPort": str(number)}] for port, number in self._ports.items()}
        first = next(iter(self._ports.values()), None)
        return {
            "Config": {
                "Hostname": self.id[:12] if first is None else f"localhost:{first}",
                "Env": [f"{key}={value}" for key, value in self.environment.items()],
                "Labels": self.labels,
                "Image": self.image,
            },
            "HostConfig": {"PortBindings": ports},
            "NetworkSettings": {"Networks": {self._network: {"IPAddress": "127.0.0.1"}}, "Ports": ports},
            "Mounts": [],
        }

    def host_port(self, port: str) -> int:
        """Return the port of this machine that stands for one of the container."""
        if port not in self._ports:
            self.publish(port, free_port())
        return self._ports[port]

    def publish(self, port: str, host_port: int) -> None:
        """Say which port of this machine stands for one of the container."""
        self._ports[port] = host_port

    # -- life cycle

    def start(self) -> LocalContainer:
        """Run the command."""
        self._runtime = images.start(self)
        self.reload()
        return self

    def reload(self) -> None:
        """Look whether it still runs."""
        self.status = "running" if self._runtime is not None and self._runtime.status is None else "exited"

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal, SIGKILL if none is named."""
        self._signal(_number(signal or "SIGKILL"), wait=0.5)

    def stop(self, timeout: float = GRACE) -> None:
        """Ask it to end, and end it if it does not."""
        self._signal(signal.SIGTERM, wait=timeout)
        self._signal(signal.SIGKILL, wait=GRACE)

    def restart(self, timeout: float = GRACE) -> None:
        """Stop it and run the command again."""
        self.stop(timeout)
        self.start()

    def remove(self, **_: Any) -> bool:
        """End it with all its children, and delete its folder."""
        self._signal(signal.SIGKILL, wait=GRACE)
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    def wait(self, timeout: float | None = None, **_: Any) -> dict[str, int]:
        """Wait for its end; return its exit status as Docker does."""
        return {"StatusCode": 0 if self._runtime is None else self._runtime.wait(timeout)}

    def _signal(self, number: int, *, wait: float) -> None:
        if self._runtime is not None:
            self._runtime.signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._runtime.wait(wait)
        self.reload()

    # -- looking inside

    def logs(self, **_: Any) -> bytes:
        """Return what it has written so far."""
        return self.log.read_bytes() if self.log.exists() else b""

    def exec_run(self, cmd: str | list[str], *, demux: bool = False, **_: Any) -> tuple[int, Any]:
        """Run a command beside it, with its environment; return status and output, in two parts with `demux`."""
        if isinstance(cmd, str) and cmd.startswith("cat /proc/net/tcp"):  # how the wrappers ask which ports are open
            lines = [f"0: 0:{_inner(port):04X} 0 0A" for port, number in self._ports.items() if is_listening(number)]
            return 0, "\n".join(lines).encode()
        argv = shlex.split(cmd) if isinstance(cmd, str) else cmd
        done = subprocess.run(
            images.argv_of(self, argv),
            check=False,
            env=images.env_of(self),
            cwd=images.cwd_of(self),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if demux else subprocess.STDOUT,
            timeout=60,
        )
        return done.returncode, (done.stdout, done.stderr) if demux else done.stdout

    def get_archive(self, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        """Return a file or folder of a mounted folder as a tar archive."""
        found = next(
            (real / path[len(bind) :].lstrip("/") for bind, real in self.mounts.items() if path.startswith(bind)), None
        )
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(found or Path(path), arcname=Path(path).name)
        return iter([packed.getvalue()]), {}

    def put_archive(self, path: str, data: Any) -> bool:
        """Unpack a tar archive into a mounted folder."""
        with tarfile.open(fileobj=data, mode="r:*") as archive:
            archive.extractall(self.mounts[path], filter="data")
        return True


def _number(named: str | int) -> int:
    return named if isinstance(named, int) else getattr(signal, named)


def _inner(port: str) -> int:
    return int(port.partition("/")[0])
