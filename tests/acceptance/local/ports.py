"""TCP ports of this machine."""

from __future__ import annotations

import socket


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
