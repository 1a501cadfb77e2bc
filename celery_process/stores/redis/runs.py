"""How a run begins: decided over what was read, written only if the process is still as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery_process.exceptions import RunPurged, StoreUnavailable
from celery_process.protocol import rules
from celery_process.protocol.model import RunClaim, RunSpec, SlotEntry, SlotRef
from celery_process.protocol.states import Again, By, RunAnswer, RunState, SlotEnd
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import readable
from celery_process.stores.redis.keys import RunKey, not_found, slot_at, slot_text
from celery_process.stores.redis.records import instant, read_entry, read_run
from celery_process.values import from_us

TRIES = 200
"""Times that a writer looks again. Each time somebody else's write went through."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides about a new run, as one script read it."""

    now: datetime
    version: str
    epoch: int
    last_slot: datetime | None
    rule: str
    paused: bool
    changed_at: datetime | None
    settings_version: int
    newest: datetime | None
    mine: RunClaim | None
    open: RunClaim | None
    generation: int
    last_is_open: bool
    last_started_at: datetime | None
    entry: SlotEntry | None
    earlier: datetime | None
    listed: int
    slot: datetime
    old: Sequence[Any]

    @classmethod
    def of(cls, process: str, facts: Sequence[Any]) -> Plan:
        """Return what the script answered."""
        now, fields, mine, opened, same, entry, earlier, listed, slot, old = facts
        version, epoch, last, rule, paused, _, changed, settings_version, newest = fields
        return cls(
            now=from_us(int(now)),
            version=version,
            epoch=int(epoch or 0),
            last_slot=slot_at(last) if last else None,
            rule=rule,
            paused=bool(paused),
            changed_at=instant(changed),
            settings_version=int(settings_version or 0),
            newest=instant(newest),
            mine=RunClaim(RunAnswer.ALREADY, read_run(process, mine)) if mine else None,
            open=RunClaim(RunAnswer.OVERLAPPED, open_run=opened) if opened else None,
            generation=int(same[0]) + 1 if same else 0,
            last_is_open=bool(same) and RunState(same[1]).is_open,
            last_started_at=instant(same[2]) if same else None,
            entry=read_entry(slot, entry) if entry else None,
            earlier=slot_at(earlier) if earlier else None,
            listed=listed,
            slot=slot_at(slot),
            old=old,
        )

    @property
    def refused(self) -> RunClaim | None:
        """What is in the way of any new run."""
        return RunClaim(RunAnswer.PAUSED) if self.paused else self.open

    @property
    def changed(self) -> bool:
        """Whether settings or a registration changed since the last run of the slot began."""
        since = self.last_started_at
        if since is None or self.last_is_open:
            return False
        return any(at is not None and at >= since for at in (self.changed_at, self.newest))

    def missed(self, slot: SlotRef) -> tuple[str, str]:
        """Return the end and the start of the range before a slot that nobody took; two empty texts for none."""
        after = rules.missed_before(slot, self.earlier, same_rule=self.rule == slot.schedule)
        if after is None or slot.previous is None:
            return "", ""
        return slot_text(slot.previous), slot_text(after)


