"""A state machine over the store contract: any operation in any order, on a store and on the memory store at once.

    from .machine import store_machine

    TestMyStore = store_machine(lambda clock: MyStore(clock=clock)).TestCase

After each step the invariants hold, both stores read the same, and the runs agree with the answers that holders got. Steps
besides the operations: the clock moves (a little back, too), a holder forgets its claim, the last call or an old one is
repeated, an older report arrives late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from celery_process.protocol.model import Retention as Keep
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, SlotEnd, StopReason, WorkState
from celery_process.schedule.slots import Interval
from celery_process.stores.base import Store
from celery_process.testing.clock import MovableClock

from .compare import check_repeat
from .expected import Holder
from .two_stores import NAMES, Bench

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LEASE = 30 * SECOND

which = st.sampled_from([0, 0, 0, 0, 1])
index = st.integers(0, 30)
some_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)
settings_text = st.sampled_from([None, '{"s":1}', '{"k":2}'])
specs = st.builds(
    RunSpec,
    st.just('{"k":1}'),
    st.sampled_from([None, 0, 2, 10]),
    st.sampled_from([None, 1, 3, 25]),
    st.sampled_from([None, None, 50, 100]),
)
retentions = st.sampled_from(
    [Keep(), Keep(runs_with_items=1, runs=3, slots=4, dropped=1), Keep(dropped_for=HOUR, runs_with_items=0)]
)
outcomes = st.sampled_from([WorkState.COMPLETED, WorkState.COMPLETED, WorkState.INCOMPLETE, WorkState.ABORTED])
counts = st.sampled_from([0, 0, 0, 0, 1, 2, 12])


class StoreMachine(Bench, RuleBasedStateMachine):
    """See the module."""

    @invariant()
    def sound(self) -> None:
        """Check the process that the step was about."""
        if self.changed:
            self.look(self.touched)

    # -- definitions

    @initialize(names=some_names, unregistered=some_names)
    def begin(self, names: list[str], unregistered: list[str]) -> None:
        """Begin with something on both lists, and a run."""
        self.do("register", self.processes[0], dict.fromkeys(names, '{"n":1}'))
        self.do("unregister", self.processes[0], unregistered[:2])
        self.clock.advance(HOUR)
        self.claim_run(0, Again.NEVER, 0, RunSpec(), fault=0)
        self.work_on(names)

    @rule(at=which, names=some_names, n=st.integers(1, 3))
    def register(self, at: int, names: list[str], n: int) -> None:
        self.do("register", self.processes[at], dict.fromkeys(names, f'{{"n":{n}}}'))

    @rule(at=which, names=some_names)
    def unregister(self, at: int, names: list[str]) -> None:
        self.do("unregister", self.processes[at], names)

    @rule(
        at=which,
        settings=settings_text,
        schedule=st.sampled_from([None, None, "60", "90"]),
        expected_version=st.sampled_from([None, None, 0, 1, 2]),
    )
    def update_settings(self, at: int, settings: str | None, schedule: str | None, expected_version: int | None) -> None:
        named = {"settings": settings, "schedule": schedule, "by": "ann", "expected_version": expected_version}
        self.do("update_settings", self.processes[at], **named)

    @rule(at=which, window=st.sampled_from([None, 1, 4]), rate=st.sampled_from([None, "1/m", "2.5/s"]), reset=st.booleans())
    def update_limits(self, at: int, window: int | None, rate: str | None, reset: bool) -> None:
        self.do("update_limits", self.processes[at], max_in_flight=window, rate_limit=rate, reset=reset, by="ann")

    @rule(at=st.sampled_from([1, 1, 0]), note=st.sampled_from("ab"))
    def pause(self, at: int, note: str) -> None:
        self.do("pause", self.processes[at], note=note, by="ann")

    @rule()
    def resume(self) -> None:
        for process in self.processes:
            self.do("resume", process)

    def slot(self, hours: int, *, fault: int = 0) -> SlotRef:
        """Return the slot of an hour near now; with a fault, its jitter or its schedule is another."""
        slot = Interval(HOUR).latest(self.clock()) + hours * HOUR
        schedule = "90" if fault == 2 else "60"
        return SlotRef(slot, slot + (5 * SECOND if fault == 1 else 0 * SECOND), slot - HOUR, schedule)

    @rule(
        at=which,
        again=st.sampled_from(Again),
        hours=st.sampled_from([0, 0, 0, -1, 1]),
        spec=specs,
        fault=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def claim_run(self, at: int, again: Again, hours: int, spec: RunSpec, fault: int) -> None:
        slot = self.slot(hours, fault=fault)
        self.do("claim_run", self.processes[at], uuid=self.new_id(), slot=slot, spec=spec, again=again, by="b")

    @precondition(lambda self: self.runs)
    @rule(back=st.sampled_from([0, 0, 1, 2, 3]), spec=specs)
    def redrive(self, back: int, spec: RunSpec) -> None:
        self.do("redrive", *self.run_at(back), uuid=self.new_id(), spec=spec, by="b")

    @rule(at=which, end=st.sampled_from(SlotEnd), hours=st.sampled_from([0, 0, -1, 1]))
    def skip_slot(self, at: int, end: SlotEnd, hours: int) -> None:
        if end is not SlotEnd.RAN:
            self.do("skip_slot", self.processes[at], slot=self.slot(hours), end=end, by="b")

    @precondition(lambda self: self.runs)
    @rule(back=st.sampled_from([1, 1, 0]), reason=st.sampled_from(StopReason))
    def stop_run(self, back: int, reason: StopReason) -> None:
        self.do("stop_run", *self.run_at(back), reason)

    @precondition(lambda self: self.runs)
    @rule(back=st.integers(0, 3))
    def ack_finish(self, back: int) -> None:
        self.do("ack_finish", *self.run_at(back))

    @rule(both=st.booleans(), grace=st.sampled_from([0, 30]))
    def begin_sweep(self, both: bool, grace: int) -> None:
        processes = self.processes if both else self.processes[:1]
        self.do("begin_sweep", processes, interval=5 * SECOND, grace=grace * SECOND)

    @rule(at=which, retention=retentions)
    def purge(self, at: int, retention: Keep) -> None:
        self.do("purge", self.processes[at], retention=retention, limit=10_000)

    # -- items

    @precondition(lambda self: self.runs)
    @rule(
        back=st.sampled_from([0, 0, 0, 0, 1]),
        size=st.sampled_from([1, 2, 500]),
        window=st.sampled_from([1, 4, 1000]),
        rate=st.sampled_from([None, None, 0.3, 2.0]),
    )
    def open_page(self, back: int, size: int, window: int, rate: float | None) -> None:
        # Under a rate the first of two pages leaves names, so that the second is early.
        for most, room in [(size, window)] if rate is None else [(1, 1000)] * 2:
            self.do("open_page", *self.run_at(back), token=self.new_id(), size=most, window=room, rate=rate)

    @precondition(lambda self: self.runs)
    @rule(back=st.sampled_from([0, 0, 0, 1]), names=some_names)
    def mark_published(self, back: int, names: list[str]) -> None:
        self.do("mark_published", *self.run_at(back), names)

    @precondition(lambda self: self.runs)
    @rule(back=st.sampled_from([0, 0, 0, 0, 1]), names=some_names, attempts=st.sampled_from([3, 3, 3, 2, 1]))
    def claim(self, back: int, names: list[str], attempts: int) -> None:
        self.do("claim", *self.run_at(back), names, token=self.new_id(), lease=LEASE, max_attempts=attempts)

    @precondition(lambda self: self.runs)
    @rule(names=some_names)
    def work_on(self, names: list[str]) -> None:
        """Open a page and claim from it: what workers do most."""
        run = self.run_at(0)
        page = self.do("open_page", *run, token=self.new_id(), size=3, window=1000)
        self.do("claim", *run, [*page.names, *names][:4], token=self.new_id(), lease=LEASE, max_attempts=3)

    @precondition(lambda self: self.runs)
    @rule(removed=st.booleans())
    def meet_change(self, removed: bool) -> None:
        """Open a page, and claim from it what was unregistered meanwhile, or under a pause."""
        process, run = self.run_at(0)
        page = self.do("open_page", process, run, token=self.new_id(), size=2, window=1000)
        if removed:
            self.do("unregister", process, page.names)
        else:
            self.do("pause", process, note="a", by="ann")
        self.do("claim", process, run, page.names, token=self.new_id(), lease=LEASE, max_attempts=3)
        self.do("resume", process)

    @precondition(lambda self: self.held)
    @rule(outcome=outcomes)
    def finish_all(self, outcome: WorkState) -> None:
        """End all items held, each by a report of its own, and open what comes next."""
        run = self.run_at(0)
        while self.held:
            self.send([self.held.pop()], outcome, 0, 0, 1)
        self.do("open_page", *run, token=self.new_id(), size=3, window=1000)

    def send(self, holders: list[Holder], outcome: WorkState | None, errors: int, run_errors: int, x: float) -> None:
        """Report holders of one token in one call."""
        first, now = holders[0], self.clock()
        reports = [holder.next(now, outcome, errors=errors, run_errors=run_errors, x=x) for holder in holders]
        self.do("report", first.process, first.run, reports, token=first.token, lease=LEASE)

    @precondition(lambda self: self.held)
    @rule(at=index, errors=counts, run_errors=counts, x=st.sampled_from([1, 0.5]))
    def report(self, at: int, errors: int, run_errors: int, x: float) -> None:
        self.send([self.held[at % len(self.held)]], None, errors, run_errors, x)

    @precondition(lambda self: self.held)
    @rule(at=index, outcome=outcomes, errors=counts)
    def finish(self, at: int, outcome: WorkState, errors: int) -> None:
        self.send([self.held.pop(at % len(self.held))], outcome, errors, 0, 1)

    @precondition(lambda self: self.held)
    @rule(at=index, outcome=st.sampled_from([None, WorkState.COMPLETED, WorkState.COMPLETED, WorkState.INCOMPLETE]))
    def merge(self, at: int, outcome: WorkState | None) -> None:
        """Register an item that is held with other params, then report it."""
        holder = self.held[at % len(self.held)]
        self.do("register", holder.process, {holder.claim.name: f'{{"n":{self.made + 10}}}'})
        self.send([holder], outcome, 0, 0, 1)

    @precondition(lambda self: self.held)
    @rule(at=index, outcome=st.none() | outcomes)
    def report_batch(self, at: int, outcome: WorkState | None) -> None:
        """Report all items of a message in one call."""
        token = self.held[at % len(self.held)].token
        batch = [holder for holder in self.held if holder.token == token]
        if outcome is not None:
            self.held = [holder for holder in self.held if holder.token != token]
        self.send(batch, outcome, 0, 0, 1)

    @precondition(lambda self: self.held)
    @rule(at=index)
    def release(self, at: int) -> None:
        holder = self.held.pop(at % len(self.held))
        self.do("release", holder.process, holder.run, [holder.claim.name], token=holder.token)

    @precondition(lambda self: self.runs)
    @rule(
        back=st.sampled_from([0, 0, 0, 1]),
        grace=st.sampled_from([0, 10]),
        attempts=st.sampled_from([3, 3, 1]),
        later=st.sampled_from([0, 31, 61]),
    )
    def sweep_run(self, back: int, grace: int, attempts: int, later: int) -> None:
        self.clock.advance(later * SECOND)
        more = {"lease": LEASE, "grace": grace * SECOND, "max_attempts": attempts, "limit": 100}
        self.do("sweep_run", *self.run_at(back), redispatch_after=60 * SECOND, **more)

    @precondition(lambda self: self.held)
    @rule(at=index, outcome=st.none() | outcomes, errors=counts, swept=st.booleans())
    def take_over(self, at: int, outcome: WorkState | None, errors: int, swept: bool) -> None:
        """Let a lease run out, and a sweep free the item or another claim it; its holder continues all the same."""
        holder = self.held[at % len(self.held)]
        self.clock.advance(LEASE)
        if swept:
            self.sweep_run(0, 10, 3, 0)
        else:
            self.claim(0, [holder.claim.name], 3)
        self.send([holder], outcome, errors, 0, 1)

    @rule(at=which, run=st.sampled_from(["9-nothing", "0", "x", ""]), names=some_names)
    def unknown_run(self, at: int, run: str, names: list[str]) -> None:
        """Come with a run that there never was."""
        process, token = self.processes[at], self.new_id()
        run += self.runs[-1][1] if run == "0" and self.runs else ""  # the epoch of one, written in another way
        self.do("open_page", process, run, token=token, size=1, window=4)
        self.do("claim", process, run, names, token=token, lease=LEASE, max_attempts=3)
        self.do("mark_published", process, run, names)
        self.do("release", process, run, names, token=token)
        self.do("report", process, run, [ItemReport(names[0], 1, Totals(), 0, 0)], token=token, lease=LEASE)
        self.do("sweep_run", process, run, lease=HOUR, redispatch_after=HOUR, grace=HOUR, max_attempts=1, limit=1)
        self.do("stop_run", process, run, StopReason.CANCELLED)
        self.do("ack_finish", process, run)
        self.both.same("redrive", process, run, uuid=token, spec=RunSpec(), by="b")
        self.both.read_apart(process, run, names[0])

    # -- what is no operation, or one that was

    @rule(seconds=st.sampled_from([1, 5, 20, 31, 61, 3600, 7200]), microseconds=st.integers(0, 9))
    def wait(self, seconds: int, microseconds: int) -> None:
        self.clock.advance(seconds * SECOND + timedelta(microseconds=microseconds))
        self.fresh = None

    @rule(milliseconds=st.sampled_from([1, 500, 3000]))
    def step_back(self, milliseconds: int) -> None:
        self.clock.advance(-timedelta(milliseconds=milliseconds))
        self.fresh = None

    @precondition(lambda self: self.held)
    @rule(at=index)
    def crash(self, at: int) -> None:
        """Let a holder forget its claim: only its lease ends it."""
        self.held.pop(at % len(self.held))

    @precondition(lambda self: self.fresh)
    @rule()
    def repeat(self) -> None:
        """Repeat the last call at once: it is answered the same, and changes nothing that can be read."""
        call = self.fresh
        assert call is not None
        check_repeat(call, self.do(call.operation, call.process, *call.args, **call.named))
        self.without_effect = call if call.operation != "sweep_run" else None

    @precondition(lambda self: self.both.log)
    @rule(at=index)
    def duplicate(self, at: int) -> None:
        """Ask an old call once more."""
        call = self.both.log[-1 - at % len(self.both.log)]
        if call.operation != "begin_sweep":
            self.do(call.operation, call.process, *call.args, **call.named)

    @precondition(lambda self: self.held)
    @rule(at=index)
    def reorder(self, at: int) -> None:
        """Let a report come after the next one of its holder, who then goes on."""
        holder = self.held[at % len(self.held)]
        self.send([holder], None, 0, 0, 1)
        older = self.sent[-1]
        self.send([holder], None, 1, 0, 1)
        self.do(older.operation, older.process, *older.args, **older.named)
        self.send([holder], None, 0, 0, 1)

    @precondition(lambda self: self.sent)
    @rule(at=st.integers(0, 5))
    def overtaken(self, at: int) -> None:
        """Send an older report late: if its holder reported since, it writes nothing."""
        call = self.sent[-1 - at % len(self.sent)]
        if call.process == self.touched:
            known = self.expected.took(call.process, call.args[0], call.named["token"], call.args[1])
            self.do(call.operation, call.process, *call.args, **call.named)
            self.without_effect = call if known else None


def store_machine(make_store: Callable[[MovableClock], Store]) -> type[StoreMachine]:
    """Return the machine that compares the stores of `make_store` with the memory store; `.TestCase` runs it.

    `make_store` returns an open store with the clock it gets. Each example uses process names of its own, so the stores may
    share one database. Settings of Hypothesis go to `TestCase.settings`, or to `run_state_machine_as_test`.
    """
    members = {"make_store": staticmethod(make_store), "reached": Counter(), "__doc__": StoreMachine.__doc__}
    return type("StoreMachine", (StoreMachine,), members)
