"""Any operation in any order is answered by each store as by the memory store, and the invariants hold after each step.

The depth is `CP_T2_EXAMPLES` examples of `CP_T2_STEPS` steps a store; as it stands here, the sequences are the same ones
each time, so that a change alone can make it fail.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from celery_process.protocol.states import ClaimAnswer, PageAnswer, Progress, RunAnswer, RunState
from celery_process.stores.base import Store, operations
from celery_process.stores.memory import MemoryStore
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore
from celery_process.testing import MovableClock

from .json_folder import JsonFolder
from .kept import Kept
from .machine import store_machine

EXAMPLES = os.environ.get("CP_T2_EXAMPLES")
STEPS = int(os.environ.get("CP_T2_STEPS", "50"))
OPERATIONS = operations()

Run = Callable[..., "Counter[str]"]


@pytest.fixture
def run(say: Callable[[str], None]) -> Run:
    """Give the function that runs the machine on a store, tells its figures, and returns what its examples came to."""

    def run(store: str, make_store: Callable[[MovableClock], Store], *, examples: int) -> Counter[str]:
        began, examples = time.monotonic(), int(EXAMPLES or examples)
        reached = machine(make_store, examples)
        calls, answers = sum(reached[name] for name in OPERATIONS), len(set(reached) - OPERATIONS)
        say(
            f"T2: {store} · {examples:,} examples of {STEPS} steps · {calls:,} calls of {len(OPERATIONS & set(reached))} "
            f"operations, each answered as by memory; {answers} states and answers met · {time.monotonic() - began:.0f} s",
        )
        return reached

    return run


def machine(make_store: Callable[[MovableClock], Store], examples: int) -> Counter[str]:
    """Run the machine; return what its examples came to."""
    machine = store_machine(make_store)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EXAMPLES is None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.reached


def test_memory(run: Run) -> None:
    """The memory store keeps the invariants, and the examples are no idle ones: they come to every state and answer."""
    reached = run("memory", lambda clock: MemoryStore(clock=clock), examples=300)
    words: list[Any] = [f"run {state}" for state in (*RunState, *RunAnswer)]
    words += [f"claim {answer}" for answer in ClaimAnswer] + [f"page {answer}" for answer in PageAnswer]
    words += [f"progress {word}" for word in Progress if word is not Progress.NONE]
    words += [f"item {name}" for name in ("pending", "claimed", "completed", "incomplete", "aborted", "cancelled", "lost")]
    assert not [word for word in [*words, "item removed"] if not reached[word]]


def test_sqlite(run: Run, tmp_path: Path) -> None:
    """SQLite answers as memory does."""
    run("SQLite", kept(f"sqlite:///{tmp_path}/process.db", synchronous="NORMAL"), examples=100)


def test_json_folder(run: Run, tmp_path: Path) -> None:
    """A store of someone else's answers as memory does."""

    def make_store(clock: MovableClock) -> JsonFolder:
        store = JsonFolder(f"json://{tmp_path}/{uuid4().hex}", clock=clock)
        store.migrate()
        return store

    run("a folder of JSON files", make_store, examples=20)


@pytest.mark.server("postgresql")
def test_postgresql(run: Run, postgresql_url: str) -> None:
    """PostgreSQL answers as memory does."""
    run("PostgreSQL", kept(postgresql_url), examples=50)


@pytest.mark.server("mysql")
def test_mysql(run: Run, mysql_url: str) -> None:
    """MySQL, or MariaDB, answers as memory does."""
    run("MySQL or MariaDB", kept(mysql_url), examples=50)


@pytest.mark.server("redis")
def test_redis(run: Run, redis_url: str) -> None:
    """Redis, or Valkey, answers as memory does."""
    prefix = f"cp-{uuid4().hex[:12]}:"
    run("Redis or Valkey", lambda clock: RedisStore(redis_url, key_prefix=prefix, clock=clock), examples=100)


def kept(url: str, **options: Any) -> Callable[[MovableClock], SqlStore]:
    """Make the tables and return what gives each example the store; each has process names of its own."""
    kept = Kept(lambda clock: SqlStore(url, clock=clock, **options))
    kept.store.migrate()
    return kept.with_clock
