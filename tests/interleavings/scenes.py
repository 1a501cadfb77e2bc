"""Where two clients meet: a run with an item in hand, what each of them can do to it, and what must be true afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from celery_process.protocol.model import ErrorEntry, Page, RunClaim, RunSpec, RunStatus, SlotRef, Swept
from celery_process.protocol.reports import ItemReport, Reported, Totals
from celery_process.protocol.states import Again, ClaimAnswer, Progress, RunAnswer, StopReason, WorkState
from celery_process.stores.base import Store
from celery_process.testing import MovableClock, check_invariants

LEASE = timedelta(seconds=30)
HOLDER = "holder"


@dataclass
class Scene:
    """A process with an open run: `a` is claimed and its lease has run out, `b` is pending, on one page or on two.

    At the `end` nothing is behind them; else `c` is still to be enlisted. One error is beyond the tolerance.
    """

    store: Store
    clock: MovableClock
    at_end: bool
    page: int = 2
    process: str = field(default_factory=lambda: f"i-{uuid4().hex}")
    answers: list[Any] = field(default_factory=list)
    completed: dict[str, set[str]] = field(default_factory=dict)
    """By name, the tokens whose holders were told that the item is completed: a repeat is told so again."""
    held: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """By name and attempt, the tokens that were given out; one that was given back may go to another."""

    held_until: datetime = datetime.min.replace(tzinfo=UTC)
    """The end of the lease on `a`, if its holder was told that it goes on."""

    def __post_init__(self) -> None:
        store, names = self.store, ("a", "b") if self.at_end else ("a", "b", "c")
        # At the end of the lists with a page open: that is only so behind the cleanup list.
        if self.at_end:
            store.unregister(self.process, names)
        else:
            store.register(self.process, dict.fromkeys(names, "{}"))
        self.now = store.now()
        claim = store.claim_run(
            self.process, uuid=uuid4().hex, slot=self.slot(), spec=RunSpec(run_limit=0), again=Again.ALWAYS, by=""
        )
        assert claim.run is not None
        self.run = claim.run.id
        assert [name for _ in range(0, 2, self.page) for name in self.open_page().names] == ["a", "b"]
        if self.at_end:
            assert self.open_page().run is None  # moves the cursor to its end
        self.answers.clear()
        self.claim("a", HOLDER)
        self.clock.advance(2 * LEASE)

    def slot(self, later: int = 0) -> SlotRef:
        at = self.now + timedelta(microseconds=later)
        return SlotRef(at, at)

    def told(self, answer: Any) -> Any:
        self.answers.append(answer)
        return answer

    def claim(self, name: str, token: str) -> Any:
        answer = self.told(self.store.claim(self.process, self.run, [name], token=token, lease=LEASE, max_attempts=2))
        if answer[0].answer is ClaimAnswer.CLAIMED:
            self.held[name, answer[0].attempt, token] += 1
        return answer

    def report(self, name: str, token: str, *, errors: int = 0, outcome: WorkState | None = WorkState.COMPLETED) -> Any:
        """Report an end, which is counted, or what a holder reports before it."""
        texts = tuple(ErrorEntry("e", self.now, name) for _ in range(errors))
        totals = Totals({"x": 1}, {"y": 1}, texts, errors) if outcome else Totals({}, {}, texts, errors)
        report = ItemReport(name, 2 if outcome else 1, totals, 0, 0, outcome)
        answer = self.told(self.store.report(self.process, self.run, [report], token=token, lease=LEASE))
        if answer.items[0].progress is Progress.COMPLETED:
            self.completed.setdefault(name, set()).add(token)
        return answer

    def renew(self) -> Any:
        until = self.clock() + LEASE
        answer = self.report("a", HOLDER, outcome=None)
        if answer.items[0].progress is not Progress.CONFLICT:
            self.held_until = until
        return answer

    def release(self) -> Any:
        self.held.pop(("a", 1, HOLDER), None)
        return self.told(self.store.release(self.process, self.run, ["a"], token=HOLDER))

    def open_page(self) -> Any:
        return self.told(self.store.open_page(self.process, self.run, token=uuid4().hex, size=self.page, window=8))

    def sweep(self) -> Any:
        return self.told(
            self.store.sweep_run(
                self.process, self.run, lease=LEASE, redispatch_after=LEASE, grace=LEASE, max_attempts=2, limit=99
            )
        )

    def supersede(self) -> Any:
        return self.told(self.store.stop_run(self.process, self.run, StopReason.SUPERSEDED))

    def claim_run(self) -> Any:
        return self.told(
            self.store.claim_run(self.process, uuid=uuid4().hex, slot=self.slot(1), spec=RunSpec(), again=Again.NEVER, by="")
        )

    def lose(self) -> Any:
        """Claim `b` and vanish: the sweep gives it back."""
        self.claim("b", "lost")
        self.clock.advance(2 * LEASE)
        return self.sweep()

    def report_late(self) -> None:
        """Let whoever was ever given an item report its end: of each item one holder may be told that it is completed."""
        for name, _, token in sorted(self.held):
            self.report(name, token)

    def finish_others(self) -> None:
        """Bring the run to its end as a sweep and one worker would."""
        for turn in range(20):
            self.clock.advance(2 * LEASE)
            self.sweep()
            if not self.store.run(self.process, self.run).state.is_open:
                return
            for name in "abc":
                token = f"{turn}-{name}"
                (claim,) = self.claim(name, token)
                if claim.answer is ClaimAnswer.CLAIMED:
                    self.report(name, token)
            self.open_page()
        raise AssertionError(f"I14: {self.store.run(self.process, self.run)} came to no end")

    def check(self) -> None:
        """Raise AssertionError where something is lost, or was counted or closed twice."""
        if self.held_until > self.clock():
            swept = [answer for answer in self.answers if isinstance(answer, Swept) and answer.repairs.expired]
            taken = [token for name, attempt, token in self.held if (name, attempt) == ("a", 2)]
            # A sweep that came before the renewal freed the item, and the renewal claimed it again.
            freed = swept and self.store.work(self.process, "a").status.state is WorkState.NEW
            assert not freed, f"I6: a lease that was renewed ran out: {swept}"
            assert not taken, f"I6: an item whose lease was renewed went to another: {taken}"
        self.report_late()
        self.finish_others()
        check_invariants(self.store, self.process)
        run = self.store.run(self.process, self.run)
        closes = [closed for closed in map(_closed, self.answers) if closed is not None and closed.id == self.run]
        # A claim that removes the last item closes the run and can tell nobody; the sweep will.
        assert closes == [run] or (not closes and run.counts.removed), f"I4: the end was told {len(closes)} times: {closes}"
        assert run.counts.enlisted == (2 if self.at_end else 3) or run.reason, f"I15: {run.counts}"
        ended = run.counts.completed
        assert run.stats.get("work.x", 0) == run.stats.get("y", 0) == ended, f"I5: {run.stats}, {run.counts}"
        assert all(len(tokens) == 1 for tokens in self.completed.values()), f"I6: {self.completed}"
        assert len(self.completed) == ended, f"I5: told of {self.completed}, counted {run.counts}"
        attempts = Counter((name, attempt) for name, attempt, _ in self.held)
        assert set(attempts.values()) <= {1}, f"I6: an attempt was given out twice: {self.held}"
        begun = [answer for answer in self.answers if isinstance(answer, RunClaim) and answer.answer is RunAnswer.CLAIMED]
        assert len(begun) <= 1, f"I1: {begun}"


def _closed(answer: Any) -> RunStatus | None:
    if isinstance(answer, Reported | Swept | Page):
        return answer.run
    return answer if isinstance(answer, RunStatus) else None


ACTS: Mapping[str, Callable[[Scene], Any]] = {
    "claim": lambda scene: scene.claim("b", uuid4().hex),
    "claim of an expired": lambda scene: scene.claim("a", uuid4().hex),
    "finish": lambda scene: scene.report("a", HOLDER),
    "claim and finish": lambda scene: (scene.claim("b", "other"), scene.report("b", "other")),
    "supersede": lambda scene: scene.supersede(),
    "replace": lambda scene: (scene.supersede(), scene.claim_run()),
    "open_page or close": lambda scene: scene.open_page(),
    "register": lambda scene: scene.store.register(scene.process, {"a": '{"n":1}', "b": '{"n":1}'}),
    "unregister": lambda scene: scene.store.unregister(scene.process, ["a", "b"]),
    "abort": lambda scene: scene.report("a", HOLDER, errors=1, outcome=None),
    "renew": lambda scene: scene.renew(),
    "release": lambda scene: scene.release(),
    "release and claim": lambda scene: (scene.release(), scene.claim("a", uuid4().hex)),
    "claim and lose": lambda scene: scene.lose(),
    "sweep": lambda scene: scene.sweep(),
}
"""What a client can do, by name."""
