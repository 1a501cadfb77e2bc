"""One baton for several clients of a store: whoever has it runs one statement, the commit, or one script, and gives it back.

A client that waits for a row lock has not given it back, and the others go on. Which of them goes next is somebody
else's decision; `schedules` makes all decisions there are, up to a number of preemptions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

PATIENCE = 0.004
"""Seconds after which a statement is looked at: it may wait for a lock."""
LONGEST = 30.0


class Where(Enum):
    """Where a client is."""

    BEFORE = "before a statement"
    INSIDE = "inside of one"
    WAITING = "inside of one that waits for a lock"
    OVER = "at its end"


@dataclass
class Client:
    """One client: what it does, where it is, and what came of it."""

    act: Callable[[], Any]
    where: Where = Where.INSIDE
    backend: int = 0
    may_go: bool = False
    answer: Any = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Decision:
    """Who could go on, who did, and who had gone before."""

    able: tuple[int, ...]
    chosen: int
    before: int | None

    def preempts(self, other: int) -> bool:
        """Whether it would be a preemption to choose `other`."""
        return self.before in self.able and other != self.before


@dataclass
class Played:
    """One schedule: its decisions, and the answers of the clients."""

    decisions: list[Decision] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    waited: bool = False


class Baton:
    """Plays schedules. What listens to the store calls `_wait` before each step; threads that are no clients go through."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._clients: dict[int, Client] = {}

    def play(self, acts: Sequence[Callable[[], Any]], choices: Sequence[int]) -> Played:
        """Run the acts, going by the choices and after their end without a preemption."""
        clients = [Client(act) for act in acts]
        threads = [threading.Thread(target=self._run, args=(client,), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        played, before = Played(), None
        while True:
            self._settle(clients)
            able = tuple(place for place, client in enumerate(clients) if client.where is Where.BEFORE)
            if not able:
                break
            place = len(played.decisions)
            chosen = choices[place] if place < len(choices) and choices[place] in able else before
            chosen = able[0] if chosen not in able else chosen
            played.decisions.append(Decision(able, chosen, before))
            before = chosen
            with self._turn:
                clients[chosen].may_go, clients[chosen].where = True, Where.INSIDE
                self._turn.notify_all()
            played.waited |= any(client.where is Where.WAITING for client in clients)
        for thread in threads:
            thread.join(LONGEST)
        for client in clients:
            if client.error is not None:
                raise client.error
        played.answers = [client.answer for client in clients]
        return played

    def _run(self, client: Client) -> None:
        self._clients[threading.get_ident()] = client
        try:
            client.answer = client.act()
        except BaseException as error:
            client.error = error
        finally:
            with self._turn:
                client.where = Where.OVER
                del self._clients[threading.get_ident()]
                self._turn.notify_all()

    def _settle(self, clients: Sequence[Client]) -> None:
        """Wait until each client is before a statement, at its end, or in need of a lock that another has."""
        deadline = time.monotonic() + LONGEST
        with self._turn:
            self._ask_anew(clients)
            while True:
                if self._turn.wait_for(lambda: all(client.where is not Where.INSIDE for client in clients), PATIENCE):
                    places = {client.where for client in clients}
                    if Where.WAITING not in places or Where.BEFORE in places:
                        return
                    self._ask_anew(clients)  # they wait for each other: the server will see it, and end one of them
                else:
                    for client in clients:
                        if client.where is Where.INSIDE and self._lacks_lock(client):
                            client.where = Where.WAITING
                assert time.monotonic() < deadline, "the clients came to no end"

    @staticmethod
    def _ask_anew(clients: Sequence[Client]) -> None:
        """Forget who waited: the last step may have given them their locks."""
        for client in clients:
            if client.where is Where.WAITING:
                client.where = Where.INSIDE

    def _lacks_lock(self, client: Client) -> bool:
        return False

    def _wait(self, backend: int = 0) -> None:
        client = self._clients.get(threading.get_ident())
        if client is None:
            return
        client.backend = backend
        with self._turn:
            client.where = Where.BEFORE
            self._turn.notify_all()
            assert self._turn.wait_for(lambda: client.may_go, LONGEST), "nobody gave the baton on"
            client.may_go = False


class SqlBaton(Baton):
    """Listens to an engine of PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._watcher = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        sa.event.listen(engine, "before_cursor_execute", self._before_statement)
        sa.event.listen(engine, "commit", self._before_commit)

    def close(self) -> None:
        """Listen no more."""
        sa.event.remove(self._engine, "before_cursor_execute", self._before_statement)
        sa.event.remove(self._engine, "commit", self._before_commit)
        self._watcher.close()

    def _lacks_lock(self, client: Client) -> bool:
        blockers = sa.func.cardinality(sa.func.pg_blocking_pids(client.backend))
        return bool(self._watcher.execute(sa.select(blockers)).scalar())

    def _before_statement(self, conn: Connection, *_: Any) -> None:
        driver: Any = conn.connection.driver_connection
        self._wait(driver.info.backend_pid)

    def _before_commit(self, conn: Connection) -> None:
        if "isolation_level" not in conn.get_execution_options():  # else it only reads
            self._before_statement(conn)


class RedisBaton(Baton):
    """Listens to the Redis store's client: a round trip is a step, of one script or of several that are sent together."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client, self._tried = client, client.tried
        client.tried = self._before_trip

    def close(self) -> None:
        """Listen no more."""
        self._client.tried = self._tried

    def _before_trip(self, operation: str, once: Callable[[Any], Any], process: str = "") -> Any:
        self._wait()
        return self._tried(operation, once, process)


def schedules(play: Callable[[tuple[int, ...]], Played], *, preemptions: int, share: int = 1) -> Iterator[Played]:
    """Play every schedule with at most so many preemptions, each once; with `share` one in so many, always the same ones."""
    todo: list[tuple[int, ...]] = [()]
    while todo:
        choices = todo.pop()
        played = play(choices)
        yield played
        used = 0
        for place, decision in enumerate(played.decisions):
            if place >= len(choices):
                made = tuple(each.chosen for each in played.decisions[:place])
                for other in decision.able:
                    allowed = other != decision.chosen and used + decision.preempts(other) <= preemptions
                    if allowed and crc32(bytes((*made, other))) % share == 0:
                        todo.append((*made, other))
            used += decision.preempts(decision.chosen)
