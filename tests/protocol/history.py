"""The history of the overrides: who stored what, and when."""

from __future__ import annotations

from typing import Any

import pytest

from celery_process.exceptions import CannotJoin, SettingsChanged
from celery_process.jsontext import MAX_PARAMS, encode
from celery_process.protocol.kept import MAX_VERSIONS
from celery_process.protocol.model import Overrides, StoredProcess

from .driver import HOUR, MINUTE, Driver, at_once


class TestHistory:
    """`settings_history`, and what `update_settings` and `restore` keep for it."""

    def update(self, drive: Driver, settings: str | None = None, schedule: str | None = None, **more: Any) -> int:
        """Update, and return the version."""
        return drive.store.update_settings(drive.process, settings=settings, schedule=schedule, **more)

    def read(self, drive: Driver, limit: int = 500) -> tuple[Overrides, ...]:
        """Return the history."""
        return drive.store.settings_history(drive.process, limit=limit)

    def test_never_set(self, drive: Driver) -> None:
        """An unknown process has no history, and neither has one without overrides."""
        assert self.read(drive) == ()
        drive.register("a")
        drive.pause()
        assert self.read(drive) == ()

    def test_each_version(self, drive: Driver) -> None:
        """Each version is kept with its author and time, newest first; where None was passed it has the stored value."""
        began = drive.clock()
        self.update(drive, '{"a":1}', by="ann")
        drive.clock.advance(MINUTE)
        self.update(drive, schedule="60", by="line\nof bob")
        drive.clock.advance(MINUTE)
        self.update(drive, '{"a":2}')
        assert self.read(drive) == (
            Overrides('{"a":2}', "60", 3, began + 2 * MINUTE, ""),
            Overrides('{"a":1}', "60", 2, began + MINUTE, "line\nof bob"),
            Overrides('{"a":1}', None, 1, began, "ann"),
        )

    def test_schedule_alone(self, drive: Driver) -> None:
        """A schedule without settings is a version as well."""
        self.update(drive, schedule="60")
        assert self.read(drive) == (Overrides(None, "60", 1, drive.clock(), ""),)

    def test_back_again(self, drive: Driver) -> None:
        """What was stored before, and is stored again after something else, is a version of its own."""
        for text in ('{"a":1}', '{"a":2}', '{"a":1}'):
            self.update(drive, text)
        assert [old.settings for old in self.read(drive)] == ['{"a":1}', '{"a":2}', '{"a":1}']

    def test_repeated(self, drive: Driver) -> None:
        """The same again adds nothing and leaves who made the version and when; so does a repeat after a lost answer."""
        self.update(drive, '{"a":1}', "60", by="ann")
        before = self.read(drive)
        for expected in (None, 0, 1):
            drive.clock.advance(MINUTE)
            self.update(drive, '{"a":1}', "60", by="bob", expected_version=expected)
            self.update(drive, by="bob")
            assert self.read(drive) == before

    def test_expected_version(self, drive: Driver) -> None:
        """A change at the expected version is kept; one that is refused adds nothing."""
        self.update(drive, '{"a":1}', expected_version=0, by="ann")
        self.update(drive, '{"a":2}', expected_version=1, by="bob")
        with pytest.raises(SettingsChanged):
            self.update(drive, '{"a":3}', expected_version=1)
        assert [(old.version, old.settings, old.by) for old in self.read(drive)] == [
            (2, '{"a":2}', "bob"),
            (1, '{"a":1}', "ann"),
        ]

    def test_limit(self, drive: Driver) -> None:
        """No more versions come than are asked for: the newest."""
        for number in range(4):
            self.update(drive, f'{{"a":{number}}}')
        assert [old.version for old in self.read(drive, 2)] == [4, 3]

    def test_oldest_go(self, drive: Driver) -> None:
        """Of many versions the newest are kept, and another process keeps its own."""
        other = f"{drive.process}-other"
        drive.store.update_settings(other, settings='{"a":0}', schedule=None)
        for number in range(MAX_VERSIONS + 3):
            self.update(drive, f'{{"a":{number}}}')
        assert [old.version for old in self.read(drive)] == list(range(MAX_VERSIONS + 3, 3, -1))
        assert [old.version for old in drive.store.settings_history(other, limit=9)] == [1]

    def test_largest(self, drive: Driver) -> None:
        """Settings of 64 KiB are kept whole (I13)."""
        texts = [encode({"x": letter * (MAX_PARAMS - 8)}) for letter in "ab"]
        for text in texts:
            self.update(drive, text)
        assert [old.settings for old in self.read(drive)] == texts[::-1]

    def test_race(self, drive: Driver) -> None:
        """Of changes made at once each is kept with its own version."""
        versions = at_once(lambda number: self.update(drive, f'{{"a":{number}}}'))
        kept = {old.version: old.settings for old in self.read(drive)}
        assert kept == {version: f'{{"a":{number}}}' for number, version in enumerate(versions)}

    def test_refused_transaction(self, drive: Driver) -> None:
        """A change that cannot join a transaction adds nothing."""
        with pytest.raises(CannotJoin):
            self.update(drive, "{}", using=object())
        assert self.read(drive) == ()

    def test_restored(self, drive: Driver) -> None:
        """What comes from another store is one version, at the number that it had there; a repeat adds nothing."""
        theirs = Overrides('{"a":1}', "60", 7, drive.clock() - HOUR, "ada")
        for _ in range(2):
            drive.store.restore(drive.process, StoredProcess(drive.process, overrides=theirs), ())
            assert self.read(drive) == (theirs,)
        self.update(drive, '{"a":2}')
        assert [old.version for old in self.read(drive)] == [8, 7]

    def test_restored_over_others(self, drive: Driver) -> None:
        """What is restored over other overrides comes after them; where it is the same, nothing is added."""
        self.update(drive, '{"a":1}', by="ann")
        self.update(drive, '{"a":2}', by="ann")
        mine = self.read(drive)
        for settings, version, more in (('{"a":2}', 2, 0), ('{"a":2}', 1, 0), ('{"a":3}', 1, 1), (None, 0, 2)):
            theirs = Overrides(settings, None, version, drive.clock() - HOUR if version else None)
            drive.store.restore(drive.process, StoredProcess(drive.process, overrides=theirs), ())
            kept = self.read(drive)
            assert (len(kept), kept[-2:]) == (2 + more, mine)
            assert (kept[0].settings, kept[0].version) == (settings, 2 + more)

    def test_restored_far_ahead(self, drive: Driver) -> None:
        """A version that is much higher than those before it takes their place."""
        self.update(drive, '{"a":1}')
        theirs = Overrides('{"a":2}', None, MAX_VERSIONS + 1, drive.clock(), "ada")
        drive.store.restore(drive.process, StoredProcess(drive.process, overrides=theirs), ())
        assert self.read(drive) == (theirs,)
