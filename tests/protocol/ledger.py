"""The ledger: every slot has an end."""

from __future__ import annotations

from datetime import datetime

import pytest

from celery_process.protocol.model import NewestSlot, SlotEntry, SlotRef
from celery_process.protocol.states import Again, By, RunAnswer, SlotEnd
from celery_process.testing.invariants import check_invariants

from .driver import HOUR, Driver, at_once


class TestLedger:
    """`skip_slot`, `slots`, and what `claim_run` writes down."""

    def entries(self, drive: Driver) -> tuple[SlotEntry, ...]:
        """Return the whole ledger."""
        return drive.store.slots(drive.process, before=None, limit=1_000)

    def skip(self, drive: Driver, end: SlotEnd, *, by: str = "suite") -> bool:
        """Skip the present slot."""
        return drive.store.skip_slot(drive.process, slot=drive.slot(), end=end, by=by)

    def test_ran(self, drive: Driver) -> None:
        """A claimed slot ran: with its run, the time and who claimed it."""
        claim = drive.claim_run(by="beat@host")
        assert claim.run is not None
        slot = drive.slot().slot
        assert self.entries(drive) == (SlotEntry(slot, SlotEnd.RAN, drive.clock(), "beat@host", claim.run.id),)

    @pytest.mark.parametrize("end", [end for end in SlotEnd if end is not SlotEnd.RAN])
    def test_skipped(self, drive: Driver, end: SlotEnd) -> None:
        """A skipped slot's entry has the reason, the time and the caller."""
        assert self.skip(drive, end, by="beat@host") is True
        assert self.entries(drive) == (SlotEntry(drive.slot().slot, end, drive.clock(), "beat@host"),)

    def test_repeated(self, drive: Driver) -> None:
        """A slot that the ledger has is not written again."""
        assert self.skip(drive, SlotEnd.PAUSED) is True
        before = self.entries(drive)
        assert self.skip(drive, SlotEnd.PAUSED) is False
        assert self.skip(drive, SlotEnd.OVERLAPPED) is False
        assert self.entries(drive) == before

    def test_slot_that_ran(self, drive: Driver) -> None:
        """A slot that ran is not skipped."""
        drive.claim_run()
        assert self.skip(drive, SlotEnd.OVERLAPPED) is False
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN]

    @pytest.mark.parametrize("end", [SlotEnd.PAUSED, SlotEnd.DECLINED])
    def test_may_still_run(self, drive: Driver, end: SlotEnd) -> None:
        """A slot that was paused or declined may still run, and then it ran."""
        self.skip(drive, end)
        assert drive.claim_run().answer is RunAnswer.CLAIMED
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN]

    @pytest.mark.parametrize("end", [SlotEnd.OVERLAPPED, SlotEnd.TOO_LATE, SlotEnd.MISSED])
    def test_may_not_run(self, drive: Driver, end: SlotEnd) -> None:
        """A slot that was overlapped, too late or missed does not run, unless by hand."""
        self.skip(drive, end)
        assert drive.claim_run().answer is RunAnswer.LOST
        assert drive.claim_run(again=Again.ALWAYS).answer is RunAnswer.CLAIMED
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN]

    def test_missed(self, drive: Driver) -> None:
        """The slots without a trigger since the last one are one entry, for the range up to the one before."""
        drive.run_through()
        first = drive.slot().slot
        drive.clock.advance(5 * HOUR)
        drive.claim_run()
        _, missed, _ = self.entries(drive)
        assert (missed.end, missed.after, missed.slot) == (SlotEnd.MISSED, first, first + 4 * HOUR)

    def test_one_missed(self, drive: Driver) -> None:
        """One slot without a trigger is an entry too."""
        drive.run_through()
        first = drive.slot().slot
        drive.clock.advance(2 * HOUR)
        drive.claim_run()
        assert [(entry.slot, entry.end) for entry in self.entries(drive)][1] == (first + HOUR, SlotEnd.MISSED)

    def test_missed_before_a_skip(self, drive: Driver) -> None:
        """A slot that is skipped accounts for the slots before it as well."""
        drive.run_through()
        drive.clock.advance(5 * HOUR)
        self.skip(drive, SlotEnd.PAUSED)
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.PAUSED, SlotEnd.MISSED, SlotEnd.RAN]

    def skip_late(self, drive: Driver, first: datetime, last: datetime) -> bool:
        """End the slots from `first` to `last` as late."""
        slot = SlotRef(last, last, previous=first - HOUR, schedule="3600", after=first - HOUR)
        return drive.store.skip_slot(drive.process, slot=slot, end=SlotEnd.LATE, by="beat")

    def test_late(self, drive: Driver) -> None:
        """Slots whose triggers came late are one entry; those before them that had no trigger were missed."""
        drive.run_through()
        ran = drive.slot().slot
        drive.clock.advance(5 * HOUR)
        assert self.skip_late(drive, ran + 3 * HOUR, ran + 4 * HOUR)
        assert not self.skip_late(drive, ran + 4 * HOUR, ran + 4 * HOUR)
        drive.claim_run()
        found = [(entry.slot - ran, entry.end, entry.after and entry.after - ran) for entry in self.entries(drive)]
        assert found == [
            (5 * HOUR, SlotEnd.RAN, None),
            (4 * HOUR, SlotEnd.LATE, 2 * HOUR),
            (2 * HOUR, SlotEnd.MISSED, 0 * HOUR),
            (0 * HOUR, SlotEnd.RAN, None),
        ]

    def test_late_and_ran(self, drive: Driver) -> None:
        """A trigger that comes once more, late, leaves what ran as it is and ends the slots after it alone."""
        drive.run_through()
        ran = drive.slot().slot
        drive.clock.advance(3 * HOUR)
        assert self.skip_late(drive, ran, ran + 2 * HOUR)
        newest, oldest = self.entries(drive)
        assert (newest.end, newest.slot, newest.after) == (SlotEnd.LATE, ran + 2 * HOUR, ran)
        assert oldest.end is SlotEnd.RAN
        assert drive.claim_run(slot=SlotRef(newest.slot, newest.slot)).answer is RunAnswer.LOST

    def test_nothing_missed(self, drive: Driver) -> None:
        """Slot after slot nothing is missed."""
        for _ in range(3):
            drive.run_through()
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN] * 3

    def test_first_slot(self, drive: Driver) -> None:
        """Before the first slot nothing was missed."""
        drive.clock.advance(100 * HOUR)
        drive.claim_run()
        assert len(self.entries(drive)) == 1

    def test_other_rule(self, drive: Driver) -> None:
        """A schedule that changed since does not apply to the past, so nothing is missed."""
        drive.run_through()
        drive.clock.advance(5 * HOUR)
        drive.claim_run(slot=drive.slot(schedule="1800"))
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN, SlotEnd.RAN]

    def test_generations(self, drive: Driver) -> None:
        """A slot that ran again is one entry."""
        drive.run_through()
        drive.claim_run(again=Again.ALWAYS)
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN]

    def test_pages(self, drive: Driver) -> None:
        """The ledger is read page by page, newest first."""
        for _ in range(5):
            drive.run_through()
        whole = self.entries(drive)
        assert [entry.slot for entry in whole] == sorted((entry.slot for entry in whole), reverse=True)
        first = drive.store.slots(drive.process, before=None, limit=2)
        assert first + drive.store.slots(drive.process, before=first[-1].slot, limit=99) == whole

    def test_race(self, drive: Driver) -> None:
        """Of callers who skip a slot at once one writes it down."""
        ends = [SlotEnd.PAUSED, SlotEnd.OVERLAPPED]
        assert at_once(lambda number: self.skip(drive, ends[number % 2])).count(True) == 1
        assert len(self.entries(drive)) == 1

    def test_race_with_claims(self, drive: Driver) -> None:
        """A slot that is skipped and claimed at once has one entry, and ran if a claim won."""

        def act(number: int) -> bool:
            if number % 2:
                return drive.claim_run().answer is RunAnswer.CLAIMED
            self.skip(drive, SlotEnd.OVERLAPPED)
            return False

        won = at_once(act).count(True)
        assert won <= 1
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN if won else SlotEnd.OVERLAPPED]
        check_invariants(drive.store, drive.process)

    def test_race_over_missed_slots(self, drive: Driver) -> None:
        """Claims at once write the missed slots down once."""
        drive.run_through()
        drive.clock.advance(5 * HOUR)
        at_once(lambda _: drive.claim_run())
        assert [entry.end for entry in self.entries(drive)] == [SlotEnd.RAN, SlotEnd.MISSED, SlotEnd.RAN]

    def test_newest(self, drive: Driver) -> None:
        """The newest entry of each ledger that has one is read at once, with whether a schedule ever claimed a slot."""
        assert drive.store.newest_slots([drive.process, "other"]) == {}
        drive.claim_run(by="run_now")
        by_hand = NewestSlot(drive.slot().slot, SlotEnd.RAN, "run_now", scheduled=False, paused=False)
        assert drive.store.newest_slots(["other", drive.process]) == {drive.process: by_hand}
        drive.clock.advance(HOUR)
        self.skip(drive, SlotEnd.OVERLAPPED, by=By.BEAT)
        drive.clock.advance(HOUR)
        self.skip(drive, SlotEnd.OVERLAPPED, by="somebody")
        drive.pause()
        newest = NewestSlot(drive.slot().slot, SlotEnd.OVERLAPPED, "somebody", scheduled=True, paused=True)
        assert drive.store.newest_slots([drive.process]) == {drive.process: newest}

    @pytest.mark.parametrize("end", [SlotEnd.RAN, SlotEnd.PAUSED])
    def test_brought_by_the_schedule(self, drive: Driver, end: SlotEnd) -> None:
        """An entry keeps that the schedule claimed its slot, also when a person runs it again or redrives it."""
        if end is SlotEnd.RAN:
            drive.claim_run(by=By.BEAT)
            drive.work_off(drive.store.slots(drive.process, before=None, limit=1)[0].run_id or "")
        else:
            self.skip(drive, end, by=By.BEAT)
        claim = drive.claim_run(again=Again.ALWAYS, by="ann")
        assert claim.run is not None
        run = drive.work_off(claim.run.id)
        assert [(entry.end, entry.by, entry.run_id) for entry in self.entries(drive)] == [(SlotEnd.RAN, "beat", run.id)]
        again = drive.redrive(run.id)
        assert again.run is not None
        assert [(entry.by, entry.run_id) for entry in self.entries(drive)] == [("beat", again.run.id)]
        assert drive.store.newest_slots([drive.process])[drive.process].scheduled

    def test_newest_of_many(self, drive: Driver) -> None:
        """However many are asked for, each has its own; a name may be asked for twice."""
        names = [f"{drive.process}-{number}" for number in range(600)]
        for name in names[::200]:
            drive.store.skip_slot(name, slot=drive.slot(), end=SlotEnd.DECLINED, by=By.SWEEP)
        found = drive.store.newest_slots([*names, *names[:1]])
        assert set(found) == set(names[::200])
        assert {one.scheduled for one in found.values()} == {True}
