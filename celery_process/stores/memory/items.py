"""The life of the items of a run, in memory."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from celery_process.protocol import rules
from celery_process.protocol.kept import MAX_RUN_ERRORS, MAX_WORK_ERRORS
from celery_process.protocol.limits import MAX_LOST, Limits, Pace, page_size
from celery_process.protocol.model import ErrorEntry, ItemClaim, Page, Swept
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported, Totals
from celery_process.protocol.states import (
    ClaimAnswer,
    ItemState,
    PageAnswer,
    Progress,
    RunState,
    StopReason,
    WorkList,
    WorkState,
)
from celery_process.protocol.tokens import void_token
from celery_process.stores.base import Items
from celery_process.stores.memory import rows
from celery_process.stores.memory.definitions import MemoryBase
from celery_process.stores.memory.runs import close_run, fold_if_done


class MemoryItems(MemoryBase, Items):
    """See `Items`."""

    def open_page(  # noqa: D102
        self, process: str, run: str, *, token: str, size: int, window: int, rate: float | None = None
    ) -> Page:
        with self._lock:
            row, now, found = self._of(process), self.now(), self._run(process, run)
            if found is None:
                return Page(PageAnswer.CLOSED)
            mine = next((page for page in found.pages.values() if page.token == token), None)
            if mine is not None:
                return Page(PageAnswer.OPENED, mine.on, mine.names)
            if rules.walk_over(found.state, found.cursor):
                closed = close_run(row, found, now)
                return Page(PageAnswer.CLOSED, run=found.status() if closed else None)
            if row.paused is not None:
                return Page(PageAnswer.PAUSED)
            window, rate = (row.limits or Limits()).over(window, rate)
            size = rules.room(size=page_size(size, rate), window=window, open_items=len(found.open_items()))
            if not size:
                return Page(PageAnswer.FULL)
            while found.cursor is not None:
                on, after = found.cursor
                names = self._next_names(row, found, on, after, size)
                if names:
                    early = None if rate is None else self._early(row, found, token, rate)
                    if early is None and rate is not None:
                        row.pace = row.pace.following(now, len(names), rate) if row.pace else Pace(now, len(names))
                    return early or self._enlist(row, found, on, names, token)
                if on is WorkList.ACTIVE and found.pages:
                    return Page(PageAnswer.WAITING)
                found.cursor = (WorkList.CLEANUP, "") if on is WorkList.ACTIVE else None
            closed = close_run(row, found, now)
            return Page(PageAnswer.CLOSED, run=found.status() if closed else None)

    def _early(self, row: rows.Process, run: rows.Run, token: str, rate: float) -> Page | None:
        due_in = row.pace.due_in(self.now(), rate) if row.pace else None
        if row.pace is None or not due_in:
            return None
        promised = row.pace.promised(run.epoch, token, due_in)
        row.pace = promised or row.pace
        return Page(PageAnswer.LATER, due_in=due_in) if promised else Page(PageAnswer.WAITING)

    def _next_names(self, row: rows.Process, run: rows.Run, on: WorkList, after: str, size: int) -> tuple[str, ...]:
        now = self.now()

        def wanted(name: str, work: rows.Work) -> bool:
            return (
                name > after
                and work.on is on
                and rules.listed_for(run.listed_before, work.listed_at, now)
                and name not in run.items
                and row.ended(name, run.epoch) is None
                and not any(row.runs[epoch].completed(name, on) for epoch in run.redrives)
            )

        return tuple(heapq.nsmallest(size, (name for name, work in row.works.items() if wanted(name, work))))

    def _enlist(self, row: rows.Process, run: rows.Run, on: WorkList, names: tuple[str, ...], token: str) -> Page:
        page = run.pages[run.pages_made] = rows.Page(run.pages_made, token, on, names, self.now())
        run.pages_made += 1
        run.cursor = (on, names[-1])
        for name in names:
            run.items[name] = rows.Item(name, on, page.number, row.works[name].version)
        return Page(PageAnswer.OPENED, on, names)

    def mark_published(self, process: str, run: str, names: Collection[str]) -> None:  # noqa: D102
        with self._lock:
            found = self._run(process, run)
            for name in names:
                item = found.items.get(name) if found else None
                if item is not None and item.state.is_open:
                    item.dispatched_at = self.now()
                    item.dispatches += 1

    def claim(  # noqa: D102
        self, process: str, run: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
    ) -> tuple[ItemClaim, ...]:
        with self._lock:
            return tuple(self._claim(process, run, name, token, lease, max_attempts) for name in names)

    def _claim(self, process: str, run: str, name: str, token: str, lease: timedelta, max_attempts: int) -> ItemClaim:
        row, now, found = self._of(process), self.now(), self._run(process, run)
        item = found.items.get(name) if found else None
        if found is None or item is None:
            over = found is not None and row.ended(name, found.epoch) is not None
            return ItemClaim(name, ClaimAnswer.DONE if over else ClaimAnswer.CONFLICT)
        work = row.works.get(name)
        repeat = item.state is ItemState.CLAIMED and item.token == token
        answer = rules.claim_answer(
            run=found.state,
            paused=row.paused is not None,
            item=item.state,
            mine=repeat,
            expired=item.expired(now),
            attempts_left=item.attempt < max_attempts,
            listed=work is not None and work.on is item.on,
        )
        if answer is ClaimAnswer.PAUSED and item.state is ItemState.PENDING:
            item.dispatched_at = None
        if answer is ClaimAnswer.REMOVED and item.state.is_open:
            item.move(ItemState.REMOVED)
            item.free()
            fold_if_done(row, found, item.page, now)
        if answer is not ClaimAnswer.CLAIMED or work is None:
            return ItemClaim(name, answer)
        if not repeat:
            item.move(ItemState.CLAIMED)
            item.token, item.sequence, item.attempt = token, 0, item.attempt + 1
            item.version, item.totals, item.started_at = work.version, Totals(), now
            item.lease_until, item.dispatches = now + lease, 0
        return ItemClaim(
            name=name,
            answer=answer,
            on=item.on,
            attempt=item.attempt,
            epoch=found.epoch,
            params=work.params,
            params_version=work.version,
            settings=rules.effective(found.defaults, row.overrides.settings),
            settings_version=row.overrides.version,
            slot=found.slot,
            generation=found.generation,
            run_started_at=found.started_at,
            limits=row.limits,
        )

    def report(  # noqa: D102
        self, process: str, run: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta
    ) -> Reported:
        with self._lock:
            row, found = self._of(process), self._run(process, run)
            if found is None:
                return Reported(tuple(ItemAnswer(report.name, Progress.CONFLICT) for report in reports))
            was_active, was_open = found.state is RunState.ACTIVE, found.state.is_open
            closed = False
            answers = []
            for report in reports:
                answer, page_closed = self._report(row, found, report, token, lease)
                answers.append(answer)
                closed = closed or page_closed
            return Reported(
                items=tuple(answers),
                stopping=was_active and found.state is RunState.ABORTING,
                aborting=found.state is RunState.ABORTING,
                page_closed=closed,
                run=found.status() if was_open and not found.state.is_open else None,
            )

    def _report(
        self, row: rows.Process, run: rows.Run, report: ItemReport, token: str, lease: timedelta
    ) -> tuple[ItemAnswer, bool]:
        now, item = self.now(), run.items.get(report.name)
        if item is None:
            status = row.ended(report.name, run.epoch)
            ended = status.attempt if status is not None and status.state is WorkState.COMPLETED else None
            repeat = rules.was_reported(report.outcome, report.attempt, ended)
            return ItemAnswer(report.name, Progress.COMPLETED if repeat else Progress.CONFLICT), False
        if item.token != token or not (item.state.is_open or item.state is ItemState.DONE):
            return ItemAnswer(report.name, Progress.CONFLICT), False
        if item.state is ItemState.DONE:
            return ItemAnswer(report.name, Progress.COMPLETED), False
        if report.sequence <= item.sequence:
            return self._answer(row, run, item, report), False
        item.move(ItemState.CLAIMED)
        self._count(run, item, report)
        item.lease_until = now + lease
        if report.outcome is not None:
            item.move(ItemState.DONE)
            item.outcome, item.finished_at = report.outcome, rules.finish_time(report.outcome, now)
            self._drop(row, item)
            return ItemAnswer(report.name, Progress.COMPLETED), fold_if_done(row, run, item.page, now)
        return self._answer(row, run, item, report), False

    def _count(self, run: rows.Run, item: rows.Item, report: ItemReport) -> None:
        of_work, of_run = rules.new_errors(item.totals, report.totals)
        work_texts, run_texts = rules.new_texts(item.totals, report.totals, self.now())
        item.totals, item.sequence = report.totals, report.sequence
        item.errors = (item.errors + work_texts)[:MAX_WORK_ERRORS]
        item.error_count += of_work
        run.errors = (run.errors + work_texts + run_texts)[:MAX_RUN_ERRORS]
        run.total_errors += of_work + of_run
        if of_work:
            item.last_error_at = self.now()
        if of_work or of_run:
            run.last_error_at = self.now()
            self._check_tolerance(run, item)

    def _check_tolerance(self, run: rows.Run, item: rows.Item) -> None:
        broken = rules.limit_broken(
            item.name, item.error_count, run.work_limit, total=run.total_errors, run_limit=run.error_limit
        )
        if broken is not None and run.state is RunState.ACTIVE:
            run.move(RunState.ABORTING, StopReason.ABORTED.value)
            run.limit_broken = broken

    def _drop(self, row: rows.Process, item: rows.Item) -> None:
        work = row.works.get(item.name)
        clean = item.outcome is not None and rules.is_clean(item.on, item.outcome, item.totals)
        if clean and work is not None and work.on is WorkList.CLEANUP and work.version == item.version:
            work.on, work.listed_at = WorkList.DROPPED, self.now()

    def _answer(self, row: rows.Process, run: rows.Run, item: rows.Item, report: ItemReport) -> ItemAnswer:
        if run.state is RunState.ABORTING:
            return ItemAnswer(item.name, Progress.ABORTED)
        work = row.works.get(item.name)
        listed = work is not None and work.on is item.on
        version = work.version if work is not None and listed else report.params_version
        if version == report.params_version and row.overrides.version == report.settings_version:
            return ItemAnswer(item.name, Progress.UPDATED)
        return ItemAnswer(
            item.name,
            Progress.MERGED,
            params=work.params if work is not None else "{}",
            params_version=version,
            settings=rules.effective(run.defaults, row.overrides.settings),
            settings_version=row.overrides.version,
        )

    def release(self, process: str, run: str, names: Sequence[str], *, token: str) -> Reported:  # noqa: D102
        with self._lock:
            row, found, closed = self._of(process), self._run(process, run), False
            for name in names:
                item = found.items.get(name) if found else None
                if found is None or item is None or not item.state.is_open or item.token != token:
                    continue
                if found.state is not RunState.ACTIVE:
                    item.move(ItemState.CANCELLED)
                elif item.state is ItemState.CLAIMED:
                    item.move(ItemState.PENDING)
                item.attempt -= 1
                item.free()
                closed = fold_if_done(row, found, item.page, self.now()) or closed
            ended = found is not None and closed and not found.state.is_open
            return Reported(page_closed=closed, run=found.status() if found is not None and ended else None)

    def sweep_run(  # noqa: D102
        self,
        process: str,
        run: str,
        *,
        lease: timedelta,
        redispatch_after: timedelta,
        grace: timedelta,
        max_attempts: int,
        limit: int,
    ) -> Swept:
        with self._lock:
            row, now, found = self._of(process), self.now(), self._run(process, run)
            if found is None or not found.state.is_open:
                return Swept()
            was_active, expired, lost = found.state is RunState.ACTIVE, 0, list[str]()
            room = MAX_LOST - len(found.repairs.lost)
            for item in found.open_items():
                item.cut(now + lease)
                if item.expired(now) and item.attempt < max_attempts:
                    expired += 1
                    item.move(ItemState.PENDING)
                    item.offer()
                elif item.expired(now) and len(lost) < room:
                    expired += 1
                    self._lose(found, item, now)
                    lost.append(item.name)
                if item.state is ItemState.PENDING and found.state is RunState.ABORTING:
                    item.move(ItemState.CANCELLED)
                    item.free()
            if expired:
                found.repairs = found.repairs.following(expired, lost)
            for number in list(found.pages):
                fold_if_done(row, found, number, now)
            close_run(row, found, now)
            stopping = was_active and found.state is RunState.ABORTING
            unpublished = row.paused is None and found.state is RunState.ACTIVE
            chosen = self._to_publish(found, redispatch_after, grace)[:limit] if unpublished else []
            return Swept(
                publish=tuple(
                    (on, names) for on in WorkList if (names := tuple(item.name for item in chosen if item.on is on))
                ),
                single=frozenset(item.name for item in chosen if item.attempt),
                repairs=self.repairs(process, run),
                stopping=stopping,
                run=None if found.state.is_open else found.status(),
            )

    def _lose(self, run: rows.Run, item: rows.Item, now: datetime) -> None:
        item.move(ItemState.LOST)
        item.offer()
        item.token = void_token(item.token)
        entry = ErrorEntry(rules.lost_text(item.attempt), now, item.name)
        item.errors = (*item.errors, entry)[:MAX_WORK_ERRORS]
        item.error_count += 1
        item.totals = replace(item.totals, stats={}, run_stats={})
        run.errors = (*run.errors, entry)[:MAX_RUN_ERRORS]
        run.total_errors += 1
        item.last_error_at = run.last_error_at = now
        self._check_tolerance(run, item)

    def _to_publish(self, run: rows.Run, redispatch_after: timedelta, grace: timedelta) -> list[rows.Item]:
        now, pending = self.now(), [item for item in run.open_items() if item.state is ItemState.PENDING]
        started = [item.started_at for item in run.items.values() if item.started_at is not None]
        seen = rules.seen_moving(now, [run.progress_at or run.started_at, *started])
        if rules.passed(seen, now, redispatch_after):
            for item in pending:
                sent = item.dispatched_at
                if sent and rules.published_again(now, sent, item.dispatches, redispatch_after, seen):
                    item.dispatched_at = None
        old = {number for number, page in run.pages.items() if rules.passed(page.opened_at, now, grace)}
        return [item for item in pending if item.dispatched_at is None and (item.attempt or item.page in old)]
