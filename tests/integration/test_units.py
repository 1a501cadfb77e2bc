"""A step of the protocol sees the rows of one moment, and what it writes lands whole, whoever comes in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from celery_process.exceptions import CorruptData, RunNotFound, StoreUnavailable
from celery_process.protocol.model import Pause, RunSpec, SlotRef
from celery_process.protocol.states import Again, RunAnswer
from celery_process.protocol.unit import Unit
from celery_process.stores.redis import RedisStore, unit
from celery_process.testing import MovableClock

pytestmark = pytest.mark.server("redis")


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    store = RedisStore(redis_url, key_prefix=f"cp-{uuid4().hex[:12]}:", clock=MovableClock())
    yield store
    store.close()


class Interrupted:
    """A step that lets somebody else write after it has read, each of the first times."""

    def __init__(self, step: Callable[[Unit], object], others: Callable[[], object], times: int = 1) -> None:
        self.step, self.others, self.left, self.calls = step, others, times, 0

    def __call__(self, rows: Unit) -> object:
        self.calls += 1
        rows.head()
        if self.left:
            self.left -= 1
            self.others()
        return self.step(rows)


def set_pause(rows: Unit) -> None:
    rows.head().paused = Pause(str(rows.head().paused is not None), "", rows.now)


def test_a_write_over_what_another_changed_is_decided_again(store: RedisStore) -> None:
    """The step is run again over the rows as they are then."""
    step = Interrupted(set_pause, lambda: pause(store))
    store.atomically("pause", "p", step)
    found = store.process("p").paused
    assert (step.calls, found and found.note) == (2, "True")


def test_an_answer_without_a_write_is_of_one_moment(store: RedisStore) -> None:
    """No run is answered that the process, as it was read before, does not have."""
    step = Interrupted(lambda rows: [run.id for run in rows.runs(limit=1)], lambda: begin(store))
    assert store.atomically("look", "p", step) == [store.process("p").run.id]  # type: ignore[union-attr]
    assert step.calls == 2


def test_what_is_read_at_once_is_of_one_moment(store: RedisStore) -> None:
    """The open run is that of the moment in which the process was read, and asks for no second look."""
    step = Interrupted(lambda rows: rows.open_run(), lambda: begin(store))
    assert store.atomically("look", "p", step) is None
    assert step.calls == 1


def test_an_error_is_of_one_moment(store: RedisStore) -> None:
    """A run that was not found is looked for again, if the process changed meanwhile."""
    begun: list[str] = []

    def find(rows: Unit) -> str:
        if not rows.runs(limit=1):
            raise RunNotFound("none; see runs().", process="p", run="none")
        return begun[0]

    assert store.atomically("look", "p", Interrupted(find, lambda: begun.append(begin(store)))) == begun[0]


def test_who_is_overtaken_without_end_says_so(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound to how often a step is run."""
    monkeypatch.setattr(unit, "TRIES", 3)
    step = Interrupted(set_pause, lambda: pause(store), times=9)
    with pytest.raises(StoreUnavailable, match="overtaken 3 times"):
        store.atomically("pause", "p", step)
    assert step.calls == 3


def test_nothing_is_written_where_one_key_is_of_another_type(store: RedisStore) -> None:
    """What the script would write before the error is not written either."""
    client = store._client
    client.tried("plant", lambda server: server.set(f"{client.prefix}{{p}}:runs", "not ours"))
    with pytest.raises(CorruptData):
        begin(store)
    assert client.tried("look", lambda server: server.keys(f"{client.prefix}{{p}}:*")) == [f"{client.prefix}{{p}}:runs"]


def pause(store: RedisStore) -> None:
    store.pause("p", note=uuid4().hex, by="")


def begin(store: RedisStore) -> str:
    now = store.now()
    claim = store.claim_run("p", uuid=uuid4().hex, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
    assert claim.answer is RunAnswer.CLAIMED
    assert claim.run is not None
    return claim.run.id
