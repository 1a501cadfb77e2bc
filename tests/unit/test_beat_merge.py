"""What a scheduler's row and the store make of each other's changes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.beat import sync
from celery_process.beat.merge import Agreed, Follows, Side, pause_follows, schedule_follows
from celery_process.beat.rows import Rows
from celery_process.beat.sync import RowSync, keeps_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGREED = Agreed("1", "1", paused=False)


@pytest.mark.parametrize(
    ("row", "store", "agreed", "follows"),
    [
        ("1", "1", AGREED, Follows.NEITHER),
        ("2", "1", AGREED, Follows.STORE),
        ("1", "2", AGREED, Follows.ROW),
        ("2", "2", AGREED, Follows.NEITHER),
        ("2", "1", None, Follows.STORE),
        ("2", "3", AGREED, Follows.STORE),
        ("1", "1.5", Agreed("1", "1.5", paused=False), Follows.NEITHER),
        ("1", "2", Agreed("1", "1.5", paused=False), Follows.ROW),
    ],
)
def test_the_side_that_changed_is_followed(row, store, agreed, follows):
    """A row that nothing was agreed with is the user's; without times the row goes first."""
    assert schedule_follows(Side(row, paused=False), Side(store, paused=False), agreed) is follows


@pytest.mark.parametrize(("ahead", "follows"), [(1, Follows.STORE), (-1, Follows.ROW)])
def test_the_later_change_wins(ahead, follows):
    """Where both changed, their times decide."""
    row = Side("2", paused=False, changed_at=NOON + timedelta(seconds=ahead))
    assert schedule_follows(row, Side("3", paused=False, changed_at=NOON), AGREED) is follows


@pytest.mark.parametrize(
    ("row", "store", "agreed", "follows"),
    [
        (False, False, AGREED, Follows.NEITHER),
        (True, False, AGREED, Follows.STORE),
        (False, True, AGREED, Follows.ROW),
        (False, True, Agreed("1", "1", paused=True), Follows.STORE),
        (True, False, Agreed("1", "1", paused=True), Follows.ROW),
        (True, False, None, Follows.STORE),
        (False, True, None, Follows.ROW),
    ],
)
def test_a_pause_is_followed(row, store, agreed, follows):
    """The side that changed is scheduled; with nothing agreed, the pause."""
    assert pause_follows(Side("1", paused=row), Side("1", paused=store), agreed) is follows


def test_a_row_that_is_changed_back_at_once_is_followed():
    """Disabled and enabled again, or set and set back, before the row remembered the first: what it says now counts."""
    paused, slower = Side("1", paused=True, pause_from_row=True), Side("2", paused=False, schedule_from_row=True)
    assert pause_follows(Side("1", paused=False), paused, AGREED) is Follows.STORE
    assert schedule_follows(Side("1", paused=False), slower, AGREED) is Follows.STORE
    assert pause_follows(Side("1", paused=True), paused, AGREED) is Follows.NEITHER
    assert schedule_follows(Side("2", paused=False), slower, AGREED) is Follows.NEITHER


def test_what_was_agreed_is_read_back():
    """What a person did to the text is as if nothing was agreed."""
    assert Agreed.from_text(AGREED.text) == AGREED
    for text in (None, "", "[]", "{}", "null", '{"row": 1, "store": "1", "paused": false}', 3):
        assert Agreed.from_text(text) is None


@pytest.mark.parametrize(
    ("named", "keeps"),
    [
        ("django_celery_beat.schedulers:DatabaseScheduler", True),
        ("django_celery_beat.schedulers.DatabaseScheduler", True),
        ("django", True),
        ("redbeat.RedBeatScheduler", True),
        ("sqlalchemy_celery_beat.schedulers:DatabaseScheduler", True),
        ("celery.beat:PersistentScheduler", False),
    ],
)
def test_no_entries_are_given_to_a_scheduler_that_keeps_rows(named, keeps):
    """It would write them over its rows at each start."""
    app = Celery("shop", set_as_current=False)
    app.conf.beat_scheduler = named
    processes = Processes(app, backend="memory://")
    processes.process("prices", schedule=1)(lambda work: None)
    app.finalize()
    assert keeps_rows(app) is keeps
    assert ("prices.schedule" in app.conf.beat_schedule) is not keeps


class Locked(Rows):
    """Rows that cannot be read as often as was said."""

    def __init__(self, times):
        self.times = times

    def find(self, tasks):
        self.times -= 1
        if self.times >= 0:
            raise OSError("database is locked")
        return {}

    align = read = create = write = None


@pytest.mark.parametrize(("times", "warnings"), [(0, 0), (1, 0), (2, 1), (5, 1)])
def test_what_fails_once_is_tried_again_before_anyone_is_told(caplog, times, warnings):
    """Two beats may be in each other's way for a moment; what fails in two rounds is told, once."""
    follower = RowSync(Locked(times), [])
    for _ in range(6):
        follower.sync()
    assert [record.action for record in caplog.records] == ["row_unfollowed"] * warnings


class Slow(Rows):
    """Rows whose first round takes until somebody lets it, or some time."""

    def __init__(self, seconds):
        self.seconds, self.rounds, self.aligned = seconds, 0, threading.Event()
        self.goes_on = threading.Event()

    def find(self, tasks):
        self.rounds += 1
        if self.rounds == 1:
            self.goes_on.wait(self.seconds)
        return {}

    def align(self, schedules):
        self.aligned.set()

    read = create = write = None


def test_a_first_round_that_hangs_does_not_keep_beat_from_its_start(monkeypatch):
    """Beat waits for the first round up to a bound, then goes on with what its rows say."""
    monkeypatch.setattr(sync, "FIRST_ROUND", 0.05)
    rows = Slow(60)
    follower = RowSync(rows, [])
    follower.start()
    assert rows.aligned.is_set()
    rows.goes_on.set()
    follower.stop()


def test_a_first_round_that_took_long_does_not_put_off_the_second(monkeypatch):
    """The first imports drivers; only the others say how much rest a database needs."""
    monkeypatch.setattr(sync, "REFRESH", 0.01)
    monkeypatch.setattr(sync, "_REST", 1_000)
    rows = Slow(0.2)
    follower = RowSync(rows, [])
    follower.start()
    deadline = time.monotonic() + 20
    while rows.rounds < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    follower.stop()
    assert rows.rounds >= 2
