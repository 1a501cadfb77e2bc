"""Folds of the Redis store: what a script counts by itself, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from redis import Redis

from celery_process.protocol.model import RunSpec, RunStatus, SlotRef, Stats
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, Progress, RunState, WorkState
from celery_process.protocol.stats import Number, add_stats
from celery_process.stores.redis import RedisStore
from celery_process.stores.redis.keys import RunKey
from celery_process.stores.redis.records import add_times

pytestmark = pytest.mark.server("redis")

LEASE = timedelta(seconds=30)


class Run:
    """A run over pages of two items each."""

    def __init__(self, url: str, *names: str) -> None:
        self.client = Redis.from_url(url, decode_responses=True)
        self.store = RedisStore(url)
        self.process = f"p-{uuid4().hex[:8]}"
        self.store.register(self.process, dict.fromkeys(names, "{}"))
        now = self.store.now()
        claim = self.store.claim_run(
            self.process, uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by=""
        )
        assert claim.run is not None
        self.id = claim.run.id

    def work_off(self, *stats: Stats) -> RunStatus | None:
        """Open a page, and end its items with these stats in one call."""
        names = self.store.open_page(self.process, self.id, token=uuid4().hex, size=2, window=4).names
        token = uuid4().hex
        claims = self.store.claim(self.process, self.id, names, token=token, lease=LEASE, max_attempts=3)
        reports = [
            ItemReport(claim.name, 1, Totals(mine), claim.params_version, 0, WorkState.COMPLETED, claim.attempt)
            for claim, mine in zip(claims, stats, strict=True)
        ]
        reported = self.store.report(self.process, self.id, reports, token=token, lease=LEASE)
        assert {item.progress for item in reported.items} == {Progress.COMPLETED}
        assert reported.page_closed
        return reported.run

    def status(self) -> RunStatus:
        return self.store.run(self.process, self.id)

    def scripts(self) -> int:
        """Return how many scripts the server ran so far."""
        return sum(int(told["calls"]) for name, told in self.client.info("commandstats").items() if "eval" in name)

    def fields(self) -> set[str]:
        """Return the fields of the run in which plain pages are counted."""
        return {
            name
            for name in self.client.hkeys(f"cp:{{{self.process}}}:r:{RunKey.of(self.process, self.id).epoch}")
            if name.startswith("done")
        }


@pytest.fixture
def begin(start_valkey: Callable[..., str]) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*names: str) -> Run:
        runs.append(Run(start_valkey(), *names))
        return runs[-1]

    yield start
    for run in runs:
        run.client.close()
        run.store.close()


class TestPlainPages:
    """Pages whose items all completed without stats."""

    def test_one_script(self, begin: Callable[..., Run]) -> None:
        """Such a page is folded by one script; a page with stats by two."""
        run = begin("a", "b", "c", "d", "e", "f", "g")
        run.work_off({}, {})
        before = run.scripts()
        run.work_off({}, {})
        plain = run.scripts() - before
        run.work_off({"x": 1}, {})
        assert run.scripts() - before == 2 * plain + 1

    def test_among_others(self, begin: Callable[..., Run]) -> None:
        """They add up with the other pages, at each moment and when the run closes."""
        run = begin("a", "b", "c", "d", "e", "f", "g", "h")
        seen = []
        for stats in [({}, {}), ({"x": 1}, {"x": 2}), ({}, {})]:
            assert run.work_off(*stats) is None
            now = run.status()
            seen.append((now.counts.completed, now.stats))
        assert seen == [(2, {"workItems": 2}), (4, {"workItems": 4, "work.x": 3}), (6, {"workItems": 6, "work.x": 3})]
        assert run.fields() == {"done_a"}
        run.work_off({}, {})
        assert run.store.open_page(run.process, run.id, token="t", size=2, window=4).run is not None
        closed = run.status()
        assert (closed.state, closed.counts.completed) == (RunState.COMPLETED, 8)
        assert (closed.stats["workItems"], closed.stats["work.x"]) == (8, 3)
        assert run.store.process(run.process).aggregate_stats["workItems"] == 8
        assert not run.fields()


class TestFlat:
    """What a run keeps while it goes on."""

    def test_keys(self, begin: Callable[..., Run]) -> None:
        """However many pages were folded, the keys of the run hold the same."""
        run = begin(*(f"n{number:02d}" for number in range(30)))
        sizes = []
        for _ in range(10):
            run.work_off({"x": 1}, {})
            keys = [key for key in run.client.scan_iter() if any(f":{part}:" in key for part in "rigo")]
            assert len(keys) >= 2
            sizes.append([(key, run.client.hlen(key)) for key in sorted(keys)])
        assert all(size == sizes[1] for size in sizes[2:])


@pytest.mark.parametrize("more", [{"x": 0.1}, {"x": 3}, {"x": 2**60, "y": 0.1}, {}], ids=str)
def test_times(more: dict[str, Number]) -> None:
    """Stats of alike items are added as if one by one."""
    for start in ({}, {"x": 0.1}, {"x": 7}):
        times: dict[str, Number] = dict(start)
        single: dict[str, Number] = dict(start)
        add_times(times, more, 7)
        for _ in range(7):
            add_stats(single, more)
        assert times == single
        assert [type(count) for count in times.values()] == [type(count) for count in single.values()]
