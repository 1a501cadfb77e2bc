"""How many round trips redis-py makes: a command or a pipeline is sent in one piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Trips:
    """What was counted so far."""

    number: int = 0
    size: int = 0


@contextmanager
def round_trips() -> Iterator[Trips]:
    """Count what this process sends while the block runs."""
    from redis import connection as driver  # noqa: PLC0415 - it is the store's

    of: Any = driver.AbstractConnection
    trips, sent = Trips(), of.send_packed_command

    def send(connection: Any, command: Any, **more: Any) -> Any:
        trips.number += 1
        trips.size += sum(len(part) for part in command)
        return sent(connection, command, **more)

    of.send_packed_command = send
    try:
        yield trips
    finally:
        of.send_packed_command = sent
