"""The recorder: what handlers did and what the store answered, kept apart from both.

Handlers are recorded through the verbs of `Work`; store answers before the simulated network may lose them.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery_process.exceptions import ProcessError
from celery_process.protocol.limits import Limits, page_size
from celery_process.protocol.model import ItemClaim, Page, RunClaim, SlotRef, Swept
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import ClaimAnswer, Event, PageAnswer, Progress, RunAnswer, RunState, WorkList, WorkState
from celery_process.protocol.stats import Number, add_stats
from celery_process.stores.base import Store
from celery_process.testing.invariants import Invariants, ensure
from celery_process.testing.simulation.virtual_time import Killed, VirtualTime

Key = tuple[str, str, int]
"""A run, an item, and the attempt of it."""


@dataclass
class Execution:
    """One call of a handler, and what it counted; `how` it ended is empty while it runs, and for ever if it was killed."""

    run: str
    name: str
    attempt: int
    started: float
    ended: float | None = None
    how: str = ""
    stats: dict[str, Number] = field(default_factory=dict)
    run_stats: dict[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an item as the store took it."""

    token: str
    attempt: int
    outcome: WorkState
    totals: Totals
    at: float


@dataclass
class Recorder:
    """See the module. `every`: the invariants are checked after so many writes."""

    store: Store
    process: str
    time: VirtualTime
    every: int
    steps: int = 0
    executions: dict[Key, Execution] = field(default_factory=dict)
    finishes: dict[tuple[str, str], Finish] = field(default_factory=dict)
    holders: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Items that were removed, lost, or released by their last holder, and that no caller claimed since."""
    told: Counter[str] = field(default_factory=Counter)
    told_lost: set[tuple[str, str]] = field(default_factory=set)
    sent_errors: dict[tuple[str, str, str], int] = field(default_factory=dict)
    lists: dict[str, WorkList] = field(default_factory=dict)
    frozen: dict[str, dict[str, WorkList]] = field(default_factory=dict)
    entered: dict[datetime, float] = field(default_factory=dict)
    """When a slot first entered the ledger; an entry has only its last run."""
    rate: float | None = None
    """The code's rate; `limits` are the stored ones."""
    limits: Limits = Limits()
    pages: set[str] = field(default_factory=set)
    """The tokens of pages that were opened."""
    allowed: tuple[float, float] = (math.inf, 0.0)
    """How many items could go out under the rate at some time; infinite after a change of the rate or of the clock."""
    settings: tuple[str | None, int] = (None, 0)
    refused: int = 0
    events: deque[tuple[float, str, str, Any, Any]] = field(default_factory=lambda: deque(maxlen=5_000))

    def __post_init__(self) -> None:
        self.invariants = Invariants(self.store, self.process)

    def step(self, what: str, detail: Any = "", answer: Any = "") -> None:
        """Count a step, and keep it for the report."""
        self.steps += 1
        actor = self.time.current
        self.events.append((self.time.now, actor.name if actor is not None else "-", what, detail, answer))

    def hold(self, invariant: str, holds: object, fact: str) -> None:
        """End the simulation where a fact does not hold: an exception alone would be caught by the library."""
        try:
            ensure(invariant, holds, fact)
        except AssertionError as error:
            self.time.fail(error)
            raise Killed from error

    # -- handlers

    def recorded(self, handler: Callable[[Any], object]) -> Callable[[Any], object]:
        """Return the handler with a record of each call of it."""

        def record(work: Any) -> object:
            key = (work.run.id, work.name, work.attempt)
            self.hold("I3", key not in self.executions, f"attempt {key} is worked twice")
            done = self.executions[key] = Execution(*key, started=self.time.now)
            self._listen(work, work.add_stats, done.stats, "add_stats")
            self._listen(work.run, work.run.add_stats, done.run_stats, "add_stats")
            self.step("handler", key)
            try:
                result = handler(work)
            except Killed:
                raise
            except BaseException as error:
                done.ended, done.how = self.time.now, type(error).__name__
                raise
            done.ended, done.how = self.time.now, "returned"
            return result

        return record

    @staticmethod
    def _listen(owner: Any, verb: Callable[..., None], kept: dict[str, Number], name: str) -> None:
        def heard(stat: str, count: Number = 1) -> None:
            verb(stat, count)
            add_stats(kept, {stat: count})

        setattr(owner, name, heard)

    def emitted(self, event: Event, **payload: Any) -> None:
        """Take an event of the library."""
        self.step(event.value, payload.get("work") or payload.get("slot") or "")
        if event is Event.RUN_FINISHED:
            run = payload["run"]
            self.hold("I7", self.store.run(self.process, run.id) == run, f"the end of {run.id} was told other than it is")
            self.told[run.id] += 1
        elif event is Event.WORK_LOST:
            self.told_lost.add((payload["run_id"], payload["work"]))

    # -- the store

    def committed(self, operation: str, args: tuple[Any, ...], named: dict[str, Any], answer: Any) -> None:
        """Take an answer of the store."""
        self.step(operation, (args[1:], named), answer)
        if isinstance(answer, ProcessError):
            return
        note = getattr(self, f"_note_{operation}", None)
        if note is not None:
            note(*args[1:], answer=answer, **named)
        if self.every and self.steps % self.every == 0:
            self.invariants.check()

    def _note_register(self, works: dict[str, str], *, answer: Any, **_: Any) -> None:
        del answer
        self._list(list(works), WorkList.ACTIVE)

    def _note_unregister(self, names: list[str], *, answer: Any, **_: Any) -> None:
        del answer
        self._list(names, WorkList.CLEANUP)

    def _list(self, names: list[str], on: WorkList) -> None:
        for name in names:
            self.lists[name] = on
            for frozen in self.frozen.values():  # a name that changes in mid-run may be enlisted or not
                frozen.pop(name, None)

    def _note_update_settings(self, *, settings: str | None, answer: int, **_: Any) -> None:
        self.settings = (settings if settings is not None else self.settings[0], answer)

    def _note_update_limits(self, *, answer: Any, max_in_flight: int | None, rate_limit: str | None, **named: Any) -> None:
        del answer
        changed = self.limits.changed(max_in_flight, rate_limit, reset=named["reset"], at=self.store.now(), by="")
        self.limits, self.allowed = changed or Limits(), (math.inf, 0.0)

    def _note_open_page(self, run: str, *, token: str, answer: Page, **_: Any) -> None:
        if answer.answer is not PageAnswer.OPENED or token in self.pages:
            return
        self.pages.add(token)
        rate = self.limits.over(1, self.rate)[1]
        if rate is None:
            return
        count, (allowed, since) = len(answer.names), self.allowed
        allowed = min(2 * page_size(1_000, rate), allowed + rate * (self.time.now - since))
        ensure("rate", count <= allowed + 1e-3, f"a page of {run} has {count} items, and the rate allowed {allowed:.3f}")
        self.allowed = (allowed - count, self.time.now)

    def _note_skip_slot(self, *, slot: SlotRef, answer: bool, **_: Any) -> None:
        if answer:
            self.entered.setdefault(slot.slot, self.time.now)

    def _note_claim_run(self, *, answer: RunClaim, **_: Any) -> None:
        if answer.answer is RunAnswer.CLAIMED and answer.run is not None:
            self.entered.setdefault(answer.run.slot, self.time.now)
            self.frozen[answer.run.id] = {
                work.name: on
                for on in (WorkList.ACTIVE, WorkList.CLEANUP)
                for work in self.store.works(self.process, on=on, after="", limit=10_000)
                if work.changed_at <= answer.run.started_at  # else the clock went back, and the next run takes it
            }

    def _note_claim(self, run: str, _names: Any, *, answer: tuple[ItemClaim, ...], token: str, **_: Any) -> None:
        for claim in answer:
            if claim.answer is ClaimAnswer.CLAIMED:
                before = self.finishes.get((run, claim.name))
                ensure("I3", before is None, f"{claim.name!r} of {run} ended as {before} and was claimed again")
                if self.holders.get((run, claim.name)) != (token, claim.attempt):
                    state = self.store.run(self.process, run).state
                    ensure("I9", state is RunState.ACTIVE, f"{claim.name!r} was claimed while {run} was {state}")
                self.holders[run, claim.name] = (token, claim.attempt)
                self.taken.discard((run, claim.name))
            elif claim.answer is ClaimAnswer.REMOVED:
                self.taken.add((run, claim.name))

    def _note_release(self, run: str, names: list[str], *, token: str, **_: Any) -> None:
        self.taken |= {(run, name) for name in names if self.holders.get((run, name), ("", 0))[0] == token}

    def _note_sweep_run(self, run: str, *, answer: Swept, **_: Any) -> None:
        self.taken |= {(run, name) for name in answer.repairs.lost}

    def _note_report(self, run: str, reports: list[ItemReport], *, answer: Any, token: str, **_: Any) -> None:
        for report, item in zip(reports, answer.items, strict=True):
            key, totals = (run, report.name), report.totals
            errors = totals.error_count + totals.run_error_count
            self.sent_errors[(*key, token)] = max(errors, self.sent_errors.get((*key, token), 0))
            if item.progress is Progress.CONFLICT:
                self.refused += 1
                self._check_refused(key, token)
                continue
            holder, attempt = self.holders.get(key, ("", 0))
            ensure("I6", holder == token, f"{report.name!r} of {run} is held by {holder!r}, and {token!r} may write it")
            if item.progress is Progress.COMPLETED and key not in self.finishes:
                ensure("I15", report.outcome is not None, f"{report.name!r} of {run} ended without an outcome")
                assert report.outcome is not None
                self.finishes[key] = Finish(token, attempt, report.outcome, totals, self.time.now)

    def _check_refused(self, key: tuple[str, str], token: str) -> None:
        """Check that an item stays its last holder's until another claim, even after its lease ran out."""
        if self.holders.get(key, ("", 0))[0] == token and key not in self.finishes and key not in self.taken:
            state = self.store.run(self.process, key[0]).state
            ensure("late", state is not RunState.ACTIVE, f"the last holder of {key[1]!r} of {key[0]} was refused")
