"""Clients of PostgreSQL, two and three at once: whatever the order of their statements, nothing is lost or done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

import pytest

from celery_process.stores import retry
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock

from .baton import SqlBaton
from .scenes import ACTS
from .stage import DEEPLY, Stage

pytestmark = pytest.mark.server("postgresql")

LONG = ("claim and finish", "replace", "release and claim", "claim and lose", "renew")
"""Acts of many statements, and one that is like others, which meet a few others only."""
AMID = tuple(combinations_with_replacement([act for act in ACTS if act not in LONG], 2))
AT_THE_END = ("claim of an expired", "supersede", "abort", "release", "sweep")
RACES = ("finish", "open_page or close")
"""The acts whose pairs are run with more preemptions."""


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="module")
def store(postgresql_url: str, clock: MovableClock) -> Iterator[SqlStore]:
    store = SqlStore(postgresql_url, clock=clock, table_prefix="baton_")
    store.migrate()
    store.check()
    yield store
    store.close()


@pytest.fixture(scope="module")
def baton(store: SqlStore) -> Iterator[SqlBaton]:
    baton = SqlBaton(store._db.engine)
    yield baton
    baton.close()


@pytest.fixture(scope="module")
def tally() -> Counter[str]:
    """Count what was played, for the line at the end."""
    return Counter()


@pytest.fixture
def stage(
    store: SqlStore, clock: MovableClock, baton: SqlBaton, tally: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> Stage:
    monkeypatch.setattr(retry.time, "sleep", lambda _: None)
    return Stage(store, clock, baton, tally)


@pytest.mark.parametrize(("one", "other"), AMID, ids=lambda act: act)
def test_two_amid_a_run(stage: Stage, one: str, other: str) -> None:
    """Two clients, at every point at which the one can come in between the statements of the other."""
    stage.play(one, other, at_end=False, preemptions=2 if DEEPLY else 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [*combinations_with_replacement(AT_THE_END, 2), *((act, race) for act in AT_THE_END for race in RACES)],
    ids=lambda act: act,
)
def test_two_at_the_end(stage: Stage, one: str, other: str) -> None:
    """The same where nothing is left to enlist, so that the last item closes the run."""
    stage.play(one, other, at_end=True, preemptions=2 if DEEPLY else 1)


@pytest.mark.parametrize(("one", "other"), tuple(combinations_with_replacement(RACES, 2)), ids=lambda act: act)
def test_two_that_end_a_run(stage: Stage, one: str, other: str) -> None:
    """Two clients that end the last item, and go back and forth between each other."""
    stage.play(one, other, at_end=True, preemptions=3 if DEEPLY else 2)


def test_two_pages(stage: Stage) -> None:
    """Two clients that fold the last two pages of a run."""
    stage.play("claim and finish", "finish", at_end=True, page=1, preemptions=3 if DEEPLY else 2)


@pytest.mark.parametrize("other", ["claim of an expired", "finish", "sweep"])
def test_renewed(stage: Stage, other: str) -> None:
    """A lease that is renewed, beside one that takes it for over, and beside the report that comes after it."""
    stage.play("renew", other, at_end=False, preemptions=2 if DEEPLY else 1)


@pytest.mark.parametrize("other", ["finish", "claim and finish", "replace"])
def test_replaced(stage: Stage, other: str) -> None:
    """A run is superseded and the next one claimed, beside one that ends its items, and beside another that does the same."""
    stage.play("replace", other, at_end=True, preemptions=2 if DEEPLY else 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claim", "claim and lose"),
        *(("release and claim", act) for act in ("release", "finish", "claim of an expired", "sweep")),
    ],
    ids=lambda act: act,
)
def test_there_and_back(stage: Stage, one: str, other: str) -> None:
    """An item that goes to another holder and comes back, between two statements of one that read it before."""
    stage.play(one, other, at_end=False, preemptions=2 if DEEPLY else 1)


def test_three(stage: Stage) -> None:
    """One claims and finishes, one finishes, one closes."""
    acts = ("claim and finish", "finish", "open_page or close")
    stage.play(*acts, at_end=True, preemptions=2 if DEEPLY else 1)


def test_the_count(tally: Counter[str], say: Callable[[str], None]) -> None:
    """Some hundreds of schedules were run, and in some a client waited for another."""
    say(
        f"T3: {tally['schedules']:,} schedules of {tally['statements']:,} statements on PostgreSQL, "
        f"{tally['waited']:,} with a wait for a lock; nothing lost, nothing twice",
    )
    assert tally["schedules"] >= 500
    assert tally["waited"]
