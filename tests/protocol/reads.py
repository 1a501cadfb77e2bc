"""Reads: what people and schedules see, page by page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celery_process.exceptions import RunNotFound, WorkNotFound
from celery_process.protocol.model import ItemCounts, StoredProcess
from celery_process.protocol.states import StopReason, WorkList, WorkState
from celery_process.protocol.tokens import claim_token
from celery_process.stores.base import END

from .driver import LEASE, MINUTE, Driver, at_once, new_id


class TestReads:
    """`process`, `run`, `runs`, `works`, `work`, `work_counts`."""

    def test_clock(self, drive: Driver) -> None:
        """The store's now is its clock's, an aware UTC instant."""
        assert drive.store.now() == drive.clock()
        drive.clock.advance(MINUTE)
        assert drive.store.now() == drive.clock()
        assert str(drive.store.now().tzinfo) == "UTC"

    def test_never_heard_of(self, drive: Driver) -> None:
        """A process never heard of has an empty state."""
        assert drive.store.process(drive.process) == StoredProcess(drive.process)
        assert drive.store.runs(drive.process, before=None, limit=9) == ()
        assert drive.store.slots(drive.process, before=None, limit=9) == ()
        assert drive.store.works(drive.process, on=WorkList.ACTIVE, after="", limit=9) == ()
        assert drive.store.work_counts(drive.process) == dict.fromkeys(WorkList, 0)

    def test_reading_writes_nothing(self, drive: Driver) -> None:
        """To be read changes nothing."""
        run = drive.begin("a")
        before = drive.store.process(drive.process)
        drive.clock.advance(MINUTE)
        drive.work("a")
        drive.status(run)
        assert drive.store.process(drive.process) == before

    def test_running(self, drive: Driver) -> None:
        """The processes with an open run are named, from its start to its close, a redrive among them."""
        drive.register("a")
        assert drive.process not in drive.store.running()
        run = drive.begin("a")
        assert drive.process in drive.store.running()
        drive.stop(run)
        assert drive.process not in drive.store.running()
        drive.redrive(run)
        assert [name for name in drive.store.running() if name == drive.process] == [drive.process]

    def test_not_live(self, drive: Driver) -> None:
        """Not live, a process is read without the window of its open run; all else is the same."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        drive.take(run, "a").finish(stats={"x": 1})
        drive.page(run, size=1)
        drive.take(run, "b")
        whole, brief = (drive.store.process(drive.process, live=live) for live in (True, False))
        assert whole.run is not None
        assert brief.run is not None
        assert (whole.run.counts, brief.run.counts) == (ItemCounts(completed=1, claimed=1), ItemCounts(completed=1))
        assert replace(brief, run=replace(brief.run, counts=whole.run.counts)) == whole
        drive.store.stop_run(drive.process, run, StopReason.SUPERSEDED)
        assert drive.store.process(drive.process, live=False) == drive.store.process(drive.process)

    def test_unknown_run(self, drive: Driver) -> None:
        """A run that is not kept is not found, with its facts, nor is one of the same epoch and another uuid."""
        kept = drive.start()
        for run in (f"9-{new_id()}", drive.double(kept), "0" + kept, "", "1", "nonsense", "99999999999999999999-x"):
            with pytest.raises(RunNotFound) as caught:
                drive.status(run)
            assert (caught.value.process, caught.value.run) == (drive.process, run)

    def test_unknown_work(self, drive: Driver) -> None:
        """An item that is not registered is not found, with its facts."""
        drive.register("a")
        with pytest.raises(WorkNotFound) as caught:
            drive.work("b")
        assert (caught.value.process, caught.value.work) == (drive.process, "b")

    def test_runs(self, drive: Driver) -> None:
        """Runs are read page by page, newest first, open ones too."""
        closed = [drive.run_through() for _ in range(4)]
        opened = drive.status(drive.start())
        whole = drive.store.runs(drive.process, before=None, limit=99)
        assert list(whole) == [opened, *reversed(closed)]
        first = drive.store.runs(drive.process, before=None, limit=2)
        assert first + drive.store.runs(drive.process, before=first[-1].epoch, limit=99) == whole
        assert drive.store.runs(drive.process, before=1, limit=9) == ()

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    def test_works(self, drive: Driver, limit: int) -> None:
        """Items of a list are read page by page, in order, each once."""
        drive.register(*"hgfedcba")
        drive.unregister("c", "x")
        seen: list[str] = []
        while page := drive.store.works(drive.process, on=WorkList.ACTIVE, after=seen[-1] if seen else "", limit=limit):
            assert len(page) <= limit
            seen += [work.name for work in page]
        assert seen == list("abdefgh")

    def test_works_after_a_name_that_is_gone(self, drive: Driver) -> None:
        """A page begins after a name, whether it is there or not."""
        drive.register("a", "c")
        assert [work.name for work in drive.store.works(drive.process, on=WorkList.ACTIVE, after="b", limit=9)] == ["c"]
        assert drive.store.works(drive.process, on=WorkList.ACTIVE, after=END, limit=9) == ()

    def test_works_are_what_work_says(self, drive: Driver) -> None:
        """A list shows of each item what reading it alone shows, during a run and after."""
        run = drive.begin("a", "b", cleanup=("c",))
        drive.take(run, "a").finish(errors=1, stats={"x": 1})
        drive.take(run, "b")
        listed = drive.store.works(drive.process, on=WorkList.ACTIVE, after="", limit=9)
        assert listed == (drive.work("a"), drive.work("b"))
        drive.stop(run)
        assert drive.store.works(drive.process, on=WorkList.ACTIVE, after="", limit=9) == (drive.work("a"), drive.work("b"))

    def test_work_counts(self, drive: Driver) -> None:
        """Each list counts its items."""
        drive.run_through("a", "b", "c", cleanup=("x",))
        drive.unregister("y", "z")
        counts = drive.store.work_counts(drive.process)
        assert counts == {WorkList.ACTIVE: 3, WorkList.CLEANUP: 2, WorkList.DROPPED: 1}

    def test_same_names_in_other_processes(self, drive: Driver) -> None:
        """Process names that begin alike or differ in case are apart."""
        for other in (drive.process.upper(), drive.process + "x", drive.process[:-1], drive.process.replace("-", "_")):
            drive.store.register(other, {"a": '{"x":1}'})
        with pytest.raises(WorkNotFound):
            drive.work("a")

    def test_longest_process_name(self, drive: Driver) -> None:
        """A process name of a hundred characters works."""
        other = Driver(drive.store, (drive.process + "_.-" * 99)[:100], drive.clock)
        assert other.run_through("a").counts.completed == 1

    def test_race_of_reads(self, drive: Driver) -> None:
        """What is read while a run is worked holds together: never more ended than enlisted, never less than before."""
        names = [f"n{number}" for number in range(4)]
        run = drive.begin(*names)

        def act(number: int) -> list[int]:
            if number < 4:
                drive.take(run, names[number]).finish(stats={"x": 1})
                return []
            seen = []
            for _ in range(10):
                status = drive.status(run)
                assert status.counts.enlisted == 4
                assert status.stats.get("work.x", 0) == status.counts.completed
                seen.append(status.counts.completed)
            return seen

        for seen in at_once(act):
            assert seen == sorted(seen)


