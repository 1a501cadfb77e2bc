"""Registrations and overrides: what callers write."""

from __future__ import annotations

from typing import Any

import pytest

from celery_process.exceptions import CannotJoin, SettingsChanged, WorkNotFound
from celery_process.protocol.model import Overrides
from celery_process.protocol.states import WorkList, WorkState
from celery_process.testing.invariants import check_invariants

from .driver import MINUTE, Driver, at_once


class TestRegistering:
    """`register`."""

    def test_new(self, drive: Driver) -> None:
        """A new name comes to the active list with its params, at the store's time, and is NEW."""
        assert drive.register("a", params='{"x":1}') == ("a",)
        work = drive.work("a")
        assert (work.on, work.params, work.changed_at) == (WorkList.ACTIVE, {"x": 1}, drive.clock())
        assert work.status.state is WorkState.NEW

    def test_repeated(self, drive: Driver) -> None:
        """The same params on the active list write nothing (B8)."""
        drive.register("a", params='{"x":1}')
        before = drive.work("a")
        drive.clock.advance(MINUTE)
        assert drive.register("a", params='{"x":1}') == ()
        assert drive.work("a") == before

    def test_new_params(self, drive: Driver) -> None:
        """Other params replace the old ones whole, and the time of the change moves."""
        drive.register("a", params='{"x":1}')
        drive.clock.advance(MINUTE)
        assert drive.register("a", params='{"y":2}') == ("a",)
        assert (drive.work("a").params, drive.work("a").changed_at) == ({"y": 2}, drive.clock())

    def test_changes_in_one_instant(self, drive: Driver) -> None:
        """Two changes in one instant of the clock are two versions."""
        drive.register("a", params='{"x":1}')
        first = drive.work("a").changed_at
        drive.register("a", params='{"x":2}')
        assert drive.work("a").changed_at > first

    def test_clock_backwards(self, drive: Driver) -> None:
        """A change after the clock went back is still a later version."""
        drive.register("a", params='{"x":1}')
        first = drive.work("a").changed_at
        drive.clock.advance(-MINUTE)
        drive.register("a", params='{"x":2}')
        assert drive.work("a").changed_at > first

    def test_only_what_changed_is_returned(self, drive: Driver) -> None:
        """Of several names those that changed are returned."""
        drive.register("a", "b")
        works = {"a": "{}", "b": '{"x":1}', "c": "{}"}
        assert set(drive.store.register(drive.process, works)) == {"b", "c"}

    def test_from_cleanup(self, drive: Driver) -> None:
        """Registering takes a name from the cleanup list back, even with the same params."""
        drive.register("a")
        drive.unregister("a")
        assert drive.register("a") == ("a",)
        assert drive.work("a").on is WorkList.ACTIVE

    def test_from_dropped(self, drive: Driver) -> None:
        """Registering takes a dropped name back, and it is NEW."""
        drive.run_through(cleanup=("a",))
        assert drive.work("a").on is WorkList.DROPPED
        assert drive.register("a") == ("a",)
        assert (drive.work("a").on, drive.work("a").status.state) == (WorkList.ACTIVE, WorkState.NEW)

    def test_nothing(self, drive: Driver) -> None:
        """No works are no change."""
        assert drive.store.register(drive.process, {}) == ()

    def test_many(self, drive: Driver) -> None:
        """Twelve hundred names may come in one call."""
        names = [f"n{number:04}" for number in range(1_200)]
        assert set(drive.register(*names)) == set(names)
        assert drive.store.work_counts(drive.process)[WorkList.ACTIVE] == 1_200

    def test_processes_are_apart(self, drive: Driver) -> None:
        """The same name in two processes is two items."""
        drive.register("a")
        drive.store.register(drive.process + ".other", {"a": '{"x":1}'})
        assert drive.work("a").params == {}
        drive.store.unregister(drive.process + ".other", ["a"])
        assert drive.work("a").on is WorkList.ACTIVE

    def test_race_for_one_name(self, drive: Driver) -> None:
        """Of callers that register the same at once, one is answered that it changed the name."""
        answers = at_once(lambda _: drive.register("a", params='{"x":1}'))
        assert sorted(answers) == [()] * 7 + [("a",)]

    def test_race_for_many_names(self, drive: Driver) -> None:
        """Callers who register overlapping names in different orders all succeed, and each name changed once."""

        def act(number: int) -> tuple[str, ...]:
            names = [f"n{(number * 7 + index) % 40:02}" for index in range(40)]
            return drive.register(*(names if number % 2 else reversed(names)))

        changed = [name for answer in at_once(act) for name in answer]
        assert sorted(changed) == [f"n{number:02}" for number in range(40)]

    def test_race_of_both_verbs(self, drive: Driver) -> None:
        """Names registered and unregistered at once are on exactly one list (I10)."""
        names = [f"n{number}" for number in range(10)]
        at_once(lambda number: drive.register(*names) if number % 2 else drive.unregister(*names))
        check_invariants(drive.store, drive.process)
        assert sum(drive.store.work_counts(drive.process).values()) == 10


