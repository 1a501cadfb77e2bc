"""Cleanup: a clean one drops its item at once, and nothing else does."""

from __future__ import annotations

import pytest

from celery_process.protocol.states import RunState, StopReason, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import LEASE, SECOND, Driver, at_once


class TestCleanup:
    """`report` of an item of the cleanup list."""

    def test_dropped_at_once(self, drive: Driver) -> None:
        """A clean cleanup drops its item in the same call, before the run ends (W9, W21)."""
        run = drive.begin(cleanup=("a", "b"))
        drive.take(run, "a").finish()
        assert drive.work("a").on is WorkList.DROPPED
        assert drive.work("b").on is WorkList.CLEANUP
        assert drive.status(run).state is RunState.ACTIVE

    def test_one_of_several(self, drive: Driver) -> None:
        """Of names that were unregistered in one call, the one that was cleaned is dropped."""
        run = drive.begin(cleanup=("a", "b", "c"))
        drive.take(run, "a").finish(WorkState.INCOMPLETE)
        drive.take(run, "c").finish()
        assert [drive.work(name).on for name in "abc"] == [WorkList.CLEANUP, WorkList.CLEANUP, WorkList.DROPPED]

    def test_stats(self, drive: Driver) -> None:
        """A clean cleanup counts as cleaned, and is no work item (B26)."""
        closed = drive.run_through("b", cleanup=("a",))
        assert closed.stats["workItemsCleaned"] == 1
        assert closed.stats["workItems"] == 1
        assert "workItemsDirty" not in closed.stats

    def test_status(self, drive: Driver) -> None:
        """A dropped item keeps the status of its cleanup."""
        run = drive.begin(cleanup=("a",))
        drive.take(run, "a").finish(stats={"x": 1})
        drive.page(run)
        status = drive.work("a").status
        assert (status.state, status.stats) == (WorkState.COMPLETED, {"x": 1})

    @pytest.mark.parametrize(
        ("outcome", "errors"), [(WorkState.COMPLETED, 1), (WorkState.INCOMPLETE, 0), (WorkState.ABORTED, 0)]
    )
    def test_dirty(self, drive: Driver, outcome: WorkState, errors: int) -> None:
        """A cleanup with an error, or that did not complete, stays on the list (W28)."""
        run = drive.begin(cleanup=("a",))
        drive.take(run, "a").finish(outcome, errors=errors)
        drive.page(run)
        assert drive.work("a").on is WorkList.CLEANUP
        if outcome is not WorkState.COMPLETED:
            assert drive.status(run).stats["workItemsDirty"] == 1

    def test_dirty_is_cleaned_again(self, drive: Driver) -> None:
        """A cleanup that was not clean comes again in the next run."""
        run = drive.begin(cleanup=("a",))
        drive.take(run, "a").finish(WorkState.INCOMPLETE)
        drive.page(run)
        drive.run_through()
        assert drive.work("a").on is WorkList.DROPPED

    def test_errors_of_the_run_itself(self, drive: Driver) -> None:
        """Errors of the run itself do not make a cleanup unclean."""
        run = drive.begin(cleanup=("a",))
        drive.take(run, "a").finish(run_errors=1)
        assert drive.work("a").on is WorkList.DROPPED

    def test_errors_of_a_dead_attempt(self, drive: Driver) -> None:
        """Only the winning attempt decides whether a cleanup was clean (I12)."""
        run = drive.begin(cleanup=("a",))
        drive.take(run, "a").report(errors=1)
        drive.clock.advance(LEASE)
        drive.take(run, "a").finish()
        assert drive.work("a").on is WorkList.DROPPED

    def test_registered_meanwhile(self, drive: Driver) -> None:
        """An item that was registered again during its cleanup stays active."""
        run = drive.begin(cleanup=("a",))
        held = drive.take(run, "a")
        drive.register("a")
        held.finish()
        drive.page(run)
        assert (drive.work("a").on, drive.work("a").status.state) == (WorkList.ACTIVE, WorkState.NEW)

    def test_listed_anew_meanwhile(self, drive: Driver) -> None:
        """A cleanup that began before its item was registered and unregistered once more drops nothing (I12)."""
        run = drive.begin(cleanup=("a",))
        held = drive.take(run, "a")
        drive.register("a")
        drive.unregister("a")
        held.finish()
        drive.page(run)
        assert drive.work("a").on is WorkList.CLEANUP

    def test_repeated(self, drive: Driver) -> None:
        """A clean end reported again does not drop what was unregistered since."""
        run = drive.begin(cleanup=("a", "b"))
        held = drive.take(run, "a")
        report = held.next(WorkState.COMPLETED)
        held.send(report)
        drive.register("a")
        drive.unregister("a")
        held.send(report)
        assert drive.work("a").on is WorkList.CLEANUP

    def test_stale_token(self, drive: Driver) -> None:
        """A clean end from who lost its claim drops nothing."""
        run = drive.begin(cleanup=("a",))
        held = drive.take(run, "a")
        drive.clock.advance(LEASE)
        drive.take(run, "a")
        held.finish()
        assert drive.work("a").on is WorkList.CLEANUP

    def test_active_is_never_dropped(self, drive: Driver) -> None:
        """Active work that completed stays active."""
        drive.run_through("a")
        assert drive.work("a").on is WorkList.ACTIVE

    def test_unregistered_while_worked(self, drive: Driver) -> None:
        """An item that was unregistered while claimed finishes as active work, and is cleaned in the next run."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.clock.advance(SECOND)
        drive.unregister("a")
        held.finish()
        drive.page(run)
        assert drive.status(run).stats["workItems"] == 1
        assert drive.work("a").on is WorkList.CLEANUP
        assert drive.run_through().stats["workItemsCleaned"] == 1

    def test_dropped_stays_dropped_after_an_abort(self, drive: Driver) -> None:
        """What was cleaned before a run aborted is not cleaned again (W21)."""
        run = drive.begin(cleanup=("a", "b"))
        drive.take(run, "a").finish()
        drive.take(run, "b").finish(WorkState.ABORTED, errors=11)
        assert drive.status(run).state is RunState.ABORTED
        assert drive.work("a").on is WorkList.DROPPED
        assert drive.run_through().counts.enlisted == 1

    def test_aborted_run_cleans_nothing(self, drive: Driver) -> None:
        """A run that aborts in its active list cleans nothing."""
        run = drive.begin("b", cleanup=("a",))
        drive.take(run, "b").finish(WorkState.ABORTED, errors=11)
        drive.page(run)
        assert drive.work("a").on is WorkList.CLEANUP

    def test_cancelled(self, drive: Driver) -> None:
        """A cancelled cleanup counts as aborted, and stays on the list."""
        run = drive.begin(cleanup=("a",))
        closed = drive.stop(run, StopReason.CANCELLED)
        assert closed is not None
        assert closed.stats["workItemsAborted"] == 1
        assert drive.work("a").on is WorkList.CLEANUP

    def test_race(self, drive: Driver) -> None:
        """Cleanups that end while their names are registered and unregistered lose no registration (I10)."""
        names = [f"n{number}" for number in range(4)]
        run = drive.begin(cleanup=tuple(names))
        held = [drive.take(run, name) for name in names]

        def act(number: int) -> None:
            if number % 2:
                drive.register(names[number // 2], params='{"x":1}')
            else:
                held[number // 2].finish()

        at_once(act)
        assert drive.store.work_counts(drive.process)[WorkList.ACTIVE] == 4
        drive.page(run)
        assert drive.status(run).stats["workItemsCleaned"] == 4
        check_invariants(drive.store, drive.process)
