"""What a probe is answered while others ask, and while the examination takes long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from celery_process.monitor import probe
from celery_process.monitor.health import Finding
from celery_process.monitor.probe import FRESH, STALE, Probe


class Examination:
    """Counts how often it is made, and how often at once; waits for `go` where that is not set."""

    def __init__(self) -> None:
        self.ok, self.made, self.now, self.most = True, 0, 0, 0
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self) -> list[Finding]:
        self.made, self.now = self.made + 1, self.now + 1
        self.most = max(self.most, self.now)
        self.begun.set()
        assert self.go.wait(30)
        self.now -= 1
        return [Finding("store", self.ok, "said")]


class Clock:
    """A monotonic clock that is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_an_answer_is_kept_for_a_moment() -> None:
    """Within that time the examination is not made again; after it, it is."""
    examine, clock = Examination(), Clock()
    asked = Probe(examine, monotonic=clock)
    assert asked.answer() == {"ok": True, "findings": [{"check": "store", "ok": True, "text": "said", "cure": ""}]}
    examine.ok = False
    clock.at += FRESH
    assert asked.answer()["ok"]
    clock.at += 0.1
    assert not asked.answer()["ok"]
    assert examine.made == 2


def test_many_at_once() -> None:
    """However many ask at first, one examines, and all get what was found."""
    examine = Examination()
    asked = Probe(examine)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: asked.answer()["ok"], range(64)))
    assert (answers, examine.made, examine.most) == ([True] * 64, 1, 1)


@pytest.mark.parametrize(("age", "ok"), [(STALE, True), (STALE + 1, False)], ids=["the last answer", "too old a one"])
def test_while_another_examines(age: float, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last answer serves meanwhile; one that is too old does not, and nobody waits for long."""
    monkeypatch.setattr(probe, "WAIT", 0.01)
    examine, clock = Examination(), Clock()
    asked = Probe(examine, monotonic=clock)
    asked.answer()
    clock.at += age
    examine.begun.clear()
    examine.go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(asked.answer)
        assert examine.begun.wait(30)
        answer = asked.answer()
        examine.go.set()
        assert first.result()["ok"]
    assert (answer["ok"], answer["findings"][0]["check"]) == (ok, "store" if ok else "examination")
    assert asked.answer()["ok"]
    assert (examine.made, examine.most) == (2, 1)


def test_an_examination_that_raises() -> None:
    """What an examination raises reaches its caller, and the next one examines anew."""
    failing = [True]

    def examine() -> list[Finding]:
        if failing:
            failing.pop()
            raise KeyError
        return []

    asked = Probe(examine)
    with pytest.raises(KeyError):
        asked.answer()
    assert asked.answer()["ok"]
