"""Merging: what a holder is answered when the definition changed during its claim."""

from __future__ import annotations

from dataclasses import replace

from celery_process.protocol.model import WorkStatus
from celery_process.protocol.states import Progress, WorkState

from .driver import Driver, at_once


class TestMerging:
    """What `report` answers when the definition changed."""

    def test_params(self, drive: Driver) -> None:
        """New params of the item are answered Merged, with the params and their version."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.register("a", params='{"x":2}')
        answer = held.answer()
        assert (answer.progress, answer.params) == (Progress.MERGED, '{"x":2}')
        assert answer.params_version > held.claim.params_version

    def test_settings(self, drive: Driver) -> None:
        """New settings are answered Merged, overlaid on the run's defaults."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.store.update_settings(drive.process, settings='{"ttl":5}', schedule=None)
        answer = held.answer()
        assert (answer.progress, answer.settings, answer.settings_version) == (Progress.MERGED, '{"ttl":5}', 1)

    def test_once(self, drive: Driver) -> None:
        """Once the holder reports the new versions it is answered Updated."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.register("a", params='{"x":2}')
        answer = held.answer()
        claim = replace(held.claim, params_version=answer.params_version, settings_version=answer.settings_version)
        assert replace(held, claim=claim).answer().progress is Progress.UPDATED

    def test_until_reported(self, drive: Driver) -> None:
        """As long as the holder reports the old versions it is answered Merged."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.register("a", params='{"x":2}')
        assert [held.answer().progress for _ in range(2)] == [Progress.MERGED] * 2

    def test_unregistered(self, drive: Driver) -> None:
        """An item that was unregistered while claimed goes on as it is."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.unregister("a")
        assert held.answer().progress is Progress.UPDATED

    def test_status_of_changed_params(self, drive: Driver) -> None:
        """The end of an item does not apply to params that it did not begin with: it is NEW (W12)."""
        run = drive.begin("a")
        held = drive.take(run, "a")
        drive.register("a", params='{"x":2}')
        assert held.finish().items[0].progress is Progress.COMPLETED
        drive.page(run)
        assert drive.work("a").status.state is WorkState.NEW
        assert drive.status(run).counts.completed == 1

    def test_status_while_it_runs(self, drive: Driver) -> None:
        """An item whose params change while it is worked is NEW at once, and stays so when it ends before its run (W12)."""
        run = drive.begin("a", "b")
        held = drive.take(run, "a")
        held.report(stats={"x": 1})
        drive.register("a", params='{"x":2}')
        assert drive.work("a").status == WorkStatus()
        held.finish()
        assert drive.work("a").status == WorkStatus()

    def test_race(self, drive: Driver) -> None:
        """While definitions change at once the last answer carries the newest of them."""
        names = [f"n{number}" for number in range(4)]
        run = drive.begin(*names)
        held = [drive.take(run, name) for name in names]

        def act(number: int) -> None:
            if number < 4:
                held[number].report()
            else:
                drive.register(names[number - 4], params='{"x":2}')
                drive.store.update_settings(drive.process, settings=f'{{"y":{number}}}', schedule=None)

        at_once(act)
        stored = drive.store.overrides(drive.process)
        for one in held:
            answer = one.answer()
            assert (answer.progress, answer.params) == (Progress.MERGED, '{"x":2}')
            assert (answer.settings, answer.settings_version) == (stored.settings, stored.version)
