"""Breadth first through all states: the shortest way to a broken invariant, and every state that leads to no end."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from .bounds import Bounds, Broken
from .faults import planted
from .hands import Hands
from .protocol import Steps
from .states import FREE, Outside, Worker
from .steps import HELPFUL, outside_steps

State = tuple[int, ...]
"""The number of the content, that of what may still come from outside, and that of each worker."""
Step = tuple[str, bool, int, int]
"""What happens, whether it may be relied on, the content after it, and the number of the worker or of the outside."""


@dataclass(frozen=True)
class Verdict:
    """What a configuration showed: `problem` is empty if it is safe and live, and `way` leads to it."""

    states: int
    contents: int
    problem: str
    way: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        counts = f"{self.states:,} states, {self.contents:,} contents of the store, in {self.seconds:.1f} s"
        return f"{counts}: {self.problem or 'safe and live'}" + "".join(f"\n    {step}" for step in self.way)


class Explorer:
    """The states of one configuration, in the order in which they were met."""

    def __init__(self, bounds: Bounds) -> None:
        self._driven = Steps(bounds)
        self._hands = [Hands(self._driven, place) for place in range(bounds.workers)]
        self._workers: dict[Worker, int] = {FREE: 0}
        self._outside: dict[Outside, int] = {Outside(bounds.registrations, bounds.stops, bounds.pauses): 0}
        self._in_hands: list[Worker] = [FREE]
        self._still: list[Outside] = list(self._outside)
        self._steps: list[dict[tuple[int, int], list[Step]]] = [{} for _ in range(bounds.workers + 1)]
        first = (self._driven.first(), 0, *(0 for _ in self._hands))
        self._place = {first: 0}
        self._order: list[State] = [first]
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
        return Verdict(len(self._order), len(self._driven.contents), problem, way, time.monotonic() - began)

    def _break(self) -> tuple[str, tuple[str, ...]] | None:
        place, order, problems = self._place, self._order, self._driven.problems
        for number, state in enumerate(order):  # grows as it goes
            try:
                for name, helpful, after in self._after(state):
                    known = place.get(after)
                    if known is None:
                        known = place[after] = len(order)
                        order.append(after)
                        self._before.append(number)
                        self._named.append(name)
                        problem = problems[after[0]]
                        if problem:
                            return problem, self._way(known)
                    if helpful:
                        self._from.append(number)
                        self._to.append(known)
            except Broken as broken:
                return str(broken), self._way(number)
        return None

    def _after(self, state: State) -> Iterator[tuple[str, bool, State]]:
        """Return every step that may come next, with the state that it leads to."""
        content, rest = state[0], state[1:]
        for part, (steps, number) in enumerate(zip(self._steps, rest, strict=True)):
            found = steps.get((content, number))
            if found is None:
                found = steps[content, number] = self._part(part, content, number)
            for name, helpful, after, of_part in found:
                yield name, helpful, (after, *rest[:part], of_part, *rest[part + 1 :])

    def _part(self, part: int, content: int, number: int) -> list[Step]:
        """Return the steps of the outside or of one worker, which do not depend on the others' hands."""
        found: list[Step] = []
        if part == 0:
            for name, after, outside in outside_steps(self._driven, content, self._still[number]):
                of_part = self._outside.setdefault(outside, len(self._still))
                if of_part == len(self._still):
                    self._still.append(outside)
                found.append((name, name.startswith(HELPFUL), after, of_part))
        else:
            for name, after, worker in self._hands[part - 1].steps(content, self._in_hands[number]):
                of_part = self._workers.setdefault(worker, len(self._in_hands))
                if of_part == len(self._in_hands):
                    self._in_hands.append(worker)
                found.append((name, name.startswith(HELPFUL), after, of_part))
        return [step for step in found if step[2:] != (content, number)]

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
        reached = bytearray(self._driven.ended[state[0]] for state in self._order)
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
    with planted(bounds):
        return Explorer(bounds).explore()
