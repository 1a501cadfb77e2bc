"""How often a failed operation of a store is tried, how long it waits, and which error is raised in the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from celery_process.exceptions import (
    AccessDenied,
    CorruptData,
    IllegalTransition,
    RefusedValue,
    SchemaMismatch,
    StoreError,
    StoreUnavailable,
)
from celery_process.stores import retry
from celery_process.stores.retry import Driver, Failure, retried, store_error

URL = "db://there"


class Broken(Exception):
    """A failure of a driver."""


def driver(failure: Failure, **more: Any) -> Driver:
    return Driver((Broken,), lambda error: failure, lambda error: "Broken 7", **more)


class Times:
    """A clock, which `sleep` moves on by the whole span that it was drawn from, and the spans."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.lows, self.spans = 100.0, list[float](), list[float]()
        monkeypatch.setattr(retry.random, "uniform", self._uniform)
        monkeypatch.setattr(retry.time, "sleep", self._sleep)
        monkeypatch.setattr(retry.time, "monotonic", lambda: self.now)

    def _uniform(self, low: float, high: float) -> float:
        self.lows.append(low)
        return high

    def _sleep(self, seconds: float) -> None:
        self.spans.append(seconds)
        self.now += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Give a clock that is moved by the waits alone."""
    return Times(monkeypatch)


def fails(times: int, *, lasts: Callable[[], object] = lambda: None) -> Callable[[], int]:
    """Return an operation that fails so often, each time after `lasts`, and then returns how often it was tried."""
    tries = itertools.count(1)

    def once() -> int:
        lasts()
        number = next(tries)
        if number <= times:
            raise Broken(str(number))
        return number

    return once


def test_an_outage_that_passes_is_waited_for(times: Times) -> None:
    """Five tries; each wait is a random part of a span that doubles."""
    assert retried(fails(4), driver(Failure.PASSES), operation="claim", url=URL) == 5
    assert times.spans == [0.05, 0.1, 0.2, 0.4]
    assert times.lows == [0] * 4


def test_no_wait_is_longer_than_a_second(times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span grows to a second, however many tries there are."""
    monkeypatch.setattr(retry, "TRIES", 9)
    assert retried(fails(8), driver(Failure.PASSES), operation="claim", url=URL) == 9
    assert times.spans == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_the_fifth_failure_is_raised(times: Times) -> None:
    """The error says how often it was tried and is caused by the driver's last one."""
    with pytest.raises(
        StoreUnavailable, match=r"The store db://there did not answer 'claim' \(Broken 7, 5 of 5 tries\)"
    ) as caught:
        retried(fails(9), driver(Failure.PASSES), operation="claim", url=URL, process="p")
    assert str(caught.value.__cause__) == "5"
    assert caught.value.facts == {"operation": "claim"}
    assert len(times.spans) == 4


@pytest.mark.parametrize(("seconds", "tries"), [(0.1, 5), (3.9, 3), (7.9, 2), (8.0, 1), (20, 1)])
def test_no_try_begins_after_eight_seconds(times: Times, seconds: float, tries: int) -> None:
    """A lease of 30 s outlives an operation whose tries take long."""

    def lasts() -> None:
        times.now += seconds

    with pytest.raises(StoreUnavailable, match=f"{tries} of 5 tries"):
        retried(fails(9, lasts=lasts), driver(Failure.PASSES), operation="claim", url=URL)


@pytest.mark.parametrize("failure", [failure for failure in Failure if failure is not Failure.PASSES])
def test_anything_else_is_tried_once(times: Times, failure: Failure) -> None:
    """A full disk is an outage as well, but none that the next try would find over."""
    with pytest.raises(StoreError) as caught:
        retried(fails(9), driver(failure), operation="claim", url=URL, process="p")
    assert str(caught.value.__cause__) == "1"
    assert times.spans == []
    assert isinstance(caught.value, StoreUnavailable) is (failure is Failure.OUTAGE)
    assert caught.value.facts.get("process") == (None if failure is Failure.OUTAGE else "p")


def test_an_error_that_is_not_the_driver_s_goes_on(times: Times) -> None:
    """A bug is neither retried nor wrapped."""

    def once() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retried(once, driver(Failure.PASSES), operation="claim", url=URL)
    assert times.spans == []


@pytest.mark.parametrize(
    ("failure", "made", "advice"),
    [
        (Failure.DENIED, AccessDenied, "check in process_backend the user and password"),
        (Failure.VALUE, RefusedValue, "a value is too large, too long or of characters that the database lacks"),
        (Failure.CORRUPT, CorruptData, "something else wrote under the store's names"),
        (Failure.UNKNOWN, StoreError, "check that its version and settings are supported"),
        (Failure.SCHEMA, StoreError, "check that its version and settings are supported"),
        (Failure.ILLEGAL, StoreError, "check that its version and settings are supported"),
    ],
)
@pytest.mark.parametrize("process", ["", "p"])
def test_what_was_refused_is_said_with_its_cure(failure: Failure, made: type[StoreError], advice: str, process: str) -> None:
    """The error has the operation and the process as facts; a driver that reads neither schema nor states has no more."""
    error = store_error(Broken(), driver(failure), operation="claim", url=URL, process=process)
    assert type(error) is made
    of = " of 'p'" if process else ""
    assert str(error).startswith(
        f"The store db://there refused 'claim'{of} (Broken 7); see the error before this one: {advice}"
    )
    assert error.facts == {"operation": "claim", **({"process": "p"} if process else {})}


@pytest.mark.parametrize("failure", [Failure.PASSES, Failure.OUTAGE])
def test_an_outage_names_what_did_not_answer(failure: Failure) -> None:
    """Without retries it was one try."""
    error = store_error(Broken(), driver(failure), operation="claim", url=URL)
    assert type(error) is StoreUnavailable
    assert "'claim' (Broken 7, 1 of 5 tries)" in str(error)
    assert error.facts == {"operation": "claim"}


def test_a_missing_table_is_the_store_s_to_say() -> None:
    """The store makes that error, since it knows the command that mends it; no other failure is one."""
    made = driver(Failure.SCHEMA, mismatch=lambda kind, operation: SchemaMismatch(f"{kind} in {operation}"))
    error = store_error(Broken(), made, operation="claim", url=URL)
    assert (type(error), str(error)) == (SchemaMismatch, "Broken 7 in claim")
    other = driver(Failure.VALUE, mismatch=made.mismatch)
    assert type(store_error(Broken(), other, operation="claim", url=URL)) is RefusedValue


@pytest.mark.parametrize("process", ["", "p"])
def test_a_state_that_may_not_follow(process: str) -> None:
    """The error has the two states as facts, and the process where one is known."""
    reads = {"transition": lambda error: ("item", "done", "new")}
    error = store_error(Broken(), driver(Failure.ILLEGAL, **reads), operation="claim", url=URL, process=process)
    assert type(error) is IllegalTransition
    assert error.facts["operation"] == "claim"
    assert error.facts.get("process") == (process or None)
    other = store_error(Broken(), driver(Failure.UNKNOWN, **reads), operation="claim", url=URL)
    assert type(other) is StoreError
