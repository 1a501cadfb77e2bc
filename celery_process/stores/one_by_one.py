"""The operations over many processes, one process after another: for a store that keeps few, or keeps each by itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from celery_process.protocol import read, sweep
from celery_process.protocol.model import NewestSlot, SweepTarget
from celery_process.stores.base import Store


class OneByOne(Store):
    """A store whose only other duty is to say which processes it knows."""

    @abstractmethod
    def processes(self) -> Collection[str]:
        """Return the names of the processes of which a row is stored."""

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        step = partial(sweep.begin_sweep, interval=interval, grace=grace)
        targets = (self._do("begin_sweep", name, step) for name in self._known(processes))
        return tuple(target for target in targets if target is not None)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        turns = ((name, self._do("take_turns", name, sweep.take_turn, interval)) for name in self._known(processes))
        return {name: turn.last for name, turn in turns if turn is not None}

    def schedules(self) -> Mapping[str, str]:  # noqa: D102
        texts = {name: self.overrides(name).schedule for name in self.processes()}
        return {name: text for name, text in texts.items() if text is not None}

    def running(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(sorted(name for name in self.processes() if self._do("running", name, read.is_running)))

    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:  # noqa: D102
        slots = {name: self._do("newest_slots", name, read.newest_slot) for name in self._known(processes)}
        return {name: slot for name, slot in slots.items() if slot is not None}

    def _known(self, processes: Collection[str]) -> list[str]:
        known = set(self.processes())
        return [name for name in processes if name in known]
