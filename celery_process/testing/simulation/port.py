"""The engine's port in a simulated world: its broker loses messages, its recorder keeps events, its hosts die."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from celery_process.engine.port import Port
from celery_process.protocol.states import Event, WorkList
from celery_process.schedule.frequency import Frequency
from celery_process.testing.simulation.virtual_time import Killed, present

if TYPE_CHECKING:
    from celery_process.testing.simulation.world import World


class SimulatedPort(Port):
    """The port of the simulated process; `schedule` is in force as long as the store can be read."""

    def __init__(self, world: World, process: str, schedule: Frequency) -> None:
        self._world, self._process, self._schedule = world, process, schedule

    def current(self) -> Frequency | None:
        """Return the schedule; reads the store as the library does, for what goes wrong in that."""
        return self._schedule if self._world.network.store.overrides(self._process) else None

    def send(self, on: WorkList, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        """Publish items through the broker."""
        world = self._world
        size = 1 if single else next(iter(world.runners.values())).batch_size
        world.broker.send_items(names, on=on, run_id=run_id, size=size, run=world.work)

    def come_back(self, run_id: str, token: str, due_in: timedelta) -> None:
        """Send the message that opens the next page of a run, a little early or late by the worker's clock."""
        world = self._world
        world.counted["page later"] += 1
        wrong = world.random.choice([-0.7, -0.01, 0.0, 0.0, 0.3])
        advance = partial(world.dispatch.advance, run_id, token)
        again = partial(world.broker.send, "next page", lambda _: world.attempt(advance))
        world.time.call(max(due_in.total_seconds() + wrong, 0.0), again)

    def emit(self, event: Event, **payload: Any) -> None:
        """Record an event."""
        self._world.recorder.emitted(event, **payload)

    def stopping(self) -> bool:
        """Whether the calling worker was asked to shut down."""
        host = present().host
        return host is not None and host.leaving

    def ends_worker(self, error: BaseException) -> bool:
        """Whether an exception is the death of a worker."""
        return isinstance(error, Killed | KeyboardInterrupt)
