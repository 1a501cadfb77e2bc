"""The deployment that a store is kept for: one of all that ask, until another is adopted.

It belongs to the store and not to a process, so a store that other cases used before may have one already.
"""

from __future__ import annotations

from .driver import Driver, at_once


class TestDeployment:
    """`deployment`."""

    def test_first(self, drive: Driver) -> None:
        """The first id is kept against later ones; a call without an id notes none."""
        known = drive.store.deployment()
        assert drive.store.deployment(adopt=True) == known
        first = known or "staging"
        assert drive.store.deployment("staging") == first
        assert drive.store.deployment("production") == first
        assert drive.store.deployment() == first

    def test_at_once(self, drive: Driver) -> None:
        """Of several at the same moment one is noted, and all are answered that one."""
        answers = set(at_once(lambda number: drive.store.deployment(f"deployment {number}")))
        assert answers == {drive.store.deployment()}
        assert answers != {""}

    def test_adopted(self, drive: Driver) -> None:
        """Adopting puts an id in the place of the one that is there, or of none; a repeat is answered the same."""
        for own in ("%_ staging", "production", "production"):
            assert drive.store.deployment(own, adopt=True) == own
            assert drive.store.deployment("other") == own
        assert drive.store.deployment() == "production"

    def test_beside_processes(self, drive: Driver) -> None:
        """A process is none of its business, whatever its name."""
        drive.register("a")
        before = dict(drive.store.schedules())
        drive.store.deployment("staging")
        assert dict(drive.store.schedules()) == before
        drive.store.check()
        assert drive.work("a").params == {}
