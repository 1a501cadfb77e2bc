"""The steps of the protocol, run over a content of the store: each is one unit, and whoever calls may die after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from celery_process.exceptions import RunPurged
from celery_process.protocol import begin, exchange, flow, fold, page, purge, register, stop, sweep
from celery_process.protocol.entities import Item, Run, Work
from celery_process.protocol.model import Retention, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.rows import Change
from celery_process.protocol.states import Again, ItemState, Progress, RunAnswer, RunState, StopReason, WorkState
from celery_process.protocol.unit import Unit

from .bounds import Broken
from .driven import Driven, remembered
from .rows import BEGAN, LATER, MINUTE, SECOND, Content, ModelRows, code

DAY = LATER - BEGAN
CANCEL = stop.cancel
"""As it is, while `stop_run` does without it: see `faults`."""
FRESH = "new"
"""The token of a caller of `open_page`; none that is kept is the same."""


class Told(NamedTuple):
    """What a worker reports of an item: the attempt, whether it had an error, and whether it is over."""

    name: str
    attempt: int
    raised: bool
    over: bool


class Steps(Driven):
    """What each step of the protocol makes of a content: the number of the content after it, which may be the same."""

    # Runs begin, stop, and are purged.

    @remembered
    def claim_run(self, content: int) -> int | None:
        """Begin the run of the next slot."""
        epoch = self.kept(content).head.epoch + 1
        at = BEGAN + epoch * MINUTE
        unit = self._unit(content, at)
        spec = RunSpec(work_limit=None, run_limit=self.bounds.limit)
        claim = begin.claim_run(unit, uuid=f"u{epoch}", slot=SlotRef(at, at), spec=spec, again=Again.NEVER, by="beat")
        return self._wrote(content, unit) if claim.answer is RunAnswer.CLAIMED else None

    @remembered
    def redrive(self, content: int, epoch: int) -> int | None:
        """Begin a new generation of a run."""
        new = self.kept(content).head.epoch + 1
        unit = self._unit(content, BEGAN + new * MINUTE)
        spec = RunSpec(work_limit=None, run_limit=self.bounds.limit)
        try:
            claim = begin.redrive(unit, _id(epoch), uuid=f"u{new}", spec=spec, by="")
        except RunPurged:
            return None
        return self._wrote(content, unit) if claim.answer is RunAnswer.CLAIMED else None

    @remembered
    def stop(self, content: int, epoch: int) -> int:
        """Stop a run; where its parts are units of their own, what is pending is cancelled by `cancel`."""
        reason = StopReason.SUPERSEDED if self.bounds.replace else StopReason.CANCELLED
        return self._do(content, stop.stop_run, _id(epoch), reason)[0]

    @remembered
    def go_on_stopping(self, content: int, epoch: int, number: int) -> int:
        """Cancel what is pending and claimed on a page of a run that was superseded."""

        def step(unit: Unit) -> None:
            run, pages = _held(unit, epoch, number)
            CANCEL(unit, run, pages, claimed=True)

        return self._do(content, step)[0]

    @remembered
    def purge(self, content: int, kept: int) -> int:
        """Mark all closed runs but the newest ones as purged."""
        return self._do(content, purge.mark, Retention(runs_with_items=kept))[0]

    @remembered
    def purge_items(self, content: int) -> int:
        """Delete the items of the runs that are marked."""
        epochs = [run.epoch for run in self.kept(content).runs.values() if run.items_purged]
        return self._do(content, lambda unit: purge._items(unit, epochs=epochs, most=purge.CHUNK))[0]

    @remembered
    def set_pause(self, content: int, paused: bool) -> int:
        """Pause the process, or end the pause."""
        return self._do(content, lambda unit: flow.pause(unit, note="", by="") if paused else flow.resume(unit))[0]

    @remembered
    def register(self, content: int, name: str, active: bool, tie: bool) -> int:
        """Put a name on a list, right after the newest run began or, for a tie, in the instant in which it did."""
        epoch, work = self.kept(content).head.epoch, self.kept(content).works[name]
        unit = self._unit(content, BEGAN + epoch * MINUTE + (0 if tie else 1) * SECOND)
        if active:
            register.register(unit, {name: '{"x":1}' if work.params == "{}" else "{}"})
        else:
            register.unregister(unit, [name])
        changes = [Change(change.old, _next_version(work, change.new)) for change in unit.changes()]
        if not changes:
            return content
        since = {**dict(self.contents[content].since), name: epoch + 1}
        return self._write(content, changes, tuple(sorted(since.items())))

    # Pages.

    @remembered
    def open_page(self, content: int, epoch: int) -> int:
        """Ask for a page."""
        bounds = self.bounds
        asked = {"token": FRESH, "size": bounds.page, "window": bounds.window, "rate": None}
        return self._do(content, lambda unit: page.open_page(unit, _id(epoch), **asked))[0]

    @remembered
    def fold(self, content: int, epoch: int, number: int) -> tuple[int, bool]:
        """Fold a page, if nothing of it is open; return whether it was."""

        def step(unit: Unit) -> bool:
            run, _ = _held(unit, epoch, number)
            return fold.fold_if_done(unit, run, [number])

        return self._do(content, step)

    # The sweep.

    @remembered
    def expire(self, content: int, epoch: int, name: str) -> int:
        """Let a lease run out, and the sweep find it."""

        def step(unit: Unit) -> None:
            run, _ = _held(unit, epoch)
            sweep._expire(unit, run, list(unit.items(run, [name]).values()), DAY, self.bounds.attempts)

        return self._do(content, step, expired=(epoch, [name]))[0]

    @remembered
    def cancel(self, content: int, epoch: int, number: int) -> int:
        """Let the sweep cancel what is pending on a page of a run that is ABORTING."""

        def step(unit: Unit) -> None:
            run, pages = _held(unit, epoch, number)
            sweep._expire(unit, run, unit.items_on(run, pages), DAY, self.bounds.attempts)

        return self._do(content, step)[0]

    @remembered
    def sweep(self, content: int, epoch: int, names: tuple[str, ...]) -> int:
        """Let leases run out, and sweep the run, all in one unit."""
        spans = {"lease": DAY, "redispatch_after": DAY, "grace": DAY}

        def step(unit: Unit) -> None:
            sweep.sweep_run(unit, _id(epoch), **spans, max_attempts=self.bounds.attempts, limit=100)

        return self._do(content, step, expired=(epoch, names))[0]

    # Workers.

    @remembered
    def claim(self, content: int, epoch: int, names: tuple[str, ...], token: str) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Decide on a claim: return the content if it is written at once, and each item that it changes, as two numbers."""
        unit = self._unit(content, expired=(epoch, names) if self.bounds.takeover else None)
        exchange.claim(unit, _id(epoch), names, token=token, lease=DAY, max_attempts=self.bounds.attempts)
        had, number = {self.table.keys[row]: row for row in self.contents[content].rows}, self.table.number
        items = [change for change in unit.changes() if isinstance(change.new, Item)]
        seen = ((had[code(change.new)[:2]], number(change.new)) for change in items if change.new)
        changed = tuple(sorted((old, new) for old, new in seen if old != new))
        return self._wrote(content, unit) if self.bounds.whole else content, changed

    @remembered
    def land(self, content: int, seen: tuple[tuple[int, int], ...]) -> int | None:
        """Write a claim, unless an item is not as it was when the claim was decided on."""
        if not {old for old, _ in seen}.issubset(self.contents[content].rows):
            return None
        rows = self.table.rows
        return self._write(content, [Change(rows[old], rows[new]) for old, new in seen])

    @remembered
    def report(self, content: int, epoch: int, token: str, told: tuple[Told, ...]) -> tuple[int, tuple[Progress, ...]]:
        """Report outcomes, or an error at once."""
        unit = self._unit(content)
        reported = exchange.report(unit, _id(epoch), [_report(each) for each in told], token=token, lease=DAY)
        self._judge_report(content, epoch, token, told, unit.changes())
        return self._wrote(content, unit), tuple(answer.progress for answer in reported.items)

    def _judge_report(self, content: int, epoch: int, token: str, told: Sequence[Told], changes: Sequence[Change]) -> None:
        counted = 0
        for change in changes:
            if isinstance(change.old, Item) and isinstance(change.row, Item) and change.old.state.is_open:
                if (change.old.epoch, change.old.token) != (epoch, token):
                    raise Broken("I6: an item was written by another token")
                counted += change.row.error_count - change.old.error_count
        items = [(each, self.item(content, epoch, each.name)) for each in told]
        mine = [(each, item) for each, item in items if item and item.token == token and item.state.is_open]
        if counted != sum(each.raised and not item.totals.error_count for each, item in mine):
            raise Broken("I8: an error was counted twice, or not")

    @remembered
    def release(self, content: int, epoch: int, names: tuple[str, ...], token: str, stale: bool) -> int:
        """Release items; `stale`: of a run that is read as ACTIVE and is ABORTING since."""
        kept = self._read(content)
        if stale:
            kept.runs[epoch] = replace(kept.runs[epoch], state=RunState.ACTIVE)
        unit = Unit(ModelRows("p", kept, self._now(content)))
        exchange.release(unit, _id(epoch), names, token=token)
        return self._wrote(content, unit)

    @remembered
    def void(self, content: int, token: str, epoch: int, names: tuple[str, ...]) -> int:
        """Forget a token that nobody will show again, so that contents that nobody can tell apart are one."""
        was, rows = self.contents[content], []
        for number in was.rows:
            row = self.table.rows[number]
            if isinstance(row, Item) and row.token == token and _voided(row, epoch, names):
                number = self.table.number(replace(row, token=""))
            rows.append(number)
        gone = tuple(
            (key, left._replace(token="") if left.token == token and (not names or key[1] in names) else left)
            for key, left in was.gone
        )
        return self._number(Content(tuple(sorted(rows)), gone, was.since))


def _id(epoch: int) -> str:
    return f"{epoch}-u{epoch}"


def _held(unit: Unit, epoch: int, *numbers: int) -> tuple[Run, list[Any]]:
    run = unit.run(_id(epoch), held=True)
    assert run is not None
    return run, [page for page in unit.pages(run) if page.number in numbers]


def _report(told: Told) -> ItemReport:
    outcome = (WorkState.INCOMPLETE if told.raised else WorkState.COMPLETED) if told.over else None
    totals = Totals(error_count=int(told.raised))
    return ItemReport(told.name, 2 if told.over else 1, totals, 0, 0, outcome=outcome, attempt=told.attempt)


def _next_version(work: Work, new: Any) -> Any:
    """Return a registration with its version as a count, which the protocol compares for being the same alone."""
    assert new.version > work.version
    return replace(new, version=work.version + 1)


def _voided(item: Item, epoch: int, names: tuple[str, ...]) -> bool:
    return not names or (item.epoch == epoch and item.name in names and item.state is not ItemState.CLAIMED)
