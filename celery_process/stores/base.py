"""The store contract, in four parts: definitions, runs, items, reads. Each method is one operation of the run protocol.

An operation is atomic (or a chain of atomic steps that another call or the sweep can take up), can be repeated after a
lost answer with the same ids and then answers the same, and reads its time from the store. All of them may raise
`StoreUnavailable`. Names come in checked (`checks`), params and settings as JSON (`jsontext`).

Invariants I1 to I16 are those of docs/protocol.md.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery_process.protocol import begin, flow
from celery_process.protocol.model import (
    ItemClaim,
    NewestSlot,
    Overrides,
    Page,
    Retention,
    RunClaim,
    RunSpec,
    RunStatus,
    SlotEntry,
    SlotRef,
    StoredProcess,
    SweepTarget,
    Swept,
    WorkInfo,
)
from celery_process.protocol.repairs import Repairs
from celery_process.protocol.reports import ItemReport, Reported
from celery_process.protocol.rows import Rows
from celery_process.protocol.states import Again, SlotEnd, StopReason, WorkList
from celery_process.stores.atomic import Atomic
from celery_process.stores.warning import StoreWarning

END = chr(0x10FFFF)
"""A name after all names: where to begin a walk backwards."""


class Definitions(Atomic):
    """What callers write: registrations, overrides, the pause. No run ever writes these, but for a clean cleanup's drop.

    With `using`, a transaction of the caller's that the store can join, the write is part of it: never committed,
    closed or retried here. A store that cannot join it raises `CannotJoin`.
    """

    @abstractmethod
    def register(self, process: str, works: Mapping[str, str], *, using: Any = None) -> tuple[str, ...]:
        """Put items (name → params) on the active list; return the names that changed (B8: same and active, nothing)."""

    @abstractmethod
    def unregister(self, process: str, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:
        """Put names, known or not, on the cleanup list; return those that changed (B9: cleanup and dropped, nothing)."""

    @abstractmethod
    def update_settings(
        self,
        process: str,
        *,
        settings: str | None,
        schedule: str | None,
        by: str = "",
        expected_version: int | None = None,
        using: Any = None,
    ) -> int:
        """Replace the overrides and return the new version; None keeps what is stored (B4).

        The same values keep the version and change `changed_at` alone, so a repeat is answered as the first call was.
        A new version begins the history, in the same operation. Raises `SettingsChanged` where the version is not the
        expected one.
        """

    def pause(self, process: str, *, note: str, by: str) -> None:
        """Begin no slot, page or claim any more. A repeat replaces the note."""
        self.atomically("pause", process, lambda rows: flow.pause(rows, note=note, by=by))

    def resume(self, process: str) -> None:
        """End the pause, if there is one."""
        self.atomically("resume", process, flow.resume)

    def update_limits(
        self, process: str, *, max_in_flight: int | None, rate_limit: str | None, by: str, reset: bool = False
    ) -> None:
        """Store limits; None keeps what is stored, `reset` forgets it before. They bind from the next page on.

        No caller is awaited any more, so that the next one to ask is answered LATER, by the new limits.
        """

        def step(rows: Rows) -> None:
            flow.update_limits(rows, max_in_flight=max_in_flight, rate_limit=rate_limit, by=by, reset=reset)

        self.atomically("update_limits", process, step)

    @abstractmethod
    def restore(self, process: str, stored: StoredProcess, works: Sequence[WorkInfo], *, force: bool = False) -> None:
        """Write what the reads of another store returned: overrides, limits, aggregate, last slot, epoch, and items.

        Items keep their lists, times and versions. Epoch, last slot and versions never decrease, a pause and limits are
        set and never removed, and an item with a newer version here stays, unless `force` replaces it. The history here
        stays; overrides of a higher version add one entry. A repeat changes nothing. Raises `RunOpen` before it writes
        anything.
        """


class Runs(Atomic):
    """The life of a run as a whole."""

    def claim_run(self, process: str, *, uuid: str, slot: SlotRef, spec: RunSpec, again: Again, by: str) -> RunClaim:
        """Start the run of a slot, if the slot is due and free and no run is open; at most one caller is answered CLAIMED.

        A repeat with the same uuid is answered ALREADY with that run. The slot's entry in the ledger becomes "ran", and
        the slots before it that no trigger claimed become one entry "missed".
        """
        run = lambda rows: begin.claim_run(rows, uuid=uuid, slot=slot, spec=spec, again=again, by=by)  # noqa: E731
        return self.atomically("claim_run", process, run)

    def redrive(self, process: str, run: str, *, uuid: str, spec: RunSpec, by: str) -> RunClaim:
        """Start a new generation of a closed run's slot over its items that did not complete and are still registered.

        An item completed if a run of the chain walked past it (`rules.walked`) and keeps no row of it, or a completed one.
        Raises `RunNotFound`, and `RunPurged` where its items are no longer kept.
        """
        return self.atomically("redrive", process, lambda rows: begin.redrive(rows, run, uuid=uuid, spec=spec, by=by))

    def skip_slot(self, process: str, *, slot: SlotRef, end: SlotEnd, by: str) -> bool:
        """Record in the ledger why a slot did not run, unless it has an entry; return whether one was written.

        With `slot.after` the entry is also for all slots later than that which the ledger does not have.
        """
        return self.atomically("skip_slot", process, lambda rows: begin.skip_slot(rows, slot=slot, end=end, by=by))

    @abstractmethod
    def stop_run(self, process: str, run: str, reason: StopReason) -> RunStatus | None:
        """Stop an open run: nothing new starts, what is pending is cancelled; return the run if this call closed it.

        The cursor stays, so that a redrive knows what was never enlisted; a run that is not ACTIVE enlists nothing.
        With SUPERSEDED the claimed items are cancelled as well and their holders are answered Conflict, so that the run
        is closed when the call returns. The first reason is kept.
        """

    @abstractmethod
    def repairs(self, process: str, run: str) -> Repairs:
        """Return what sweeps did to a run, open or closed, and no caller acknowledged; none of a run that is not kept."""

    @abstractmethod
    def ack_repairs(self, process: str, run: str, number: int) -> None:
        """Acknowledge the emitted repairs of this number; does nothing after a later sweep, whose number is another."""

    @abstractmethod
    def ack_finish(self, process: str, run: str) -> bool:
        """Note that the end of a closed run was emitted; return whether this was the first time."""

    @abstractmethod
    def begin_sweep(self, processes: Sequence[str], *, interval: timedelta, grace: timedelta) -> tuple[SweepTarget, ...]:
        """Return those of `processes` that need a look and had none for `interval`; each goes to one caller only.

        A closed run is a reason to look once its end has not been emitted for `grace`.
        """

    @abstractmethod
    def take_turns(self, processes: Collection[str], *, interval: timedelta) -> Mapping[str, datetime | None]:
        """Claim the sweep of those known of `processes` that had none for `interval`; this caller alone has it.

        Return each with the time of its last sweep, which says something only while it is not in the future.
        """

    @abstractmethod
    def purge(self, process: str, *, retention: Retention, limit: int) -> int:
        """Delete up to about `limit` rows past their retention; return how many. Less than `limit`: no more are."""


class Items(Atomic):
    """The life of the items of a run, from enlisting to their end."""

    @abstractmethod
    def open_page(self, process: str, run: str, *, token: str, size: int, window: int, rate: float | None = None) -> Page:
        """Enlist the next names of the run, if the window has room; the names are the caller's to publish.

        Stored limits win over `window` (items in flight) and `rate` (items a second; None: no limit of the code's,
        `math.inf`: nor a stored one). Under a rate the next page is due when the time of the last one has passed, whichever
        run of the process it belonged to. Until then one caller is answered LATER, and the others WAITING; if it takes
        longer than `limits.COMEBACK`, all are answered WAITING.

        A repeat with the token of an open page returns the same page; the token of a folded page opens a new one. At the
        end of both lists, with no page open, the call closes the run. The cleanup list begins when no page of the active
        list is open (WAITING until then).
        """

    @abstractmethod
    def mark_published(self, process: str, run: str, names: Collection[str]) -> None:
        """Note that messages for these items were sent."""

    @abstractmethod
    def claim(
        self, process: str, run: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
    ) -> tuple[ItemClaim, ...]:
        """Claim items, with one answer a name in the order of `names`; a repeat with the same token is CLAIMED again.

        An item whose name is no longer on the list it was enlisted from is REMOVED; under a pause it becomes unpublished.
        A name that has no item but a status of this run is DONE.
        """

    @abstractmethod
    def report(self, process: str, run: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
        """Write the totals of claimed items, extend their leases, and end those with an outcome.

        An item whose lease ran out, even if a sweep freed it, stays its last holder's until another caller claims it: a
        newer report of that holder claims it again, as the same attempt.

        Errors beyond the tolerance make the run ABORTING in the same transaction. A clean cleanup of a registration that
        did not change since its claim drops the item, in that transaction too. An older sequence writes nothing. Once its
        page is folded, an item that completed is no longer kept: the attempt in its status identifies its last report.
        """

    @abstractmethod
    def release(self, process: str, run: str, names: Sequence[str], *, token: str) -> Reported:
        """Return claimed items that were not started: they are pending and unpublished again, and use up no attempt."""

    @abstractmethod
    def sweep_run(
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
        """Repair an open run: expired leases, pages left open, items that were never published or never claimed.

        Items unpublished for longer than `grace` are returned to publish, at most about `limit` of them. A run without a
        claim for `redispatch_after` is stalled: all its items that `rules.published_again` names become unpublished at
        once, so that the next call returns those that this one does not, even if workers claim meanwhile.

        The repairs of items are kept with the run, in the same transaction, until `ack_repairs`, with at most
        `limits.MAX_LOST` names: beyond it an item stays claimed, under the lease that ran out, for the next call.

        A lease that ends later than `lease` from now was set by a clock that was ahead: it is cut to that, so that its
        holder has the time to renew it.
        """


class Reads(Atomic):
    """What people and schedules read. None grows with the number of items, except `work_counts`."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the store's clock."""

    @abstractmethod
    def process(self, process: str, *, live: bool = True) -> StoredProcess:
        """Return what is stored of a process; an empty state, if nothing is.

        With `live=False` the counts and stats of an open run leave out its open pages, and the window is not read.
        """

    @abstractmethod
    def overrides(self, process: str) -> Overrides:
        """Return the stored overrides alone."""

    @abstractmethod
    def settings_history(self, process: str, *, limit: int) -> tuple[Overrides, ...]:
        """Return the versions of the overrides, newest first, each with who made it and when.

        A version is kept until one is stored that is `MAX_VERSIONS` higher.
        """

    @abstractmethod
    def schedules(self) -> Mapping[str, str]:
        """Return the stored schedule of every process that has one: one read for a beat of any number of processes."""

    @abstractmethod
    def running(self) -> tuple[str, ...]:
        """Return the names of the processes that have an open run, defined by this app or by another, by code point."""

    @abstractmethod
    def run(self, process: str, run: str) -> RunStatus:
        """Return one run, or raise `RunNotFound`."""

    @abstractmethod
    def runs(self, process: str, *, before: int | None, limit: int) -> tuple[RunStatus, ...]:
        """Return runs with an epoch below `before` (None: all), newest first."""

    @abstractmethod
    def slots(self, process: str, *, before: datetime | None, limit: int) -> tuple[SlotEntry, ...]:
        """Return the ledger's entries for slots before `before` (None: all), newest first."""

    @abstractmethod
    def newest_slots(self, processes: Collection[str]) -> Mapping[str, NewestSlot]:
        """Return the newest entry of each ledger that has one: a round trip for a few hundred processes."""

    @abstractmethod
    def works(self, process: str, *, on: WorkList, after: str, limit: int) -> tuple[WorkInfo, ...]:
        """Return items of a list whose name comes after `after`, in name order (by code point)."""

    @abstractmethod
    def work(self, process: str, name: str) -> WorkInfo:
        """Return one item, or raise `WorkNotFound`."""

    @abstractmethod
    def work_counts(self, process: str) -> Mapping[WorkList, int]:
        """Return how many items each list has; not constant time on every store."""


