"""What a worker may do next with the items in its hands."""

from __future__ import annotations

from collections.abc import Iterator

from celery_process.protocol.entities import Item
from celery_process.protocol.states import ItemState, Progress, RunState

from .bounds import Broken
from .protocol import Steps, Told
from .states import CLAIMING, FOLDING, FREE, IDLE, OPENING, SETTLING, WORKING, Worker

Step = tuple[str, int, Worker]
"""What happens, and the content and the worker after it."""


class Hands:
    """The steps of the worker in one place."""

    def __init__(self, driven: Steps, place: int) -> None:
        self._driven, self._bounds = driven, driven.bounds
        self._who, self._token = f"worker {place}", f"w{place}"

    def steps(self, content: int, worker: Worker) -> Iterator[Step]:
        """Return what the worker may do next, or what may happen to it."""
        driven, who = self._driven, self._who
        if worker.phase == IDLE:
            yield from self._begin(content)
            return
        yield self._leave(f"crash of {who}", content)
        if worker.phase == CLAIMING:
            yield self._land(content, worker)
        elif worker.phase == WORKING:
            yield from self._work(content, worker)
        elif worker.phase == SETTLING:
            over = driven.fold(content, worker.epoch, worker.page)[1]
            yield f"{who} looks at its page", content, worker._replace(phase=FOLDING if over else _next_phase(worker))
        elif worker.phase == FOLDING:
            after, _ = driven.fold(content, worker.epoch, worker.page)
            yield f"{who} folds its page", after, worker._replace(phase=_next_phase(worker))
        else:
            yield self._leave(f"{who} opens a page", driven.open_page(content, worker.epoch))

    def _begin(self, content: int) -> Iterator[Step]:
        bounds, run = self._bounds, self._driven.run(content)
        if run is None or run.state is not RunState.ACTIVE:
            return
        items = self._driven.kept(content).items.get(run.epoch, {})
        free = [item for name, item in sorted(items.items()) if self._may_claim(item)]
        offers = [(item.name,) for item in free]
        if bounds.batch > 1:
            pages = (tuple(item.name for item in free if item.page == page) for page in range(run.pages_made))
            offers += [names[: bounds.batch] for names in pages if len(names) > 1]
        for names in offers:
            after, seen = self._driven.claim(content, run.epoch, names, self._token)
            if seen and bounds.whole:
                yield f"{self._who} claims {names}", after, self._claimed(run.epoch, seen)
            elif seen:
                yield f"{self._who} reads {names} of run {run.epoch}", content, Worker(CLAIMING, run.epoch, names, seen)

    def _may_claim(self, item: Item) -> bool:
        if item.state is ItemState.PENDING:
            return True
        return self._bounds.takeover and item.state is ItemState.CLAIMED and item.attempt < self._bounds.attempts

    def _land(self, content: int, worker: Worker) -> Step:
        after = self._driven.land(content, worker.seen)
        if after is None:
            return self._leave(f"{self._who} is late", content)
        return f"{self._who} claims", after, self._claimed(worker.epoch, worker.seen)

    def _claimed(self, epoch: int, seen: tuple[tuple[int, int], ...]) -> Worker:
        rows = [self._driven.table.rows[new] for _, new in seen]
        items = [row for row in rows if isinstance(row, Item)]
        mine = [item for item in items if item.state is ItemState.CLAIMED]
        names, attempts = tuple(item.name for item in mine), tuple(item.attempt for item in mine)
        worker = Worker(WORKING, epoch, names, page=items[0].page, attempts=attempts)
        return worker if names else worker._replace(phase=self._settling(worker))

    def _settling(self, worker: Worker) -> int:
        return _next_phase(worker) if self._bounds.whole else SETTLING

    def _work(self, content: int, worker: Worker) -> Iterator[Step]:
        bounds, driven, who = self._bounds, self._driven, self._who
        kept = tuple(Told(name, attempt, raised=False, over=True) for name, attempt in worker.kept)
        if not worker.names:
            after, _ = self._tell(content, worker, kept)
            if bounds.lost_answers:
                yield f"{who} tells what it held back, unanswered", after, worker
            yield self._answered(f"{who} tells what it held back", after, worker, settle=True)
            return
        name, run = worker.names[0], driven.run(content)
        item = driven.item(content, worker.epoch, name)
        mine = item is not None and item.token == self._token and item.state.is_open
        had_error = worker.raised or (item is not None and mine and item.totals.error_count > 0)
        if mine and not worker.raised and run is not None:
            if not had_error and (bounds.releases or run.state is RunState.ABORTING):
                yield from self._release(content, worker, run.state)
            if bounds.errors:
                yield from self._report_error(content, worker, kept, first=not had_error)
            if bounds.hold and not had_error:
                later = worker._replace(names=worker.names[1:], attempts=worker.attempts[1:])
                later = later._replace(kept=(*worker.kept, (name, worker.attempts[0])))
                yield f"{who} holds {name} back", content, later
        after, answer = self._tell(content, worker, (*kept, Told(name, worker.attempts[0], had_error, over=True)))
        if mine:
            if bounds.lost_answers:
                yield f"{who} finishes {name}, unanswered", after, worker
            yield self._answered(f"{who} finishes {name}", after, worker, settle=True)
            return
        # Only a claim raises the attempt, and only a release lowers it: so nobody claimed the item since.
        same = item is not None and item.state is ItemState.PENDING and item.attempt == worker.attempts[0]
        active = driven.kept(content).runs[worker.epoch].state is RunState.ACTIVE
        if same and active and answer is Progress.CONFLICT and not bounds.releases:
            raise Broken("late: an outcome of the last holder is refused though nobody claimed since")
        settle = answer is Progress.COMPLETED or bool(worker.kept)
        yield self._answered(f"{who} is answered", after, worker, settle=settle)

    def _tell(self, content: int, worker: Worker, told: tuple[Told, ...]) -> tuple[int, Progress]:
        """Report, and judge what is answered of items that are gone by what is remembered of them."""
        after, answers = self._driven.report(content, worker.epoch, self._token, told)
        for each, answer in zip(told, answers, strict=True):
            if each.over and self._driven.item(content, worker.epoch, each.name) is None:
                self._judge_repeat(content, worker.epoch, each.name, answer is Progress.COMPLETED)
        return after, answers[-1]

    def _judge_repeat(self, content: int, epoch: int, name: str, told: bool) -> None:
        gone = self._driven.gone(content, epoch, name)
        mine = gone is not None and gone.token == self._token and gone.state == ItemState.DONE
        if told and not mine:
            raise Broken("I6: an outcome that was never taken is answered Completed")
        status = self._driven.kept(content).statuses.get(name)
        if mine and gone.completed and not told and status is not None and status.epoch == epoch:
            raise Broken("repeat: an outcome that was taken is answered Conflict")

    def _report_error(self, content: int, worker: Worker, kept: tuple[Told, ...], *, first: bool) -> Iterator[Step]:
        """Report an error at once, and what was held back with it."""
        who, name = self._who, worker.names[0]
        after, _ = self._tell(content, worker, (*kept, Told(name, worker.attempts[0], raised=True, over=False)))
        answered = self._void(after, worker, [name for name, _ in worker.kept])
        yield f"{who} reports an error", answered, worker._replace(raised=True, kept=())
        if self._bounds.lost_answers and first:
            yield f"{who} reports an error, unanswered", after, worker

    def _release(self, content: int, worker: Worker, state: RunState) -> Iterator[Step]:
        """Give back what was not started, as of the run that was read: it may be ABORTING since."""
        stale = (False,) if state is RunState.ACTIVE or self._bounds.whole else (True, False)
        for behind in stale:
            after = self._driven.release(content, worker.epoch, worker.names, self._token, behind)
            told = worker._replace(names=(), attempts=())
            told = told._replace(phase=WORKING if worker.kept else self._settling(told))
            if worker.kept or (state is RunState.ABORTING and not behind):
                yield f"{self._who} releases", after, told
            else:
                yield self._leave(f"{self._who} releases", after)

    def _answered(self, text: str, content: int, worker: Worker, *, settle: bool) -> Step:
        """Go on with the next item, the reports answered."""
        after = self._void(content, worker, [*worker.names[:1], *(name for name, _ in worker.kept)])
        rest = Worker(WORKING, worker.epoch, worker.names[1:], page=worker.page, attempts=worker.attempts[1:])
        if settle:
            rest = rest._replace(phase=self._settling(rest))
        return text, after, rest if settle or rest.names else FREE

    def _void(self, content: int, worker: Worker, names: list[str]) -> int:
        return self._driven.void(content, self._token, worker.epoch, tuple(names)) if names else content

    def _leave(self, text: str, content: int) -> Step:
        """Let the worker go, with its tokens."""
        return text, self._driven.void(content, self._token, 0, ()), FREE


def _next_phase(worker: Worker) -> int:
    return WORKING if worker.names or worker.kept else OPENING
