"""The threads of the heartbeat: which batch is due, who waits for the next, and when a thread ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from celery_process.engine import heartbeat as module
from celery_process.engine.batch import Batch
from celery_process.engine.heartbeat import Heartbeat

BOUND = 20
FAR = 3_600.0
SOON = 0.01
THREAD = "celery-process-heartbeat"


class Beating(Batch):
    """A batch without a store, whose beats are counted, and wait while it `hangs`."""

    process_name = "p"
    run_id = "1-r"

    def __init__(self, every: float = SOON, *, outcome: Callable[[int], bool] = lambda number: True) -> None:
        self.every, self.at, self.outcome = every, time.monotonic() + every, outcome
        self.beats = self.inside = self.most_inside = 0
        self.threads = set[threading.Thread]()
        self.stuck, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    @property
    def due_at(self) -> float:
        return self.at

    @property
    def wake_at(self) -> float:
        return self.at

    def beat(self) -> bool:
        self.threads.add(threading.current_thread())
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            if not self.go_on.is_set():
                self.stuck.set()
                assert self.go_on.wait(BOUND)
            self.beats += 1
            self.at = time.monotonic() + self.every
            return self.outcome(self.beats)
        finally:
            self.inside -= 1

    def hangs(self) -> None:
        """Let the next beat wait, and return once it does."""
        self.stuck.clear()
        self.go_on.clear()
        assert self.stuck.wait(BOUND)


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    return condition()


def beats_more(batch: Beating, count: int = 3) -> bool:
    wanted = batch.beats + count
    return until(lambda: batch.beats >= wanted)


def test_a_beat_that_failed_is_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """A store that does not answer once costs one renewal; the line names process and run."""

    def fails(number: int) -> bool:
        if number == 2:
            raise OSError("the store is away")
        return True

    batch = Beating(outcome=fails)
    with caplog.at_level(logging.WARNING), Heartbeat().holding(batch):
        assert beats_more(batch, 5)
    [line] = [record for record in caplog.records if getattr(record, "action", "") == "heartbeat"]
    assert (line.process_name, line.run_id) == ("p", "1-r")
    assert "The leases of run 1-r could not be renewed" in line.getMessage()


def test_a_batch_that_needs_no_beat_gets_none() -> None:
    """One that says that nothing of it is out is not called again, while another goes on."""
    heartbeat, over, other = Heartbeat(), Beating(outcome=lambda number: number < 2), Beating()
    with heartbeat.holding(over), heartbeat.holding(other):
        assert until(lambda: over.beats == 2)
        assert beats_more(other, 10)
    assert over.beats == 2


def test_a_batch_that_ended_gets_none() -> None:
    """After the block it is not called again, while another goes on."""
    heartbeat, ended, other = Heartbeat(), Beating(), Beating()
    with heartbeat.holding(other):
        with heartbeat.holding(ended):
            assert beats_more(ended)
        assert until(lambda: not ended.inside)
        beats = ended.beats
        assert beats_more(other, 10)
        assert ended.beats - beats <= 1  # one may have been about to begin
        beats = ended.beats
        assert beats_more(other, 10)
        assert ended.beats == beats


def test_a_batch_that_is_due_before_the_others() -> None:
    """The thread that waits for a far one is woken for a near one, and for the one that has just beaten."""
    heartbeat, far, near = Heartbeat(), Beating(FAR), Beating()
    with heartbeat.holding(far):
        assert until(lambda: heartbeat._wakes_at == far.at)
        with heartbeat.holding(near):
            assert beats_more(near)
            near.hangs()
            assert until(lambda: heartbeat._wakes_at == far.at)
            near.go_on.set()
            assert beats_more(near)
    assert far.beats == 0


def test_a_beat_is_not_begun_twice() -> None:
    """While one waits for its store, no other thread begins the same."""
    heartbeat, stuck, other = Heartbeat(), Beating(), Beating()
    with heartbeat.holding(stuck), heartbeat.holding(other):
        stuck.hangs()
        assert beats_more(other, 10)
        stuck.go_on.set()
        assert beats_more(stuck)
    assert stuck.most_inside == 1


def test_a_spare_thread_is_used_again() -> None:
    """However often a store delays a beat, two threads see to two batches."""
    heartbeat, stuck, other = Heartbeat(), Beating(), Beating()
    with heartbeat.holding(stuck), heartbeat.holding(other):
        for _ in range(5):
            stuck.hangs()
            assert beats_more(other)
            stuck.go_on.set()
            assert beats_more(stuck)
    assert len(stuck.threads | other.threads) == 2


def test_spare_threads_are_counted() -> None:
    """Each spare thread leads at most once when it is needed: with three stores that wait, the fourth batch still beats."""
    heartbeat, slow, other = Heartbeat(), [Beating() for _ in range(3)], Beating()
    with ExitStack() as stack:
        for batch in (*slow, other):
            stack.enter_context(heartbeat.holding(batch))
        for _ in range(3):
            for batch in slow:
                batch.hangs()
            assert beats_more(other)
            for batch in slow:
                batch.go_on.set()
            assert all(beats_more(batch) for batch in slow)
    assert len(set().union(*(batch.threads for batch in (*slow, other)))) == 4


def test_a_thread_without_a_batch_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the thread that waits nor a spare one stays for ever; the next batch starts one anew."""
    monkeypatch.setattr(module, "IDLE", 0.05)
    heartbeat, stuck, other = Heartbeat(), Beating(), Beating()
    for _ in range(2):
        stuck.threads.clear()
        other.threads.clear()
        with heartbeat.holding(stuck), heartbeat.holding(other):
            stuck.hangs()
            assert beats_more(other)
            stuck.go_on.set()
            assert beats_more(stuck)
        threads = stuck.threads | other.threads
        assert {thread.name for thread in threads} == {THREAD}
        assert all(thread.daemon for thread in threads)
        for thread in threads:
            thread.join(BOUND)
        assert not any(thread.is_alive() for thread in threads)


def test_a_thread_stays_for_a_batch_that_is_not_due_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A far batch is no reason to end: it is waited for, however short the time without any is."""
    monkeypatch.setattr(module, "IDLE", 0.01)
    heartbeat, batch = Heartbeat(), Beating(0.2)
    with heartbeat.holding(batch):
        assert beats_more(batch, 2)
    assert len(batch.threads) == 1


def test_a_thread_that_idles_takes_the_next_batch() -> None:
    """Between two messages of a worker no thread ends, and none is started."""
    heartbeat, first, second = Heartbeat(), Beating(), Beating()
    for batch in (first, second):
        with heartbeat.holding(batch):
            assert beats_more(batch)
        assert until(lambda: heartbeat._wakes_at > time.monotonic() + 10)
    assert first.threads == second.threads
