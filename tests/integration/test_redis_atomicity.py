"""A script of the Redis store that fails, or comes too late, leaves every key as it was, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from celery_process.exceptions import CorruptData, InvalidValue, StoreUnavailable
from celery_process.protocol import purge
from celery_process.protocol.model import ErrorEntry, Retention, RunSpec, SlotRef, Swept
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, RunAnswer, SlotEnd, StopReason, WorkList, WorkState
from celery_process.stores.redis import RedisStore
from celery_process.stores.redis.keys import RunKey
from celery_process.stores.redis.pages import Settled, fold_if_done

pytestmark = pytest.mark.server("redis")

LEASE = timedelta(seconds=30)
PROCESS = "p"
KEYS = [
    *("p", "w", "s", "runs", "active", "cleanup", "dropped", "dropped_at", "untold", "uuids", "slot_runs"),
    *("slots", "ledger", "versions", "r:2", "i:2", "g:2", "o:2", "r:3"),
]
"""All keys that a process has, after the prefix and the hash tag; run 2 is the open one, 3 would be the next."""
BEFORE_EPOCHS = datetime(2025, 1, 1, tzinfo=UTC)
"""A time at which the first epoch is 1; later ones are at least the seconds since 2026."""


@dataclass
class State:
    """A process in the middle of a run over cleanups: `x` and `y` are claimed, `z` has ended, and its page is to be folded."""

    store: RedisStore
    run: str
    first: str
    token: str

    @property
    def epoch(self) -> int:
        return RunKey.of(PROCESS, self.run).epoch

    def report(self, *names: str, **stats: float) -> Any:
        error = ErrorEntry("broken", self.store.now(), names[0])
        totals = Totals(stats, {}, (error,) if stats.get("failed") else (), int(bool(stats.get("failed"))))
        reports = [ItemReport(name, 1, totals, 0, 0, WorkState.COMPLETED) for name in names]
        return self.store.report(PROCESS, self.run, reports, token=self.token, lease=LEASE)


def begin(store: RedisStore, uuid: str) -> str:
    now = store.now()
    claim = store.claim_run(PROCESS, uuid=uuid, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
    assert claim.run is not None
    return claim.run.id


def prepared(url: str, *, closed: bool = False, paused: bool = False, **options: Any) -> State:
    """Make the state; with `closed` the run is over, so that another can begin."""
    store = RedisStore(url, **options)
    first = begin(store, "one")
    assert store.open_page(PROCESS, first, token="t", size=1, window=100).run is not None
    store.unregister(PROCESS, ["x", "y", "z"])
    run, token = begin(store, "two"), "t"
    store.open_page(PROCESS, run, token="g0", size=2, window=100)
    store.claim(PROCESS, run, ["x", "y"], token=token, lease=LEASE, max_attempts=3)
    store.open_page(PROCESS, run, token="g1", size=1, window=100)
    store.claim(PROCESS, run, ["z"], token=token, lease=LEASE, max_attempts=3)
    client, key = store._client, RunKey.of(PROCESS, run)
    client.call("report", "report", PROCESS, key.epoch, run, token, 1, "z", "1\nC\n1\n0\n0\n0\n0\n0\n0", "\n")
    store.register(PROCESS, {"a": "{}", "b": "{}"})
    if closed:
        assert store.stop_run(PROCESS, run, StopReason.SUPERSEDED) is not None
    if paused:
        store.pause(PROCESS, note="n", by="")
    return State(store, run, first, token)


OPERATIONS: dict[str, Callable[[State], Any]] = {
    "register": lambda s: s.store.register(PROCESS, {"x": "{}", "new": "{}"}),
    "unregister": lambda s: s.store.unregister(PROCESS, ["a", "new"]),
    "update_settings": lambda s: s.store.update_settings(PROCESS, settings="{}", schedule=None),
    "pause": lambda s: s.store.pause(PROCESS, note="n", by=""),
    "resume": lambda s: s.store.resume(PROCESS),
    "claim_run": lambda s: begin(s.store, "three"),
    "redrive": lambda s: s.store.redrive(PROCESS, s.run, uuid="three", spec=RunSpec(), by=""),
    "skip_slot": lambda s: s.store.skip_slot(
        PROCESS, slot=SlotRef(s.store.now(), s.store.now()), end=SlotEnd.DECLINED, by=""
    ),
    "open_page": lambda s: s.store.open_page(PROCESS, s.run, token="g2", size=5, window=100),
    "mark_published": lambda s: s.store.mark_published(PROCESS, s.run, ["x", "y"]),
    "claim": lambda s: s.store.claim(PROCESS, s.run, ["x", "y"], token="u", lease=LEASE, max_attempts=3),
    "report": lambda s: s.report("x", failed=1),
    "release": lambda s: s.store.release(PROCESS, s.run, ["y", "x"], token=s.token),
    "fold": lambda s: fold_if_done(s.store._client, "fold", RunKey.of(PROCESS, s.run), "1"),
    "stop": lambda s: s.store._client.call("stop", "stop", PROCESS, s.epoch, s.run, "cancelled"),
    "expire": lambda s: s.store._client.call_at("expire", "expire", PROCESS, LATER, s.epoch, s.run, "0", 1, 1, '"', '"', 9),
    "ack_finish": lambda s: s.store.ack_finish(PROCESS, s.first),
    "begin_sweep": lambda s: s.store.begin_sweep([PROCESS], interval=LEASE, grace=timedelta(0)),
    "purge_runs": lambda s: s.store.atomically(
        "purge", PROCESS, lambda unit: purge._runs(unit, epochs=[RunKey.of(PROCESS, s.first).epoch], most=9)
    ),
}
BEGINS = ("claim_run", "redrive")


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with Redis.from_url(redis_url) as client:
        yield client


def dump(client: Any, prefix: str) -> dict[bytes, bytes]:
    """Return all keys of a prefix, byte for byte."""
    return {key: client.dump(key) for key in sorted(client.scan_iter(match=f"{prefix}*", count=1000))}


def failure(act: Callable[[State], Any], state: State) -> str:
    """Return what is said where an operation finds what the library did not write, else an empty text."""
    try:
        act(state)
    except CorruptData as error:
        return str(error)
    return ""


class TestFailingHalfWay:
    """A script that fails leaves every key as it was."""

    # A question about many processes leaves out the one that is corrupt: see test_corrupt_data.
    @pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "begin_sweep"])
    def test_wrong_type(self, redis_url: str, client: Any, operation: str) -> None:
        """Whichever key is of another type, an operation that meets it changes nothing; one that does not succeeds."""
        failed = 0
        for key in KEYS:
            prefix = f"half-{uuid4().hex[:8]}:"
            how = {"closed": operation in BEGINS, "paused": operation == "resume"}
            state = prepared(redis_url, **how, key_prefix=prefix, clock=lambda: BEFORE_EPOCHS)
            assert state.epoch == 2
            client.delete(f"{prefix}{{p}}:{key}")
            client.set(f"{prefix}{{p}}:{key}", "not what is expected")
            before = dump(client, prefix)
            error = failure(OPERATIONS[operation], state)
            if error:
                failed += 1
                assert "WRONGTYPE" in error
                assert "not what" not in error
                assert dump(client, prefix) == before, key
            state.store.close()
        assert failed

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_out_of_memory(self, start_valkey: Callable[..., str], operation: str) -> None:
        """A server without memory refuses whole scripts; those that make room work, and what is there can be read."""
        url = start_valkey()
        state = prepared(url, closed=operation in BEGINS, paused=operation == "resume")
        with Redis.from_url(url) as client:
            client.config_set("maxmemory", "1")
            before = dump(client, "cp:")
            if operation == "purge_runs":
                assert OPERATIONS[operation](state) > 0
            else:
                with pytest.raises(StoreUnavailable, match="OutOfMemory"):
                    OPERATIONS[operation](state)
                assert dump(client, "cp:") == before
            assert state.store.run(PROCESS, state.run).id == state.run
            assert [work.name for work in state.store.works(PROCESS, on=WorkList.ACTIVE, after="", limit=9)] == ["a", "b"]
        state.store.close()

    @pytest.mark.parametrize("count", [float("nan"), float("inf"), float("-inf")])
    def test_not_finite(self, redis_url: str, client: Any, count: float) -> None:
        """A number that JSON does not have is refused before anything is sent, with all of its call."""
        prefix = f"finite-{uuid4().hex[:8]}:"
        state = prepared(redis_url, key_prefix=prefix)
        before = dump(client, prefix)
        good, bad = ({"x": 1.0}, {"x": count})
        reports = [
            ItemReport(name, 1, Totals(stats), 0, 0, WorkState.COMPLETED) for name, stats in (("x", good), ("y", bad))
        ]
        with pytest.raises(InvalidValue):
            state.store.report(PROCESS, state.run, reports, token=state.token, lease=LEASE)
        assert dump(client, prefix) == before
        state.store.close()


class TestHalfDone:
    """A page whose last item ended and that nobody folded, since its worker died between the two scripts."""

    def test_swept(self, start_valkey: Callable[..., str]) -> None:
        """The sweep folds it."""
        state = prepared(start_valkey())
        minute = timedelta(minutes=1)
        before = state.store.run(PROCESS, state.run)
        assert (
            state.store.sweep_run(
                PROCESS, state.run, lease=LEASE, redispatch_after=minute, grace=minute, max_attempts=3, limit=9
            )
            == Swept()
        )
        assert fold_if_done(state.store._client, "fold", RunKey.of(PROCESS, state.run), "1") == Settled()
        after = state.store.run(PROCESS, state.run)
        assert (after.counts, after.stats) == (before.counts, before.stats)
        assert (after.counts.completed, after.counts.claimed) == (1, 2)
        state.store.close()

    def test_reported_again(self, start_valkey: Callable[..., str]) -> None:
        """So does a repeat of the report that ended it."""
        state = prepared(start_valkey())
        assert [state.report("z").page_closed for _ in range(2)] == [True, False]
        state.store.close()

    def test_superseded(self, start_valkey: Callable[..., str]) -> None:
        """A run that is superseded folds it with the others, is closed, and the next can begin at once."""
        state = prepared(start_valkey())
        closed = state.store.stop_run(PROCESS, state.run, StopReason.SUPERSEDED)
        assert closed is not None
        assert (closed.counts.cancelled, closed.counts.completed) == (2, 1)
        now = state.store.now()
        claim = state.store.claim_run(
            PROCESS, uuid="three", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by=""
        )
        assert claim.answer is RunAnswer.CLAIMED
        state.store.close()


LATER = 10**16 // 2
"""A time at which each lease is over, in microseconds."""
STEPS: dict[str, tuple[Any, ...]] = {
    "pages": (),
    "cancel": ("0", 1),
    "expire": ("0", 1, 1, '"', '"', 9),
    "moved": ("0",),
    "unpublish": ("0", LATER, LATER, LATER),
    "unpublished": ("0", 0),
    "fold": ("1", 0, "{}", "{}"),
}
"""The scripts that go on with what another one found, and what they are given of it: of page 0, or of page 1 to fold it."""


class TestTooLate:
    """An operation is several scripts, and each looks for itself whether what it is about is still so."""

    @staticmethod
    def step(state: State, name: str, *arguments: Any, run: str | None = None) -> Any:
        """Return what a script answers about the open run, or one that is said to be of its epoch."""
        return state.store._client.call_at(name, name, PROCESS, LATER, state.epoch, run or state.run, *arguments)

    @pytest.mark.parametrize("name", STEPS)
    def test_another_run(self, start_valkey: Callable[..., str], name: str) -> None:
        """A run of the same epoch but another uuid, in a store that came back from an older copy, is left alone."""
        url = start_valkey()
        state = prepared(url)
        with Redis.from_url(url) as client:
            before = dump(client, "cp:")
            assert self.step(state, name, *STEPS[name], run=f"{state.epoch}-other") in ([], 0, ["over"])
            assert dump(client, "cp:") == before
            self.step(state, name, *STEPS[name])
            assert name in ("pages", "moved", "unpublish", "unpublished") or dump(client, "cp:") != before
        state.store.close()

    @pytest.mark.parametrize("name", ["cancel", "expire", "fold"])
    def test_purged(self, start_valkey: Callable[..., str], name: str) -> None:
        """Nothing is to be done to the page of a run that was closed and purged."""
        state = prepared(start_valkey(), closed=True)
        state.store.purge(PROCESS, retention=Retention(runs=50, runs_with_items=0), limit=100)
        assert self.step(state, name, *STEPS[name]) in ([], 0, ["over"])
        state.store.close()

    def test_folded(self, start_valkey: Callable[..., str]) -> None:
        """Nothing of a page that was folded is to be published, nor is it folded again."""
        state = prepared(start_valkey())
        assert fold_if_done(state.store._client, "fold", RunKey.of(PROCESS, state.run), "1").page_closed
        assert self.step(state, "moved", "1") == self.step(state, "unpublished", "1", 0) == []
        assert self.step(state, "fold", "1") == self.step(state, "fold", *STEPS["fold"]) == ["over"]
        state.store.close()

    def test_meanwhile_at_its_end(self, start_valkey: Callable[..., str]) -> None:
        """A fold that does not close the run is too late once the run has come to its end."""
        state = prepared(start_valkey())
        assert state.report("x", "y").page_closed
        self.step(state, "stop", StopReason.CANCELLED)
        assert self.step(state, "fold", "1", 1, "{}", "{}")[0] == "facts"
        assert fold_if_done(state.store._client, "fold", RunKey.of(PROCESS, state.run), "1").run is not None
        state.store.close()

    def test_closed(self, start_valkey: Callable[..., str]) -> None:
        """A run that was closed is not closed again."""
        state = prepared(start_valkey(), closed=True)
        assert self.step(state, "fold", "") == ["over"]
        state.store.close()

    def test_not_due(self, start_valkey: Callable[..., str]) -> None:
        """Nothing is added up for the close of a run that has not come to its end, or has a page open there."""
        state = prepared(start_valkey())
        assert self.step(state, "fold", "") == ["over"]
        state.store.stop_run(PROCESS, state.run, StopReason.CANCELLED)
        assert self.step(state, "fold", "") == ["over"]
        state.store.stop_run(PROCESS, state.run, StopReason.SUPERSEDED)
        fresh = begin(state.store, "three")
        assert state.store._client.call("fold", "fold", PROCESS, RunKey.of(PROCESS, fresh).epoch, fresh, "") == ["over"]
        state.store.close()


def test_report_writes_its_item_alone(start_valkey: Callable[..., str]) -> None:
    """A report writes one hash, that of the items, and with an error that of the run as well."""
    url = start_valkey()
    state = prepared(url)
    error = ErrorEntry("broken", state.store.now(), "x")
    with Redis.from_url(url) as client:

        def writes(sequence: int, totals: Totals) -> Any:
            before = client.info("commandstats")["cmdstat_hset"]["calls"]
            report = ItemReport("x", sequence, totals, 0, 0)
            state.store.report(PROCESS, state.run, [report], token=state.token, lease=LEASE)
            return client.info("commandstats")["cmdstat_hset"]["calls"] - before

        assert writes(1, Totals({"x": 1})) == 1
        assert writes(2, Totals({"x": 1}, {}, (error,), 1)) == 2
    state.store.close()