class TestUnregistering:
    """`unregister`."""

    def test_active(self, drive: Driver) -> None:
        """An active name goes to the cleanup list and keeps its params."""
        drive.register("a", params='{"x":1}')
        drive.clock.advance(MINUTE)
        assert drive.unregister("a") == ("a",)
        work = drive.work("a")
        assert (work.on, work.params, work.changed_at) == (WorkList.CLEANUP, {"x": 1}, drive.clock())

    def test_unknown(self, drive: Driver) -> None:
        """A name that was never registered goes to the cleanup list too (B9)."""
        assert drive.unregister("a") == ("a",)
        assert (drive.work("a").on, drive.work("a").params) == (WorkList.CLEANUP, {})

    def test_repeated(self, drive: Driver) -> None:
        """A name that is on the cleanup list stays as it is."""
        drive.unregister("a")
        before = drive.work("a")
        drive.clock.advance(MINUTE)
        assert drive.unregister("a") == ()
        assert drive.work("a") == before

    def test_dropped(self, drive: Driver) -> None:
        """A dropped name stays dropped."""
        drive.run_through(cleanup=("a",))
        assert drive.unregister("a") == ()
        assert drive.work("a").on is WorkList.DROPPED

    def test_only_what_changed_is_returned(self, drive: Driver) -> None:
        """Of several names those that changed are returned, each once."""
        drive.register("a")
        drive.unregister("b")
        assert set(drive.unregister("a", "b", "c", "a")) == {"a", "c"}

    def test_nothing(self, drive: Driver) -> None:
        """No names are no change."""
        assert drive.unregister() == ()

    def test_many(self, drive: Driver) -> None:
        """Twelve hundred names may come in one call."""
        names = [f"n{number:04}" for number in range(1_200)]
        drive.register(*names[:600])
        assert set(drive.unregister(*names)) == set(names)
        assert drive.store.work_counts(drive.process)[WorkList.CLEANUP] == 1_200

    def test_race(self, drive: Driver) -> None:
        """Of callers that unregister the same at once, one is answered that it changed the name."""
        drive.register("a")
        assert sorted(at_once(lambda _: drive.unregister("a"))) == [()] * 7 + [("a",)]


