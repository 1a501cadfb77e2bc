"""The life of a run as a whole, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from celery_process.exceptions import RunNotFound, RunPurged
from celery_process.protocol import rules
from celery_process.protocol.model import Retention, RunClaim, RunSpec, RunStatus, SlotEntry, SlotRef, SweepTarget
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.states import Again, By, ItemState, RunAnswer, RunState, SlotEnd, StopReason, WorkList
from celery_process.stores.base import Runs
from celery_process.stores.memory.definitions import MemoryBase
from celery_process.stores.memory.rows import Process, Run, Status
from celery_process.values import from_us


def close_run(process: Process, run: Run, now: datetime) -> bool:
    """Close a run that enlists nothing more and has no open page; return whether this call did."""
    if not run.state.is_open or not rules.walk_over(run.state, run.cursor) or run.pages:
        return False
    run.state, run.reason = rules.closing(run.state, run.reason, run.folded["lost"])
    run.finished_at = run.progress_at = now
    duration = now - run.started_at
    run.stats = rules.finish_stats(run.stats, state=run.state, total_errors=run.total_errors, duration=duration)
    process.aggregate = rules.sum_stats([process.aggregate, run.stats])
    process.purge_due = True
    return True


def fold_if_done(process: Process, run: Run, number: int, now: datetime) -> bool:
    """Fold a page that has nothing open any more, and close the run if it is due; return whether the page was closed."""
    items = run.on_page(run.pages[number])
    if any(item.state.is_open for item in items):
        return False
    del run.pages[number]
    run.folded.update(rules.count_name(item.state, item.outcome) for item in items)
    run.stats = rules.sum_stats(
        [run.stats, *(rules.item_stats(item.state, item.outcome, item.on, item.totals) for item in items)]
    )
    for item in items:
        kept = process.statuses.get(item.name)
        if item.state is not ItemState.REMOVED and (kept is None or kept.epoch <= run.epoch):
            process.statuses[item.name] = Status(item.version, run.epoch, item.status())
        if not rules.kept_after_fold(item.state, item.outcome):
            del run.items[item.name]
    run.progress_at = now
    close_run(process, run, now)
    return True


def _next_generation(same: Sequence[Run]) -> int:
    """Return the generation of a slot that comes after `same`, its runs that are kept: older ones may be purged (I1)."""
    return max((run.generation for run in same), default=-1) + 1


class MemoryRuns(MemoryBase, Runs):
    """See `Runs`."""

    def claim_run(  # noqa: D102
        self, process: str, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str
    ) -> RunClaim:
        with self._lock:
            row, now = self._of(process), self.now()
            mine = next((run for run in row.runs.values() if run.uuid == uuid), None)
            if mine is not None:
                return RunClaim(RunAnswer.ALREADY, mine.status())
            if slot.due_at > now:
                return RunClaim(RunAnswer.NOT_DUE, due_in=slot.due_at - now)
            same = [run for run in row.runs.values() if run.slot == slot.slot]
            entry = row.ledger.get(slot.slot)
            changed = bool(same) and self._changed_since(row, max(same, key=lambda run: run.generation))
            if not rules.takes_slot(
                slot, now, again=again, last_slot=row.last_slot, entry=entry, generations=len(same), changed=changed
            ):
                return RunClaim(RunAnswer.LOST)
            refused = self._refused(row)
            if refused is not None:
                return refused
            self._account(row, slot)
            listed = sum(work.on is WorkList.ACTIVE for work in row.works.values()) if spec.percent is not None else 0
            run = self._start(row, uuid, slot, _next_generation(same), spec, rules.spec_limit(spec, listed), by)
            return RunClaim(RunAnswer.CLAIMED, run.status())

    def _changed_since(self, row: Process, run: Run) -> bool:
        if run.state.is_open:
            return False
        changed_at = row.overrides.changed_at
        return (changed_at is not None and changed_at >= run.started_at) or any(
            from_us(work.version) >= run.started_at for work in row.works.values()
        )

    def _refused(self, row: Process) -> RunClaim | None:
        if row.paused is not None:
            return RunClaim(RunAnswer.PAUSED)
        if row.open_run is not None:
            return RunClaim(RunAnswer.OVERLAPPED, open_run=row.open_run.id)
        return None

    def _start(
        self, row: Process, uuid: str, slot: SlotRef, generation: int, spec: RunSpec, error_limit: int | None, by: str
    ) -> Run:
        now = self.now()
        row.epoch = rules.next_epoch(row.epoch, now)
        row.last_slot = max(row.last_slot or slot.slot, slot.slot)
        run = row.runs[row.epoch] = Run(
            process=row.name,
            epoch=row.epoch,
            uuid=uuid,
            slot=slot.slot,
            generation=generation,
            spec=spec,
            settings_version=row.overrides.version,
            started_at=now,
            listed_before=now,
            error_limit=error_limit,
        )
        entry = row.ledger.get(slot.slot)
        row.ledger[slot.slot] = SlotEntry(
            slot.slot, SlotEnd.RAN, now, By.noted(by, before=entry.by if entry else None), run.id
        )
        return run

    def _account(self, row: Process, slot: SlotRef) -> datetime | None:
        """Enter the slots that nobody took since the last one in the ledger, as one entry; return that last one."""
        last = max((at for at in row.ledger if at < slot.slot), default=None)
        after = rules.missed_before(slot, last, same_rule=row.rule == slot.schedule)
        if after is not None and slot.previous is not None:
            row.ledger[slot.previous] = SlotEntry(slot.previous, SlotEnd.MISSED, self.now(), "", after=after)
        row.rule = slot.schedule or row.rule
        return last

    def redrive(self, process: str, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:  # noqa: D102
        with self._lock:
            row = self._of(process)
            old = row.runs.get(rules.epoch_of(run))
            if old is None or old.id != run:
                raise RunNotFound(
                    f"{process!r} keeps no run {run!r:.80}; `runs()` lists those that it keeps.", process=process, run=run
                )
            mine = next((other for other in row.runs.values() if other.uuid == uuid), None)
            if mine is not None:
                return RunClaim(RunAnswer.ALREADY, mine.status())
            refused = self._refused(row)
            if refused is not None:
                return refused
            chain = (old.epoch, *old.redrives)
            if any(epoch not in row.runs or row.runs[epoch].items_purged for epoch in chain):
                raise RunPurged(
                    f"The items of run {run!r} are no longer kept; start a whole run with `run_now()`.",
                    process=process,
                    run=run,
                )
            same = [other for other in row.runs.values() if other.slot == old.slot]
            slot = SlotRef(old.slot, old.slot)
            listed = sum(work.on is WorkList.ACTIVE for work in row.works.values()) if spec.percent is not None else 0
            new = self._start(row, uuid, slot, _next_generation(same), spec, rules.spec_limit(spec, listed), by)
            new.redrives, new.listed_before = chain, old.listed_before
            return RunClaim(RunAnswer.CLAIMED, new.status())

    def skip_slot(self, process: str, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:  # noqa: D102
        with self._lock:
            row = self._of(process)
            if slot.slot in row.ledger:
                return False
            after = rules.ended_after(slot, self._account(row, slot))
            row.ledger[slot.slot] = SlotEntry(slot.slot, end, self.now(), by, after=after)
            row.purge_due = row.purge_due or rules.ledger_purge_due(len(row.ledger))
            return True

    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:  # noqa: D102
        with self._lock:
            row, now = self._of(process), self.now()
            found = row.runs.get(rules.epoch_of(run))
            if found is None or found.id != run or not found.state.is_open:
                return None
            if found.state is RunState.ACTIVE:
                found.state, found.reason = RunState.ABORTING, reason.value
            self._cancel(row, found, claimed=StopReason.SUPERSEDED in (reason, found.reason))
            close_run(row, found, now)
            return None if found.state.is_open else found.status()

    def _cancel(self, row: Process, run: Run, *, claimed: bool) -> None:
        for page in list(run.pages.values()):
            for item in run.on_page(page):
                if item.state is ItemState.PENDING or (claimed and item.state is ItemState.CLAIMED):
                    item.move(ItemState.CANCELLED)
                    item.free()
            fold_if_done(row, run, page.number, self.now())

    def repairs(self, process: str, run: str) -> Repairs:  # noqa: D102
        with self._lock:
            found = self._run(process, run)
            return found.repairs if found is not None and found.repairs.expired else Repairs()

    def ack_repairs(self, process: str, run: str, number: int) -> None:  # noqa: D102
        with self._lock:
            found = self._run(process, run)
            if found is not None:
                found.repairs = found.repairs.acknowledged(number)

    def ack_finish(self, process: str, run: str) -> bool:  # noqa: D102
        with self._lock:
            found = self._of(process).runs.get(rules.epoch_of(run))
            if found is None or found.id != run or found.state.is_open or found.notified_at is not None:
                return False
            found.notified_at = self.now()
            return True

    def begin_sweep(  # noqa: D102
        self, processes: Sequence[str], *, interval: timedelta, grace: timedelta
    ) -> tuple[SweepTarget, ...]:
        with self._lock:
            now, targets = self.now(), []
            for row in (self._processes[name] for name in processes if name in self._processes):
                if row.swept_at is not None and not rules.passed(row.swept_at, now, interval):
                    continue
                untold = tuple(
                    run.id
                    for run in row.runs.values()
                    if run.notified_at is None and run.finished_at is not None and rules.passed(run.finished_at, now, grace)
                )
                open_run = row.open_run.id if row.open_run else None
                target = SweepTarget(row.name, open_run, untold, row.purge_due, row.swept_at)
                if target.open_run or untold or target.purge_due:
                    row.swept_at = now
                    targets.append(target)
            return tuple(targets)

    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:  # noqa: D102
        with self._lock:
            now, taken = self.now(), dict[str, datetime | None]()
            for row in (self._processes[name] for name in processes if name in self._processes):
                if row.swept_at is None or rules.passed(row.swept_at, now, interval):
                    taken[row.name], row.swept_at = row.swept_at, now
            return taken

    def purge(self, process: str, *, retention: Retention, limit: int) -> int:  # noqa: D102
        with self._lock:
            row, now, deleted = self._of(process), self.now(), 0
            closed = sorted((run for run in row.runs.values() if not run.state.is_open), key=lambda run: -run.epoch)
            redriven = row.open_run.redrives if row.open_run else ()
            for index, run in enumerate(closed):
                if run.epoch in redriven:
                    continue
                if index >= retention.runs:
                    del row.runs[run.epoch]
                    deleted += 1 + len(run.items)
                elif index >= retention.runs_with_items and not run.items_purged:
                    deleted += len(run.items)
                    run.items.clear()
                    run.items_purged = True
            dropped = sorted(
                ((work.listed_at, name) for name, work in row.works.items() if work.on is WorkList.DROPPED), reverse=True
            )
            for index, (listed_at, name) in enumerate(dropped):
                if index >= retention.dropped or now - listed_at >= retention.dropped_for:
                    del row.works[name]
                    row.statuses.pop(name, None)
                    deleted += 1
            for at in sorted(row.ledger, reverse=True)[retention.slots :]:
                del row.ledger[at]
                deleted += 1
            row.purge_due = deleted >= limit
            return deleted