@readable
def claim_run(client: Client, process: str, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
    """Start the run of a slot, if it is due and free and nothing is open."""
    for _ in range(TRIES):
        plan = Plan.of(process, client.call("claim_run", "plan", process, uuid, slot_text(slot.slot), "", ""))
        if plan.mine is not None:
            return plan.mine
        if slot.due_at > plan.now:
            return RunClaim(RunAnswer.NOT_DUE, due_in=slot.due_at - plan.now)
        if not rules.takes_slot(
            slot,
            plan.now,
            again=again,
            last_slot=plan.last_slot,
            entry=plan.entry,
            generations=plan.generation,
            changed=plan.changed,
        ):
            return RunClaim(RunAnswer.LOST)
        claim = plan.refused or _start(client, "claim_run", process, plan, uuid=uuid, slot=slot, spec=spec, by=by)
        if claim is not None:
            return claim
    raise _overtaken(client, "claim_run", process)


@readable
def redrive(client: Client, process: str, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
    """Start a new generation of a closed run's slot over what did not complete in it, nor in those it redrove."""
    key = RunKey.of(process, run)
    for _ in range(TRIES):
        facts = client.call("redrive", "plan", process, uuid, "", key.epoch, run)
        if not facts:
            raise not_found(process, run)
        plan = Plan.of(process, facts)
        refused = plan.mine or plan.refused
        if refused is not None:
            return refused
        redrives, listed_before, purged = plan.old
        if purged:
            raise RunPurged(
                f"The items of run {run!r} are no longer kept; start a whole run with `run_now()`.",
                process=process,
                run=run,
            )
        chain = " ".join([str(key.epoch), *redrives.split()])
        claim = _start(
            client,
            "redrive",
            process,
            plan,
            uuid=uuid,
            slot=SlotRef(plan.slot, plan.slot),
            spec=spec,
            by=by,
            redrives=chain,
            listed_before=listed_before,
            ranges=False,
        )
        if claim is not None:
            return claim
    raise _overtaken(client, "redrive", process)


@readable
def skip_slot(client: Client, process: str, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
    """Write down why a slot did not run, unless the ledger has it."""
    text = slot_text(slot.slot)
    for _ in range(TRIES):
        plan = Plan.of(process, client.call("skip_slot", "plan", process, "", text, "", ""))
        if plan.entry is not None:
            return False
        after = rules.ended_after(slot, plan.earlier)
        start = "" if after is None else slot_text(after)
        arguments = (plan.version, text, *plan.missed(slot), slot.schedule, end, by, start, rules.LEDGER_STEP)
        if client.call("skip_slot", "skip", process, *arguments) == "written":
            return True
    raise _overtaken(client, "skip_slot", process)


def _start(
    client: Client,
    operation: str,
    process: str,
    plan: Plan,
    *,
    uuid: str,
    slot: SlotRef,
    spec: RunSpec,
    by: str,
    redrives: str = "",
    listed_before: str = "",
    ranges: bool = True,
) -> RunClaim | None:
    """Write the run; return None if the process is not as it was read."""
    # Before the run itself, which lies in another slot: a name in this set says only where to look.
    client.tried(operation, lambda server: server.sadd(client.started, process))
    epoch = rules.next_epoch(plan.epoch, plan.now)
    limit = rules.spec_limit(spec, plan.listed if spec.percent is not None else 0)
    fields = {
        "uuid": uuid,
        "state": RunState.ACTIVE,
        "reason": "",
        "defaults": spec.defaults,
        "work_limit": "" if spec.work_limit is None else spec.work_limit,
        "error_limit": "" if limit is None else limit,
        "settings_version": plan.settings_version,
        "redrives": redrives,
        "cur": "a",
        "cursor": "",
        "pages": 0,
        "open": 0,
        "fold": 0,
        "counts": "{}",
        "stats": "",
        "total_errors": 0,
        "errors": "",
        "kept": 0,
        "last_error": "",
    }
    answer, *rest = client.call(
        operation,
        "start",
        process,
        plan.version,
        epoch,
        uuid,
        rules.run_id(epoch, uuid),
        slot_text(slot.slot),
        plan.generation,
        slot_text(max(plan.last_slot or slot.slot, slot.slot)),
        *(plan.missed(slot) if ranges else ("", "")),
        slot.schedule,
        By.noted(by, before=plan.entry.by if plan.entry else None),
        listed_before,
        *(value for pair in fields.items() for value in pair),
    )
    return None if answer == "late" else RunClaim(RunAnswer.CLAIMED, read_run(process, rest[0]))


def _overtaken(client: Client, operation: str, process: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{operation!r} of {process!r} was overtaken {TRIES} times at {client.address.shown}; try it again.",
        operation=operation,
    )
