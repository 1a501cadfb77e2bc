"""Breadth first through all states: the shortest way to a broken invariant, and every state that leads to no end."""

from __future__ import annotations

import gc
import time
from array import array
from dataclasses import dataclass

from .invariants import broken_state, broken_step
from .protocol import Bounds, Broken, first_works, unborn_run
from .states import FREE, Left, State, is_open
from .steps import HELPFUL, steps


@dataclass(frozen=True)
class Verdict:
    """What a configuration showed: `problem` is empty if it is safe and live, and `way` leads to it."""

    states: int
    problem: str
    way: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"{self.states:,} states in {self.seconds:.1f} s: {self.problem or 'safe and live'}" + "".join(
            f"\n    {step}" for step in self.way
        )


class Explorer:
    """The states of one configuration, in the order in which they were met."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        size = len(bounds.names)
        left = Left(bounds.registrations, bounds.stops, bounds.pauses)
        runs, workers = (unborn_run(size),) * bounds.runs, (FREE,) * bounds.workers
        first = State(first_works(bounds.names), runs, workers, left, False, False)
        self._place = {first: 0}
        self._order = [first]
        self._before = array("i", [-1])
        self._named = [""]
        self._from, self._to = array("i"), array("i")

    def explore(self) -> Verdict:
        """Go on until an invariant breaks or nothing new is left; then look for states without a way out."""
        began, collecting = time.monotonic(), gc.isenabled()
        gc.disable()  # nothing here is a cycle, and a million tuples take long to look through
        try:
            problem, way = self._break() or self._stuck() or ("", ())
        finally:
            if collecting:
                gc.enable()
        return Verdict(len(self._order), problem, way, time.monotonic() - began)

    def _break(self) -> tuple[str, tuple[str, ...]] | None:
        bounds, place, order = self._bounds, self._place, self._order
        for number, state in enumerate(order):  # grows as it goes
            try:
                for name, after in steps(state, bounds):
                    known = place.get(after)
                    if known is None:
                        known = place[after] = len(order)
                        order.append(after)
                        self._before.append(number)
                        self._named.append(name)
                        problem = broken_state(after, bounds)
                    else:
                        problem = None
                    problem = problem or (broken_step(state, after) if after is not state else None)
                    if problem:
                        return problem, (*self._way(number), name)
                    if name.startswith(HELPFUL):
                        self._from.append(number)
                        self._to.append(known)
            except Broken as broken:
                return str(broken), self._way(number)
        return None

    def _stuck(self) -> tuple[str, tuple[str, ...]] | None:
        """Go backwards from the states without an open run, along the steps that may be relied on."""
        size = len(self._order)
        first = array("i", bytes(4 * (size + 1)))
        for target in self._to:
            first[target + 1] += 1
        for number in range(size):
            first[number + 1] += first[number]
        fill, sources = array("i", first), array("i", bytes(4 * len(self._to)))
        for source, target in zip(self._from, self._to, strict=True):
            sources[fill[target]] = source
            fill[target] += 1
        reached = bytearray(not any(is_open(run) for run in state.runs) for state in self._order)
        todo = [number for number in range(size) if reached[number]]
        while todo:
            number = todo.pop()
            for source in sources[first[number] : first[number + 1]]:
                if not reached[source]:
                    reached[source] = True
                    todo.append(source)
        stuck = size - sum(reached)
        if not stuck:
            return None
        return f"I14: {stuck:,} states lead to no end", self._way(reached.index(0))

    def _way(self, number: int) -> tuple[str, ...]:
        names = []
        while number > 0:
            names.append(self._named[number])
            number = self._before[number]
        return tuple(reversed(names))


def explore(bounds: Bounds) -> Verdict:
    """Return what all states of a configuration show."""
    return Explorer(bounds).explore()
