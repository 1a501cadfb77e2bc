"""Many threads of which one runs at a time, under a virtual clock: a thread that sleeps lets the next one due run.

Library code runs here unchanged, each actor on its own thread, and switches only where it sleeps: so the same seed gives
the same history. Must not read the host's clock, and must not know what the actors do.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_here = threading.local()


class Killed(BaseException):
    """Raised in an actor whose host died; it never does anything any more."""


@dataclass(eq=False)
class Host:
    """What actors run on. A dead host stays dead; a stopped one continues at `stopped_until`.

    A leaving host finishes its present work and begins none.
    """

    name: str
    dead: bool = False
    leaving: bool = False
    stopped_until: float = 0.0
    busy: int = 0


class Actor:
    """A stack of its own, on a thread that is used again when the actor is done."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.turn = threading.Lock()
        self.turn.acquire()
        self.name = ""
        self.host: Host | None = None
        self.act: Callable[[], object] | None = None
        self.held: list[Any] = []
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def killed(self) -> bool:
        """Whether its host died."""
        return self.host is not None and self.host.dead

    def _run(self) -> None:
        _here.actor = self
        while True:
            self.turn.acquire()
            if self.act is None:
                return
            try:
                if not self.killed:
                    self.act()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - whatever it is, the simulation reports it
                self.time.fail(error)
            self.time.done(self)


def present() -> Actor:
    """Return the actor that calls this."""
    actor = getattr(_here, "actor", None)
    if actor is None:
        raise RuntimeError("This is no simulation; call it from a handler that `simulate` runs.")
    assert isinstance(actor, Actor)
    return actor


class VirtualTime:
    """The clock and the queue. `run` lets the actors run, and returns when none is due any more or `until` is true."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Actor | None = None
        self.failure: BaseException | None = None
        self._queue: list[tuple[float, int, Actor | Callable[[], object]]] = []
        self._number = 0
        self._idle: list[Actor] = []
        self._living = 0
        self._main = threading.Lock()
        self._main.acquire()
        self._until: Callable[[], bool] = bool

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self.now

    def fail(self, error: BaseException) -> None:
        """Note what went wrong; the first counts, and ends the run."""
        self.failure = self.failure or error

    def call(self, after: float, act: Callable[[], object]) -> None:
        """Call `act`, which must not sleep, after some seconds."""
        self._push(after, act)

    def spawn(self, name: str, act: Callable[[], object], *, host: Host | None = None, after: float = 0.0) -> None:
        """Start an actor after some seconds."""
        actor = self._idle.pop() if self._idle else Actor(self)
        actor.name, actor.act, actor.host = name, act, host
        self._living += 1
        self._push(after, actor)

    def sleep(self, seconds: float, /) -> None:
        """Let the present actor wait; others run meanwhile."""
        actor = self.current
        if actor is None:
            raise RuntimeError("Only an actor of the simulation can sleep in it.")
        if actor.killed or self.failure is not None:
            raise Killed
        self._push(seconds, actor)
        target = self._next()
        if target is not actor:
            self._release(target)
            actor.turn.acquire()
        self.current = actor
        if actor.killed or self.failure is not None:
            raise Killed

    def done(self, actor: Actor) -> None:
        """Let the next actor run, for good."""
        self._living -= 1
        self._idle.append(actor)
        self._release(self._next())

    def run(self, until: Callable[[], bool]) -> None:
        """Run until no actor is due or `until` is true; raise the first failure."""
        self._until = until
        target = self._next()
        if target is not None:
            self._release(target)
            self._main.acquire()
        self.current = None
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """End all actors: those that sleep are killed."""
        self.fail(Killed())
        for _, _, entry in self._queue:
            if isinstance(entry, Actor):
                entry.host = Host("gone", dead=True)
        self._queue = [entry for entry in self._queue if isinstance(entry[2], Actor)]
        heapq.heapify(self._queue)
        failure, self.failure = self.failure, None
        while self._queue:
            _, _, entry = heapq.heappop(self._queue)
            assert isinstance(entry, Actor)
            self._until = lambda: True
            self._release(entry)
            self._main.acquire()
        self.failure = failure
        for actor in self._idle:
            actor.act = None
            actor.turn.release()

    def _push(self, after: float, entry: Actor | Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + after, self._number, entry))

    def _next(self) -> Actor | None:
        """Return the actor that runs next; None is the caller of `run`."""
        while self._queue and self.failure is None and not self._until():
            at, _, entry = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            if isinstance(entry, Actor):
                host = entry.host
                if host is None or host.dead or host.stopped_until <= self.now:
                    return entry
                self._push(host.stopped_until - self.now, entry)
                continue
            self.current = None
            try:
                entry()
            except BaseException as error:  # noqa: BLE001 - whatever it is, `run` raises it
                self.fail(error)
        return None

    def _release(self, target: Actor | None) -> None:
        self.current = target
        (self._main if target is None else target.turn).release()
