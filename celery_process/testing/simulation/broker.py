"""A broker that loses, repeats, holds back and reorders messages, and the workers that it delivers them to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from celery_process.protocol.states import WorkList
from celery_process.testing.simulation.faults import Faults
from celery_process.testing.simulation.virtual_time import Host, VirtualTime

Deliver = Callable[[Host], object]


class Broker:
    """`hosts` are the workers; a message goes to one that lives and has a slot free, or waits for it."""

    def __init__(self, time: VirtualTime, random: Random, faults: Faults, *, slots: int = 2) -> None:
        self.time, self.random, self.faults, self.slots = time, random, faults, slots
        self.hosts: list[Host] = []
        self.counted: Counter[str] = Counter()
        self.waiting = 0

    def send_items(
        self,
        names: tuple[str, ...],
        *,
        on: WorkList,
        run_id: str,
        size: int,
        run: Callable[[str, tuple[str, ...], Host], object],
    ) -> None:
        """Publish items, `size` a message; may fail half-way."""
        batches = [names[start : start + size] for start in range(0, len(names), size)]
        for batch in batches:
            if self.random.random() < self.faults.unsent:
                self.counted["broker down"] += 1
                raise ConnectionError("The simulated broker is out of reach.")
            self.send(f"{on} {run_id} {','.join(batch)}", partial(run, run_id, batch))

    def send(self, name: str, deliver: Deliver) -> None:
        """Publish one message."""
        roll, copies = self.random.random, 1
        if roll() < self.faults.drop:
            self.counted["message lost"] += 1
            return
        if roll() < self.faults.duplicate:
            copies = self.random.randint(2, 5)
            self.counted["message repeated"] += copies - 1
        for _ in range(copies):
            delay = roll() * 0.5
            if roll() < self.faults.delay:
                self.counted["message delayed"] += 1
                delay = self.random.choice([3.0, 20.0, 90.0, 900.0])
            self.waiting += 1
            self.time.call(delay, lambda: self._deliver(name, deliver))

    def _deliver(self, name: str, deliver: Deliver) -> None:
        free = [host for host in self.hosts if not host.dead and not host.leaving and host.busy < self.slots]
        if not free:
            self.time.call(0.5 + self.random.random(), lambda: self._deliver(name, deliver))
            return
        self.waiting -= 1
        host = self.random.choice(free)
        host.busy += 1
        self.counted["delivery"] += 1
        self.time.spawn(name, lambda: self._work(name, deliver, host), host=host)

    def _work(self, name: str, deliver: Deliver, host: Host) -> None:
        try:
            deliver(host)
        finally:
            host.busy -= 1
            if host.dead and self.random.random() < self.faults.duplicate:  # late acknowledgement: it comes again
                self.counted["message redelivered"] += 1
                self.waiting += 1
                self.time.call(30.0, lambda: self._deliver(name, deliver))
