"""Pages: how a run takes names from the lists, and how much of it is open at once."""

from __future__ import annotations

import pytest

from celery_process.protocol.states import PageAnswer, RunState, WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import MINUTE, SECOND, Driver, at_once, new_id


def names_of(count: int, *, prefix: str = "n") -> tuple[str, ...]:
    """Return names in their order."""
    return tuple(f"{prefix}{number:04}" for number in range(count))


class TestPages:
    """`open_page`."""

    def test_opened(self, drive: Driver) -> None:
        """A page has the first names of the active list, in order, as pending items."""
        run = drive.start("c", "a", "b")
        page = drive.page(run, size=2)
        assert (page.answer, page.on, page.names, page.run) == (PageAnswer.OPENED, WorkList.ACTIVE, ("a", "b"), None)
        assert drive.status(run).counts.pending == 2

    def test_next(self, drive: Driver) -> None:
        """The next page goes on after the last name."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=2)
        assert drive.page(run, size=2).names == ("c",)

    def test_repeated(self, drive: Driver) -> None:
        """The same token again is answered with the same page, and enlists nothing."""
        run, token = drive.start("a", "b", "c"), new_id()
        first = drive.page(run, token=token, size=2)
        assert drive.page(run, token=token, size=2) == first
        assert drive.status(run).counts.enlisted == 2

    def test_repeated_when_over(self, drive: Driver) -> None:
        """The same token again is answered with the same page while that is open, even when some of its items are done."""
        run, token = drive.start("a", "b", "c"), new_id()
        first = drive.page(run, token=token, size=2)
        drive.take(run, "a").finish()
        assert drive.page(run, token=token, size=2) == first

    def test_repeated_when_folded(self, drive: Driver) -> None:
        """The token of a page that is folded opens another one, and the names of the first do not come again."""
        run, token = drive.start("a", "b", "c"), new_id()
        drive.page(run, token=token, size=1)
        drive.take(run, "a").finish()
        assert drive.page(run, token=token, size=1).names == ("b",)
        assert drive.status(run).counts.enlisted == 2

    def test_repeated_while_paused(self, drive: Driver) -> None:
        """A repeat is recognised before the pause is looked at."""
        run, token = drive.start("a"), new_id()
        first = drive.page(run, token=token)
        drive.pause()
        assert drive.page(run, token=token) == first

    def test_full(self, drive: Driver) -> None:
        """With no room in the window no page is opened."""
        run = drive.start(*names_of(20))
        assert len(drive.page(run, size=5, window=10).names) == 5
        assert len(drive.page(run, size=5, window=10).names) == 5
        assert drive.page(run, size=5, window=10).answer is PageAnswer.FULL
        assert drive.status(run).counts.enlisted == 10

    def test_room_again(self, drive: Driver) -> None:
        """Items that are over make room for another page."""
        run = drive.start(*names_of(6))
        first = drive.page(run, size=2, window=4).names
        drive.page(run, size=2, window=4)
        for name in first:
            drive.take(run, name).finish()
        assert drive.page(run, size=2, window=4).names == ("n0004", "n0005")

    def test_room_on_open_pages(self, drive: Driver) -> None:
        """Items that are over make room while their pages are open."""
        run = drive.start(*"abcdef")
        for names in ("ab", "cd"):
            assert drive.page(run, size=2, window=4).names == tuple(names)
            drive.take(run, names[0]).finish()
        assert drive.page(run, size=2, window=4).names == ("e", "f")

    def test_small_window(self, drive: Driver) -> None:
        """Two pages fit into a window that is smaller than two pages."""
        run = drive.start(*names_of(6))
        assert len(drive.page(run, size=500, window=4).names) == 2

    def test_window_of_one(self, drive: Driver) -> None:
        """A window of one item gives pages of one item."""
        run = drive.start("a", "b")
        assert drive.page(run, window=1).names == ("a",)
        assert drive.page(run, window=1).answer is PageAnswer.FULL

    def test_cleanup_after_active(self, drive: Driver) -> None:
        """The cleanup list waits until no page of the active list is open (B18)."""
        run = drive.begin("b", cleanup=("a",))
        assert drive.page(run).answer is PageAnswer.WAITING
        drive.take(run, "b").finish()
        page = drive.page(run)
        assert (page.answer, page.on, page.names) == (PageAnswer.OPENED, WorkList.CLEANUP, ("a",))

    def test_only_cleanup(self, drive: Driver) -> None:
        """Without active items the cleanup list comes at once."""
        page = drive.page(drive.start(cleanup=("a", "b")))
        assert (page.on, page.names) == (WorkList.CLEANUP, ("a", "b"))

    def test_end(self, drive: Driver) -> None:
        """At the end of both lists, with a page open, nothing is opened and the run stays open."""
        run = drive.begin(cleanup=("a",))
        page = drive.page(run)
        assert (page.answer, page.run) == (PageAnswer.CLOSED, None)
        assert drive.status(run).state is RunState.ACTIVE

    def test_nothing_listed(self, drive: Driver) -> None:
        """A run without items is closed by the call that finds none."""
        run = drive.start()
        page = drive.page(run)
        assert (page.answer, page.names) == (PageAnswer.CLOSED, ())
        assert page.run == drive.status(run)
        assert page.run.state is RunState.COMPLETED

    def test_close_repeated(self, drive: Driver) -> None:
        """A closed run is closed once: a repeat is answered CLOSED without it."""
        run, token = drive.start(), new_id()
        drive.page(run, token=token)
        page = drive.page(run, token=token)
        assert (page.answer, page.run) == (PageAnswer.CLOSED, None)

    def test_paused(self, drive: Driver) -> None:
        """A paused process opens no page."""
        run = drive.start("a")
        drive.pause()
        assert drive.page(run).answer is PageAnswer.PAUSED
        assert drive.status(run).counts.enlisted == 0

    def test_paused_at_the_end(self, drive: Driver) -> None:
        """A run with nothing more to enlist is CLOSED in a pause as well."""
        run = drive.begin(cleanup=("a",))
        assert drive.page(run).answer is PageAnswer.CLOSED
        drive.pause()
        assert drive.page(run).answer is PageAnswer.CLOSED

    def test_aborting(self, drive: Driver) -> None:
        """A run that is ABORTING opens no page (I9)."""
        run = drive.start("a", "b")
        drive.page(run, size=1)
        drive.take(run, "a").report(errors=11)
        assert drive.page(run).answer is PageAnswer.CLOSED
        assert drive.status(run).counts.enlisted == 1

    def test_unknown_run(self, drive: Driver) -> None:
        """A run that is not kept opens no page."""
        assert drive.page(f"9-{new_id()}").answer is PageAnswer.CLOSED

    def test_other_uuid(self, drive: Driver) -> None:
        """The epoch alone names no run: a run that a store forgot, with its last writes, does not match."""
        assert drive.page(drive.double(drive.start("a"))).answer is PageAnswer.CLOSED

    def test_registered_after_the_start(self, drive: Driver) -> None:
        """What is registered after the start waits for the next run (B19)."""
        run = drive.start("a")
        drive.clock.advance(MINUTE)
        drive.register("b")
        assert drive.page(run).names == ("a",)
        drive.take(run, "a").finish()
        assert drive.work_off(run).counts.completed == 1
        assert drive.run_through().counts.completed == 2

    def test_unregistered_before_its_page(self, drive: Driver) -> None:
        """A name unregistered before its page is not enlisted, and is cleaned in the next run."""
        run = drive.start("a", "b", "c")
        drive.page(run, size=1)
        drive.clock.advance(MINUTE)
        drive.unregister("b")
        assert drive.page(run).names == ("c",)
        for name in ("a", "c"):
            drive.take(run, name).finish()
        assert drive.page(run).names == ()
        assert drive.status(run).counts.enlisted == 2

    def test_never_twice(self, drive: Driver) -> None:
        """A name that moves from list to list during a run is enlisted once in it, even in one instant of the clock."""
        drive.register("a", "b")
        claim = drive.claim_run()
        assert claim.run is not None
        run = claim.run.id
        drive.page(run, size=1)
        drive.take(run, "a").finish()
        drive.unregister("a", "b")
        drive.register("b")
        seen: list[str] = []
        while page := drive.page(run, size=1).names:
            seen += page
            drive.take(run, page[0]).finish()
        assert "a" not in seen
        assert len(seen) == len(set(seen))

    def test_new_params_are_no_new_listing(self, drive: Driver) -> None:
        """New params before its page leave an item in the run: it is worked with them (B20)."""
        run = drive.start("a")
        drive.clock.advance(MINUTE)
        drive.register("a", params='{"x":1}')
        assert drive.page(run).names == ("a",)
        assert drive.take(run, "a").claim.params == '{"x":1}'

    def test_dropped_is_not_enlisted(self, drive: Driver) -> None:
        """A dropped name is in no run."""
        drive.run_through(cleanup=("a",))
        assert drive.run_through().counts.enlisted == 0

    @pytest.mark.parametrize("size", [500, 7])
    def test_many(self, drive: Driver, size: int) -> None:
        """All names are taken, each once and in order, page by page."""
        names = names_of(1_100 if size == 500 else 50)
        run = drive.start(*names)
        seen: list[str] = []
        while page := drive.page(run, size=size, window=10_000).names:
            seen += page
        assert tuple(seen) == names

    def test_one_run_after_the_other(self, drive: Driver) -> None:
        """Each run walks the whole lists again."""
        assert drive.run_through("a", "b").counts.completed == 2
        assert drive.run_through().counts.completed == 2

    def test_race(self, drive: Driver) -> None:
        """Pages opened at once share no name, and contain all of them."""
        names = names_of(40)
        run = drive.start(*names)
        pages = at_once(lambda _: drive.page(run, size=5))
        taken = [name for page in pages for name in page.names]
        assert sorted(taken) == list(names)
        assert all(len(page.names) == 5 for page in pages)

    def test_race_with_one_token(self, drive: Driver) -> None:
        """One page asked for several times at once is one page."""
        run, token = drive.start(*names_of(40)), new_id()
        pages = at_once(lambda _: drive.page(run, token=token, size=5))
        assert set(pages) == {pages[0]}
        assert drive.status(run).counts.enlisted == 5

    def test_race_for_the_window(self, drive: Driver) -> None:
        """Pages opened at once never fill more than the window."""
        run = drive.start(*names_of(40))
        at_once(lambda _: drive.page(run, size=5, window=10))
        assert drive.status(run).counts.enlisted == 10

    def test_race_to_close(self, drive: Driver) -> None:
        """Of callers who find the lists at their end at once, one closes the run."""
        run = drive.start()
        closed = [page.run for page in at_once(lambda _: drive.page(run)) if page.run]
        assert closed == [drive.status(run)]
        check_invariants(drive.store, drive.process)

    def test_race_with_registrations(self, drive: Driver) -> None:
        """Registrations during a run lose no name, and enlist none twice."""
        drive.register(*names_of(30))
        run = drive.start()

        def act(number: int) -> tuple[str, ...]:
            if number % 2:
                drive.register(*names_of(30, prefix=f"m{number}"))
                return ()
            return drive.page(run, size=10, window=10_000).names

        taken = [name for names in at_once(act) for name in names]
        while names := drive.page(run, window=10_000).names:
            taken += names
        assert len(taken) == len(set(taken))
        assert set(names_of(30)) <= set(taken)


class TestPublishing:
    """`mark_published`."""

    def test_other_uuid_published(self, drive: Driver) -> None:
        """What is noted for a run of the same epoch but another uuid is not noted for this one."""
        run = drive.begin("a")
        drive.store.mark_published(drive.process, f"{drive.status(run).epoch}-{new_id()}", ["a"])
        drive.clock.advance(11 * SECOND)
        assert drive.sweep(run).publish

    def test_published(self, drive: Driver) -> None:
        """An item that was published is not returned to publish."""
        run = drive.begin("a", "b")
        drive.store.mark_published(drive.process, run, ["a"])
        drive.clock.advance(MINUTE / 2)
        assert drive.sweep(run).publish == ((WorkList.ACTIVE, ("b",)),)

    def test_repeated(self, drive: Driver) -> None:
        """Marking it twice changes no answer and no read."""
        run = drive.begin("a")
        for _ in range(2):
            drive.store.mark_published(drive.process, run, ["a"])
        assert drive.sweep(run).publish == ()
        assert drive.status(run).counts.pending == 1

    def test_over_or_unknown(self, drive: Driver) -> None:
        """Items that are over and names that the run does not know are passed by."""
        run = drive.begin("a", "b")
        drive.take(run, "a").finish()
        drive.store.mark_published(drive.process, run, ["a", "nobody"])
        drive.store.mark_published(drive.process, f"9-{new_id()}", ["b"])
        assert drive.work("a").status.state is WorkState.COMPLETED

    def test_race(self, drive: Driver) -> None:
        """Marks set at once in different orders all succeed."""
        names = names_of(20)
        run = drive.begin(*names)
        at_once(lambda number: drive.store.mark_published(drive.process, run, names[:: 1 if number % 2 else -1]))
        drive.clock.advance(MINUTE / 2)
        assert drive.sweep(run).publish == ()
