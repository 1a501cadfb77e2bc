"""RabbitMQ as a container: a server that runs already, since a node of its own takes long to start; else such a node.

A node of its own needs `rabbitmq-server` on the machine. It leaves an `epmd`, which all nodes of a machine share.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_celery import RabbitMQContainer

from tests.servers import free_port

from .runtime import Group, Runtime

if TYPE_CHECKING:
    from .container import LocalContainer

URL = "CP_RABBITMQ_URL"
"""Name in a container's environment: the URL of a running server, which is used and never ended."""
PORT = "5672/tcp"


class RabbitMQ(RabbitMQContainer):
    """pytest-celery's container, with the user and the virtual host of a server that has them."""

    @property
    def url(self) -> str:
        return self.env.get(URL) or super().url

    @property
    def host_url(self) -> str:
        return self.env.get(URL) or super().host_url


def server() -> str | None:
    """Return the path of `rabbitmq-server`; where a package wraps it to change the user, of the one inside."""
    inside = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(inside) if inside.exists() else shutil.which("rabbitmq-server")


def start(container: LocalContainer) -> Runtime:
    """Use the server that the container's environment names, else start a node."""
    url = container.environment.get(URL)
    if url:
        container.publish(PORT, urlsplit(url).port or 5672)
        container.log.write_text("Server startup complete\n")
        return Borrowed()
    port, found = container.host_port(PORT), server()
    if found is None:
        raise RuntimeError("rabbitmq-server is not installed")
    settings = container.folder / "rabbitmq.conf"  # with an own file and an own port: the machine's are for its own node
    settings.write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
    nothing = container.folder / "environment"
    nothing.touch()
    env = {
        **os.environ,
        "HOME": str(container.folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": str(container.folder / "crash"),
        "RABBITMQ_CONF_ENV_FILE": str(nothing),
        "RABBITMQ_CONFIG_FILE": str(settings),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(container.folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(container.folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_MNESIA_BASE": str(container.folder / "mnesia"),
        "RABBITMQ_NODENAME": f"cp{port}@localhost",
        "RABBITMQ_PID_FILE": str(container.folder / "pid"),
    }
    return Group([found], env=env, cwd=container.folder, log=container.log)


class Borrowed:
    """A server that was not started here: to the tests it ends, while it goes on."""

    def __init__(self) -> None:
        self._status: int | None = None

    @property
    def status(self) -> int | None:
        return self._status

    def signal(self, number: int) -> None:
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._status = 0

    def wait(self, timeout: float | None) -> int:
        if self._status is None:
            raise subprocess.TimeoutExpired("rabbitmq", timeout or 0)
        return self._status
