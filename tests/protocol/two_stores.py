"""A store and the memory store, given the same calls under one clock, with what the answers make expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar
from uuid import uuid4

from celery_process.protocol.model import RunClaim
from celery_process.protocol.rules import spec_limit
from celery_process.protocol.states import RunAnswer, WorkList
from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock
from celery_process.testing.invariants import Invariants, ensure

from .compare import Call, Comparison
from .expected import Expected, Holder

NAMES = ["a", "A", "b", "é", "z", "\U0001f600", "ｚ"]


class Bench:
    """Operations on two processes of a store of `make_store` and of a memory store, with all that has to agree after each.

    `reached` counts what they came to: states, answers, and operations.
    """

    make_store: ClassVar[Callable[[MovableClock], Store]]
    reached: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = MovableClock()
        self.both = Comparison(MemoryStore(clock=self.clock), type(self).make_store(self.clock))
        own = f"machine-{uuid4().hex[:12]}"
        self.processes = (f"{own}-p", f"{own}-q")
        self.watched = {process: Invariants(self.both.reference, process) for process in self.processes}
        self.expected = Expected()
        self.runs: list[tuple[str, str]] = []
        self.held: list[Holder] = []
        self.sent: list[Call] = []
        self.touched = self.processes[0]
        self.shown: dict[str, tuple[Any, ...]] = {}
        self.changed = True
        self.without_effect: Call | None = None
        self.fresh: Call | None = None
        self.made = 0

    def teardown(self) -> None:
        """Look at both processes by all ways, and close the store."""
        try:
            for process in self.processes:
                self.look(process)
                run = self.runs[-1][1] if self.runs else "x"
                self.both.read_apart(process, run, NAMES[self.made % len(NAMES)])
        finally:
            self.both.store.close()

    def new_id(self) -> str:
        """Return an id that is the same in each replay."""
        self.made += 1
        return f"id{self.made}"

    def do(self, operation: str, process: Any, *args: Any, **named: Any) -> Any:
        """Ask both stores, and keep what the answer lets expect."""
        self.changed = True
        call = self.fresh = self.both.ask(operation, process, *args, **named)
        self.touched = process if isinstance(process, str) else self.touched
        self.reached[operation] += 1
        self.note(call)
        return call.answer

    def note(self, call: Call) -> None:
        """Keep what follows from a call, whether it came for the first time or was a repeat."""
        answer, token = call.answer, call.named.get("token", "")
        if isinstance(answer, RunClaim):
            self.reached[f"run {answer.answer}"] += 1
            if answer.run is not None and answer.answer is RunAnswer.CLAIMED:
                self.runs.append((call.process, answer.run.id))
                listed = self.both.reference.work_counts(call.process)[WorkList.ACTIVE]
                self.expected.limits[answer.run.id] = spec_limit(call.named["spec"], listed)
        elif call.operation == "claim":
            self.reached.update(f"claim {claim.answer}" for claim in answer)
            self.held += self.expected.claimed(call.process, call.args[0], token, answer)
        elif call.operation == "release":
            self.expected.released(call.process, call.args[0], token, call.args[1])
            self.expected.told(answer.run)
        elif call.operation == "report":
            self.sent.append(call)
            self.reached.update(f"progress {item.progress}" for item in answer.items)
            self.expected.reported(call.process, call.args[0], token, call.args[1], answer.items)
            self.expected.told(answer.run)
        elif call.operation in ("open_page", "sweep_run"):
            self.expected.told(answer.run)
        elif call.operation == "stop_run":
            self.expected.told(answer)
        if call.operation == "open_page":
            self.reached[f"page {answer.answer}"] += 1

    def run_at(self, back: int) -> tuple[str, str]:
        """Return a run that was started, the newest for 0."""
        return self.runs[-1 - back % len(self.runs)]

    def look(self, process: str) -> None:
        """Check a process."""
        shown = self.both.read(process)
        call, self.without_effect = self.without_effect, None
        ensure("repeat", not call or shown == self.shown[process], f"{call} had an effect when it came once more")
        self.shown[process] = shown
        self.changed = False
        self.watched[process].check()
        for run in shown[1]:
            self.expected.check(run)
            self.reached[f"run {run.state}"] += 1
            self.reached.update(f"item {field.name}" for field in fields(run.counts) if getattr(run.counts, field.name))
