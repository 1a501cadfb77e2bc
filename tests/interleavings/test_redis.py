"""Clients of Redis, two and three at once: an operation is several scripts, and anything may come in between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from uuid import uuid4

import pytest

from celery_process.stores.redis import RedisStore
from celery_process.testing import MovableClock

from .baton import RedisBaton
from .scenes import ACTS
from .stage import DEEPLY, Stage

pytestmark = pytest.mark.server("redis")

AT_THE_END = tuple(act for act in ACTS if act != "register")
"""What is at the end is on the cleanup list, and a registration would take it off."""
THREE = ("finish", "sweep", "supersede", "open_page or close", "unregister", "abort")


@pytest.fixture(scope="module")
def tally() -> Counter[str]:
    """Count what was played, for the line at the end."""
    return Counter()


@pytest.fixture(scope="module")
def stage(redis_url: str, tally: Counter[str]) -> Iterator[Stage]:
    clock = MovableClock()
    store = RedisStore(redis_url, key_prefix=f"baton-{uuid4().hex[:12]}:", clock=clock)
    baton = RedisBaton(store._client)
    yield Stage(store, clock, baton, tally)
    baton.close()
    store.close()


@pytest.mark.parametrize(("one", "other"), tuple(combinations_with_replacement(ACTS, 2)), ids=lambda act: act)
def test_two_amid_a_run(stage: Stage, one: str, other: str) -> None:
    """Two clients, at every point at which the one can come in between the scripts of the other."""
    stage.play(one, other, at_end=False, preemptions=3 if DEEPLY else 2)


@pytest.mark.parametrize(("one", "other"), tuple(combinations_with_replacement(AT_THE_END, 2)), ids=lambda act: act)
def test_two_at_the_end(stage: Stage, one: str, other: str) -> None:
    """The same where nothing is left to enlist, so that the last item closes the run."""
    stage.play(one, other, at_end=True, preemptions=3 if DEEPLY else 2)


@pytest.mark.parametrize("other", AT_THE_END)
def test_two_pages(stage: Stage, other: str) -> None:
    """A client that ends the last item of a page, beside whatever happens to the page behind it."""
    stage.play("claim and finish", other, at_end=True, page=1, preemptions=3 if DEEPLY else 2)


@pytest.mark.parametrize("acts", tuple(combinations_with_replacement(THREE, 3)), ids=lambda acts: " and ".join(acts))
def test_three(stage: Stage, acts: tuple[str, ...]) -> None:
    """Three clients that end a run in their ways."""
    stage.play(*acts, at_end=True, preemptions=2 if DEEPLY else 1)


def test_the_count(tally: Counter[str], say: Callable[[str], None]) -> None:
    """Some thousands of schedules were run."""
    say(
        f"T3: {tally['schedules']:,} schedules of {tally['statements']:,} round trips on Redis or Valkey; "
        "nothing lost, nothing twice",
    )
    assert tally["schedules"] >= 1000
