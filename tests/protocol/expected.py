"""What is expected of runs: the sums of what holders of claims were answered, kept beside the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery_process.protocol.model import ErrorEntry, ItemClaim, RunStatus
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import ClaimAnswer, Progress, RunState, WorkState
from celery_process.testing.invariants import ensure


@dataclass(eq=False)
class Holder:
    """A claim on one item, and what its attempt counted. `taken` is the highest sequence that the store accepted."""

    process: str
    run: str
    token: str
    claim: ItemClaim
    sequence: int = 0
    x: int | float = 0
    y: int = 0
    errors: int = 0
    run_errors: int = 0
    taken: int = 0
    taken_errors: int = 0
    ended: bool = False
    released: bool = False

    def next(self, at: datetime, outcome: WorkState | None, *, errors: int, run_errors: int, x: float) -> ItemReport:
        """Add to the totals, and return the report of them."""
        self.sequence += 1
        self.errors, self.run_errors = self.errors + errors, self.run_errors + run_errors
        self.x, self.y = self.x + x, self.y + 1
        name = self.claim.name
        totals = Totals(
            {"x": self.x},
            {"y": self.y},
            tuple(ErrorEntry(f"error {index}", at, name) for index in range(min(self.errors, 10))),
            self.errors,
            tuple(ErrorEntry(f"run error {index}", at) for index in range(min(self.run_errors, 25))),
            self.run_errors,
        )
        return ItemReport(
            name, self.sequence, totals, self.claim.params_version, self.claim.settings_version, outcome, self.claim.attempt
        )


@dataclass
class Expected:
    """What a store has to show by what it answered."""

    holders: dict[tuple[str, str, str, str], Holder] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    stats: dict[str, Counter[str]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def claimed(self, process: str, run: str, token: str, answers: Sequence[ItemClaim]) -> list[Holder]:
        """Note the answers to a claim; return the holders that are new."""
        new = []
        for claim in answers:
            if claim.answer is not ClaimAnswer.CLAIMED:
                continue
            key = (process, run, claim.name, token)
            known = self.holders.get(key)
            if known is None or known.released or known.claim.attempt != claim.attempt:
                self.holders[key] = Holder(process, run, token, claim)
                new.append(self.holders[key])
        return new

    def released(self, process: str, run: str, token: str, names: Sequence[str]) -> None:
        """Note that items were released."""
        for name in names:
            holder = self.holders.get((process, run, name, token))
            if holder is not None:
                holder.released = True

    def took(self, process: str, run: str, token: str, reports: Sequence[ItemReport]) -> bool:
        """Whether the store accepted these reports, or newer ones of the same holders, before."""
        known = [(self.holders.get((process, run, report.name, token)), report.sequence) for report in reports]
        return all(holder is not None and sequence <= holder.taken for holder, sequence in known)

    def reported(self, process: str, run: str, token: str, reports: Sequence[ItemReport], answers: Sequence[Any]) -> None:
        """Note the answers to reports."""
        for report, answer in zip(reports, answers, strict=True):
            holder = self.holders.get((process, run, report.name, token))
            if holder is None or holder.ended or holder.released or answer.progress is Progress.CONFLICT:
                continue
            if report.sequence <= holder.taken:
                continue
            totals = report.totals
            errors = totals.error_count + totals.run_error_count
            self.errors[run] += errors - holder.taken_errors
            holder.taken, holder.taken_errors = report.sequence, errors
            if report.outcome is not None:
                ensure("I15", answer.progress is Progress.COMPLETED, f"the end of {report.name!r} was answered {answer}")
                holder.ended = True
                self.ended[run] += 1
                self.stats.setdefault(run, Counter()).update({"work.x": totals.stats["x"], "y": totals.run_stats["y"]})

    def told(self, run: RunStatus | None) -> None:
        """Note that a call returned the run that it closed: one call does (I4)."""
        if run is not None:
            ensure("I4", run.id not in self.closed, f"two calls closed run {run.id}")
            ensure("I3", not run.state.is_open, f"a call was given run {run.id} as closed: {run.state}")
            self.closed.add(run.id)

    def check(self, run: RunStatus) -> None:
        """Compare a run with what is expected (I5, I8, I15)."""
        counts, stats = run.counts, self.stats.get(run.id, Counter())
        done = counts.completed + counts.incomplete + counts.aborted
        ensure("I15", done == self.ended[run.id], f"run {run.id} ended {done} items, {self.ended[run.id]} were told so")
        for name in ("work.x", "y"):
            shown, counted = run.stats.get(name, 0), stats.get(name, 0)
            ensure("I5", shown == counted, f"run {run.id} counts {shown} of {name}, its holders {counted}")
        errors = self.errors[run.id] + counts.lost
        ensure("I8", run.total_errors == errors, f"run {run.id} counts {run.total_errors} errors, its holders {errors}")
        limit = self.limits.get(run.id)
        if limit is not None and run.state is RunState.ACTIVE:
            ensure("I8", run.total_errors <= limit, f"run {run.id} goes on with {run.total_errors} errors of {limit}")
