"""What beat's own loop makes of the schedules of processes: nothing holds it up, and no slot is lost."""

from __future__ import annotations

import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, current_app
from celery.beat import Scheduler

from celery_process import Process, Processes
from celery_process.beat import entry as module
from celery_process.beat import stored as reader
from celery_process.beat.stored import CHECK_AFTER, REFRESH, StoredSchedules
from celery_process.exceptions import StoreUnavailable
from celery_process.protocol.states import By, SlotEnd
from celery_process.schedule.slots import jitter_of
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
KEY = "p.schedule"


class HungStore(MemoryStore):
    """A memory store whose schedules are read only once somebody lets them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock=clock)
        self.answers = threading.Event()
        self.answers.set()
        self.broken = False

    def schedules(self) -> Any:
        self.answers.wait(60)
        if self.broken:
            raise StoreUnavailable("schedules did not answer; try again later.", operation="schedules")
        return super().schedules()


class Beat(Scheduler):
    """Beat's scheduler, which writes down what it would send."""

    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[str] = []
        super().__init__(*args, **kwargs)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> None:
        self.sent.append(entry.name)


class Stage:
    """An app with one process, whose clocks stand, and its beat."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = MovableClock(NOON)
        self.seconds = 0.0
        self.store = HungStore(self.clock)
        self.app = Celery("loop")
        self.app.now = self.clock
        self.processes = Processes(self.app, backend=self.store)
        self.monkeypatch = monkeypatch

    def process(self, **options: Any) -> Process:
        return self.processes.process("p", **{"schedule": HOUR, **options})(lambda work: None)

    def beat(self, **entries: Any) -> Beat:
        """Return beat, which has the process's entry and those given."""
        self.app.finalize()
        self.app.conf.beat_schedule = {**self.app.conf.beat_schedule, **entries}
        self.app.conf.result_expires = None
        return Beat(self.app)

    def stand(self) -> None:
        """Let only `move` move the clocks, and only `move` read the store."""
        for imported in (module, reader):
            self.monkeypatch.setattr(imported, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        self.monkeypatch.setattr(StoredSchedules, "begin", lambda _: None)

    def move(self, seconds: float, beat: Beat, *, host: float | None = None) -> list[str]:
        """Let seconds pass (of the wall clock `host`, if it is set), read the store and let beat look; return what it sent."""
        self.seconds += seconds
        self.clock.advance(timedelta(seconds=seconds if host is None else host))
        reader.stored_schedules(self.app).read(self.store)
        before = len(beat.sent)
        while beat.tick() == 0:
            assert len(beat.sent) < 1_000
        return beat.sent[before:]

    def ran(self, by: str = By.BEAT, slot: datetime | None = None) -> None:
        """Let the ledger have the present slot, or another one."""
        process = self.processes["p"]
        found = process.dispatch.slot_of(slot or self.clock(), process.current())
        assert self.store.skip_slot("p", slot=found, end=SlotEnd.OVERLAPPED, by=by)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    before = current_app._get_current_object()
    yield Stage(monkeypatch)
    before.set_current()


class TestTheHost:
    def test_an_entry_that_is_due_later_holds_up_no_other(self, stage: Stage) -> None:
        """Before Celery 5.7 beat looks at no other entry while the first is not due: an hourly process is not before it."""
        stage.process()
        stage.stand()
        beat = stage.beat(plain={"task": "plain", "schedule": 2.0})
        sent = Counter(name for _ in range(10) for name in stage.move(1, beat))
        assert sent == {"plain": 5}

    def test_a_store_that_hangs_holds_up_nothing(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beat goes on with the code's schedules and its other entries, and follows the store once it answers."""
        monkeypatch.setattr(reader, "FIRST_READ", 0.05)
        process = stage.process()
        process.update_settings(None, schedule=60)
        stage.store.answers.clear()
        beat = stage.beat(plain={"task": "plain", "schedule": 1.0})
        stage.clock.advance(90 * SECOND)
        beat.tick()
        assert beat.sent == ["plain"]
        stage.store.answers.set()
        deadline = time.monotonic() + 30
        while KEY not in beat.sent and time.monotonic() < deadline:
            beat.tick()
            time.sleep(0.02)
        assert KEY in beat.sent


class TestFollowing:
    def test_a_change_is_seen_while_another_entry_is_first(self, stage: Stage) -> None:
        """An hourly process that becomes one of a minute fires within it, whatever beat waits for."""
        process = stage.process()
        stage.stand()
        beat = stage.beat(plain={"task": "plain", "schedule": 40.0})
        assert stage.move(REFRESH, beat) == []
        process.update_settings(None, schedule=10)
        assert stage.move(REFRESH, beat) == []
        assert stage.move(8.5, beat) == [KEY]

    def test_jitter(self, stage: Stage) -> None:
        """Beat fires at the slot plus its jitter, however long that is: a trigger that comes earlier would be too early."""
        jitter = 30 * timedelta(minutes=1)
        stage.process(jitter=jitter)
        stage.stand()
        beat = stage.beat()
        wait = jitter_of("p", NOON + HOUR, jitter)
        assert stage.move(HOUR.total_seconds(), beat) == []
        assert stage.move(wait.total_seconds() - 1, beat) == []
        assert stage.move(1.1, beat) == [KEY]


class TestALostSlot:
    """The broker was away as a slot began: beat sent the message once, and nothing came of it."""

    @pytest.fixture
    def beat(self, stage: Stage) -> Beat:
        stage.process()
        stage.stand()
        beat = stage.beat()
        assert stage.move(HOUR.total_seconds() + 0.5, beat) == [KEY]
        return beat

    def test_it_is_due_again(self, stage: Stage, beat: Beat) -> None:
        """After ten seconds, and again; once the ledger has the slot, not before the next."""
        assert [len(stage.move(1, beat)) for _ in range(9)] == [0] * 9
        assert [len(stage.move(1, beat)) for _ in range(3)].count(1) == 1
        assert sum(len(stage.move(1, beat)) for _ in range(20)) == 2
        stage.ran()
        assert [stage.move(60, beat) for _ in range(59)] == [[]] * 59
        assert stage.move(60, beat) == [KEY]

    def test_it_is_not_sent_without_end(self, stage: Stage, beat: Beat) -> None:
        """Where nobody takes it for an hour, it is sent some twenty times, not three hundred and sixty."""
        assert 15 < sum(len(stage.move(5, beat)) for _ in range(710)) < 30

    def test_not_while_the_store_is_away(self, stage: Stage, beat: Beat) -> None:
        """A store out of reach says nothing about the ledger, so nothing is sent; then it is."""
        stage.store.broken = True
        assert sum(len(stage.move(5, beat)) for _ in range(12)) == 0
        stage.store.broken = False
        assert sum(len(stage.move(1, beat)) for _ in range(2)) == 1

    def test_one_that_ran_is_sent_once(self, stage: Stage, beat: Beat) -> None:
        """Where the ledger has it by then, beat sends nothing until the next slot."""
        stage.ran()
        assert sum(len(stage.move(5, beat)) for _ in range(600)) == 0

    def test_after_a_restart(self, stage: Stage, beat: Beat) -> None:
        """A beat that is started again finds in the ledger that the slot of before is missing."""
        stage.ran(slot=NOON)
        again = stage.beat()
        again.schedule[KEY].last_run_at = stage.clock()
        assert stage.move(1, again) == []
        assert sum(len(stage.move(1, again)) for _ in range(int(CHECK_AFTER) + 5)) == 1

    def test_not_before_the_first(self, stage: Stage) -> None:
        """A process whose ledger is empty, or has runs by hand alone, waits for its first slot."""
        stage.process()
        stage.stand()
        stage.ran(by="run_now", slot=NOON - HOUR)
        beat = stage.beat()
        assert sum(len(stage.move(1, beat)) for _ in range(40)) == 0
        assert stage.move(HOUR.total_seconds(), beat) == [KEY]


class TestAClockThatWasAhead:
    def test_no_slot_is_lost(self, stage: Stage) -> None:
        """Two minutes ahead for a moment, then right: every slot of ten seconds is sent again at once."""
        stage.process(schedule=10)
        stage.stand()
        beat = stage.beat()
        assert stage.move(10, beat) == [KEY]
        assert stage.move(1, beat, host=121) == [KEY]
        assert stage.move(1, beat, host=-119) == [KEY]
        for _ in range(3):
            stage.ran()
            assert stage.move(10, beat) == [KEY]

    def test_its_file_keeps_no_firing_in_the_future(self, stage: Stage) -> None:
        """After a restart a last firing in the future counts as none; one a little ahead is another host's clock."""
        stage.process()
        stage.stand()
        schedule = pickle.loads(pickle.dumps(stage.beat().schedule[KEY].schedule))
        schedule.app, schedule.nowfun = stage.app, stage.clock
        assert schedule.is_due(NOON + timedelta(days=1)).is_due is True
        assert schedule.is_due(NOON + SECOND).is_due is False