class TestOverrides:
    """`update_settings`."""

    def update(self, drive: Driver, settings: str | None = None, schedule: str | None = None, **more: Any) -> int:
        """Update, and return the version."""
        return drive.store.update_settings(drive.process, settings=settings, schedule=schedule, **more)

    def test_never_set(self, drive: Driver) -> None:
        """Without overrides the version is 0."""
        assert drive.store.overrides(drive.process) == Overrides()

    def test_set(self, drive: Driver) -> None:
        """Overrides are stored with a version, the time and who."""
        assert self.update(drive, '{"ttl":1}', "60", by="ann") == 1
        expected = Overrides('{"ttl":1}', "60", 1, drive.clock(), "ann")
        assert drive.store.overrides(drive.process) == expected
        assert drive.store.process(drive.process).overrides == expected

    def test_replaced_whole(self, drive: Driver) -> None:
        """New settings replace the old ones whole, without a merge of keys (B4)."""
        self.update(drive, '{"a":1}')
        assert self.update(drive, '{"b":1}') == 2
        assert drive.store.overrides(drive.process).settings == '{"b":1}'

    @pytest.mark.parametrize(("settings", "schedule"), [('{"a":2}', None), (None, "120")])
    def test_none_keeps(self, drive: Driver, settings: str | None, schedule: str | None) -> None:
        """None keeps what is stored."""
        self.update(drive, '{"a":1}', "60")
        self.update(drive, settings, schedule)
        stored = drive.store.overrides(drive.process)
        assert (stored.settings, stored.schedule) == (settings or '{"a":1}', schedule or "60")

    def test_repeated(self, drive: Driver) -> None:
        """The same again keeps the version, and its time moves (B4); at the version before it, too: a lost answer."""
        self.update(drive, '{"a":1}', "60", by="ann")
        for expected in (None, 0, 1):
            drive.clock.advance(MINUTE)
            assert self.update(drive, '{"a":1}', "60", by="bob", expected_version=expected) == 1
            stored = drive.store.overrides(drive.process)
            assert (stored.version, stored.settings, stored.schedule) == (1, '{"a":1}', "60")
            assert (stored.changed_at, stored.by) == (drive.clock(), "bob")

    def test_nothing(self, drive: Driver) -> None:
        """Two Nones change nothing."""
        assert self.update(drive) == 0
        assert drive.store.overrides(drive.process) == Overrides()

    def test_expected_version(self, drive: Driver) -> None:
        """At the expected version the change is made."""
        self.update(drive, '{"a":1}', expected_version=0)
        assert self.update(drive, '{"a":2}', expected_version=1) == 2

    def test_other_version(self, drive: Driver) -> None:
        """At another version than expected nothing is written, and the error carries both."""
        self.update(drive, '{"a":1}')
        with pytest.raises(SettingsChanged) as caught:
            self.update(drive, '{"a":2}', expected_version=7)
        assert (caught.value.expected, caught.value.found) == (7, 1)
        assert drive.store.overrides(drive.process).settings == '{"a":1}'

    def test_expected_version_repeated(self, drive: Driver) -> None:
        """A call with an expected version that is repeated after a lost answer is answered the same."""
        assert self.update(drive, '{"a":1}', expected_version=0) == 1
        assert self.update(drive, '{"a":1}', expected_version=0) == 1

    def test_race(self, drive: Driver) -> None:
        """Different changes made at once get a version each, and the last one is stored."""
        versions = at_once(lambda number: self.update(drive, f'{{"a":{number}}}'))
        assert sorted(versions) == list(range(1, 9))
        last = versions.index(8)
        assert drive.store.overrides(drive.process).settings == f'{{"a":{last}}}'

    def test_race_for_a_version(self, drive: Driver) -> None:
        """Of different changes that expect one version, exactly one is made."""

        def act(number: int) -> int:
            try:
                return self.update(drive, f'{{"a":{number}}}', expected_version=0)
            except SettingsChanged:
                return 0

        assert sorted(at_once(act)) == [0] * 7 + [1]


class TestJoining:
    """`using=`."""

    def test_register(self, drive: Driver) -> None:
        """`register` refuses a transaction that it cannot join, and writes nothing."""
        with pytest.raises(CannotJoin):
            drive.store.register(drive.process, {"a": "{}"}, using=object())
        with pytest.raises(WorkNotFound):
            drive.work("a")

    def test_unregister(self, drive: Driver) -> None:
        """`unregister` refuses a transaction that it cannot join, and writes nothing."""
        with pytest.raises(CannotJoin):
            drive.store.unregister(drive.process, ["a"], using=object())
        with pytest.raises(WorkNotFound):
            drive.work("a")

    def test_update_settings(self, drive: Driver) -> None:
        """`update_settings` refuses a transaction that it cannot join, and writes nothing."""
        with pytest.raises(CannotJoin):
            drive.store.update_settings(drive.process, settings="{}", schedule=None, using=object())
        assert drive.store.overrides(drive.process) == Overrides()