class Store(Definitions, Runs, Items, Reads):
    """A place where definitions and runs live. Nothing connects before the first operation."""

    shared = True
    """Whether other operating-system processes see the same store; a worker of several needs it."""
    url = ""
    """The store's address, without its password."""
    pasted: Callable[[str], str] = str
    """Returns a text with the app's own name in its commands; set where an app opens the store."""

    @abstractmethod
    def check(self) -> tuple[StoreWarning, ...]:
        """Refuse with `SchemaMismatch` or `StoreUnavailable` a store that cannot serve; return what to warn of."""

    @abstractmethod
    def deployment(self, own: str = "", *, adopt: bool = False) -> str:
        """Return the id of the deployment that this store, under its prefix, is kept for; empty where none is noted.

        `own` is noted where there is none yet, or, with `adopt`, in place of the present one. Of several concurrent calls
        one is noted, and all return that one.
        """

    @abstractmethod
    def migrate(self) -> tuple[str, ...]:
        """Migrate the store's tables to the code's version; return one line for each step done."""

    @abstractmethod
    def close(self) -> None:
        """Release connections. The next operation opens them again."""


def operations(*parts: type) -> frozenset[str]:
    """Return the names of the operations of parts of the contract: those of all four, if none is named."""
    chosen: tuple[type, ...] = parts or (Definitions, Runs, Items, Reads)
    return frozenset(name for part in chosen for name in vars(part) if not name.startswith("_"))
