"""The run protocol is safe and live in every state of the model, and the model finds what is planted in it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable

import pytest

from .bounds import Bounds, Fault
from .configurations import CONFIGURATIONS, DEEP, EXPECTED, PLANTED
from .explore import Verdict, explore

pytestmark = pytest.mark.forks
DEEPLY = os.environ.get("CP_T3_DEEP") == "1"
WANTED = 10_000_000 if DEEPLY else 1_000_000
"""States that the configurations have to have together."""


def explored(bounds: Iterable[Bounds]) -> list[Verdict]:
    """Return the verdicts, each from a process of its own, two at a time."""
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        return pool.map(explore, bounds, chunksize=1)


@pytest.fixture(scope="module")
def planted() -> dict[Fault, Verdict]:
    return dict(zip(PLANTED, explored(PLANTED.values()), strict=True))


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
def test_a_planted_fault_is_found(planted: dict[Fault, Verdict], fault: Fault) -> None:
    """Without one sentence of the protocol an invariant breaks, and the shortest way to it is told."""
    assert planted[fault].problem.startswith(EXPECTED[fault])
    assert planted[fault].way[0] == "claim_run"


@pytest.mark.timeout(7200 if DEEPLY else 600)
def test_every_state(planted: dict[Fault, Verdict], say: Callable[[str], None]) -> None:
    """No state breaks an invariant, and from each a sweep and one worker can close the run (I14)."""
    configurations = {**CONFIGURATIONS, **(DEEP if DEEPLY else {})}
    verdicts = dict(zip(configurations, explored(configurations.values()), strict=True))
    bad = {name: verdict for name, verdict in verdicts.items() if verdict.problem}
    states = sum(verdict.states for verdict in verdicts.values())
    found = sum(verdict.problem.startswith(EXPECTED[fault]) for fault, verdict in planted.items())
    say(
        f"T3: {states:,} states in {len(verdicts)} configurations, {'NOT ' if bad else ''}safe and live; "
        f"{found} of {len(Fault)} planted faults found",
    )
    assert not bad, "\n".join(f"{name}: {verdict}" for name, verdict in bad.items())
    assert states >= WANTED
