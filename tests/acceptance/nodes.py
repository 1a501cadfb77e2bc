"""More nodes beside the worker of `celery_setup`: workers that start later, beats, and command lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from pytest_celery import CeleryTestNode, CeleryTestWorker, CeleryWorkerContainer

from .waiting import wait_for

FAST = ("--without-gossip", "--without-mingle")
"""Options that make a worker start fast: it does not look for others first."""


def worker_command(*options: str, queues: str, name: str = "first") -> list[str]:
    """Return the command line of a worker with two children, or what `options` say."""
    return ["celery", "-A", "app", "worker", "-l", "INFO", "-n", f"{name}@%h", "-Q", queues, "-c", "2", *FAST, *options]


class SecondWorker(CeleryWorkerContainer):
    """A worker's container that goes by the name that its command line gives."""

    @classmethod
    def worker_name(cls) -> str:
        return "second"


class BeatContainer(CeleryWorkerContainer):
    """A container that runs beat."""

    @property
    def ready_prompt(self) -> str:
        return "beat: Starting"


@dataclass(frozen=True)
class Said:
    """What a command line said; `status` is its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, read as JSON."""
        return json.loads(self.out)


@dataclass
class Nodes:
    """Starts nodes from the image, volume and environment of the worker of `celery_setup`; `folder` is the test's."""

    client: Any
    options: Mapping[str, Any]
    app: Celery
    folder: Path
    queues: str
    _made: list[Any] = field(default_factory=list)

    def worker(self, *options: str, env: Mapping[str, str] | None = None, ready: bool = True) -> CeleryTestWorker:
        """Start a second worker, and wait until it is ready unless told not to."""
        raw = self.run(worker_command(*options, name=SecondWorker.worker_name(), queues=self.queues), env=env)
        node = CeleryTestWorker(SecondWorker(raw), self.app)
        if ready:
            node.wait_for_log("ready.", timeout=90)
        return node

    def beat(self, name: str = "beat", *, env: Mapping[str, str] | None = None) -> CeleryTestNode:
        """Start a beat with a schedule file of its own, `<name>-schedule` in the folder, and wait until it is ready."""
        file = str(self.folder / f"{name}-schedule")
        command = ["celery", "-A", "app", "beat", "-l", "INFO", "-s", file, "--pidfile="]
        node = CeleryTestNode(BeatContainer(self.run(command, env=env)), self.app)
        node.wait_for_log("beat: Starting", timeout=90)
        return node

    def run(self, command: list[str], *, env: Mapping[str, str] | None = None) -> Any:
        """Start a command in a container of its own, and return that."""
        environment = {**self.options["environment"], **(env or {})}
        raw = self.client.containers.run(**{**self.options, "environment": environment, "command": command, "detach": True})
        self._made.append(raw)
        return raw

    def end(self) -> None:
        """End all of them."""
        while self._made:
            self._made.pop().remove(force=True)


def say(node: CeleryTestNode, *arguments: str) -> Said:
    """Run `celery -A app …` beside a node."""
    status, (out, err) = node.container.exec_run(["celery", "-A", "app", *arguments], demux=True)
    return Said(status, (out or b"").decode(), (err or b"").decode())


def exit_of(node: CeleryTestNode, *, within: float = 20) -> str:
    """Wait until a node has ended by itself; return its log."""

    def ended() -> bool:
        node.container.reload()
        return node.container.status == "exited"

    wait_for(ended, within=within, what=f"the end of {node.name()}")
    return node.logs()