class TestUpkeep:
    """`check`, `migrate`, `close`, `url`."""

    def test_check(self, drive: Driver) -> None:
        """A store that can serve raises nothing; what it warns of comes with what to do."""
        assert all(warning.text and warning.cure for warning in drive.store.check())

    def test_migrate_again(self, drive: Driver) -> None:
        """A store that is up to date stays as it is."""
        drive.register("a")
        drive.store.migrate()
        assert drive.store.migrate() == ()
        assert drive.work("a").on is WorkList.ACTIVE

    def test_url(self, drive: Driver) -> None:
        """The address of a store is a URL."""
        assert "://" in drive.store.url


class TestLastStatus:
    """What is seen of an item between the opening of a run and its first claim there (B14)."""

    def test_until_claimed(self, drive: Driver) -> None:
        """The last status stays, with its errors, until the item is claimed; with it the run in which the item waits."""
        first = drive.begin("a", "b")
        for name in "ab":
            drive.take(first, name).finish(WorkState.INCOMPLETE, errors=3)
        drive.page(first)  # at the end of the lists, so that the run closes
        run = drive.begin()
        for seen in (drive.work("a"), drive.store.works(drive.process, on=WorkList.ACTIVE, after="", limit=9)[0]):
            assert (seen.status.state, seen.status.total_errors, seen.status.waits_in) == (WorkState.INCOMPLETE, 3, run)
            assert len(seen.status.errors) == 3
        drive.take(run, "a")
        claimed = drive.work("a").status
        assert (claimed.state, claimed.total_errors, claimed.waits_in) == (WorkState.ACTIVE, 0, "")
        assert drive.work("b").status.total_errors == 3

    def test_never_run(self, drive: Driver) -> None:
        """An item that never ran is NEW and waits in the run that enlisted it."""
        run = drive.begin("a")
        assert (drive.work("a").status.state, drive.work("a").status.waits_in) == (WorkState.NEW, run)

    def test_given_back(self, drive: Driver) -> None:
        """Released before it began, an item shows its last status again; freed by the sweep, what its attempt recorded."""
        drive.run_through("a")
        run = drive.begin()
        held = drive.take(run, "a")
        drive.release(run, "a", token=held.token)
        assert (drive.work("a").status.state, drive.work("a").status.waits_in) == (WorkState.COMPLETED, run)
        drive.take(run, "a").report(errors=2)
        drive.clock.advance(LEASE)
        drive.sweep(run)
        freed = drive.work("a").status
        assert (freed.state, freed.total_errors, freed.attempt, freed.waits_in) == (WorkState.NEW, 2, 1, run)

    def test_registered_anew(self, drive: Driver) -> None:
        """With other params the item is NEW, whatever its last run was."""
        drive.run_through("a")
        drive.register("a", params='{"x":1}')
        run = drive.begin()
        assert (drive.work("a").status.state, drive.work("a").status.waits_in) == (WorkState.NEW, run)

    def test_task_of_the_last_attempt(self, drive: Driver) -> None:
        """The Celery task of the last attempt is known while it runs, when the item ended, and when it was lost."""
        run = drive.begin("a", "b", "c", "d")
        drive.take(run, "a", token=claim_token("task-1"))
        drive.take(run, "b", token=claim_token("task_2")).finish(errors=2)
        drive.take(run, "c", token=claim_token("task.3")).finish()
        assert [drive.work(name).status.task_id for name in "abcd"] == ["task-1", "task_2", "task.3", ""]
        drive.take(run, "d", token=claim_token("no id\nof a task")).finish()
        drive.clock.advance(LEASE)
        drive.sweep(run, max_attempts=1)
        drive.page(run)
        assert not drive.status(run).state.is_open
        assert [drive.work(name).status.task_id for name in "abcd"] == ["task-1", "task_2", "task.3", ""]
